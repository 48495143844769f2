//! The numbers of the experiment.

use pudle_core::{GradientEstimator, Proximal};

use super::settings::{DenoisingTable, Key, PUBLISHED};
use crate::results::{Measurements, Results, Row, each, select};
use crate::statistics::mean_sd;

/// Trainings that differ in their seed alone.
pub(crate) type Group<'a> = (Key, Vec<&'a Measurements>);

/// The trainings that differ in their seed alone, under the key of the first seed.
pub(crate) fn groups<'a>(experiment: &DenoisingTable, results: &'a Results<Key>) -> Vec<Group<'a>> {
    let first = results.iter().filter(|(key, _)| key.seed == experiment.seed);
    first
        .map(|(key, _)| (*key, select(results, |other| Key { seed: key.seed, ..*other } == *key)))
        .collect()
}

/// The scores by protocol beside the published ones, ae-ls beside dec, and how much was gained late.
pub(crate) fn rows(experiment: &DenoisingTable, results: &Results<Key>) -> Vec<Row> {
    let groups = groups(experiment, results);
    let mut rows = Vec::new();
    for protocol in ["paper", "full"] {
        for (key, measured) in &groups {
            let psnr = each(measured, &format!("psnr {protocol}"));
            let published = experiment.published(key).filter(|_| protocol == "paper");
            rows.push(Row::new(format!("{}: PSNR, {protocol}", label(key)), published, &psnr));
        }
    }
    rows.extend(margins(experiment, &groups));
    for (key, measured) in &groups {
        let late: Vec<f64> = measured.iter().map(|m| last_quarter(m.curve("test"))).collect();
        rows.push(Row::new(format!("{}: dB gained in the last quarter", label(key)), None, &late));
    }
    rows
}

/// ae-ls above dec at each λ, seed by seed.
fn margins(experiment: &DenoisingTable, groups: &[Group<'_>]) -> Vec<Row> {
    let of = |gradient, lambda| {
        let key = Key { gradient, prox: Proximal::Soft, lambda, seed: experiment.seed };
        groups.iter().find(|(other, _)| *other == key).map(|(_, cells)| cells)
    };
    let pair = |lambda: &f64| {
        let (dec, ls) =
            (of(GradientEstimator::DEC, *lambda)?, of(GradientEstimator::AE_LS, *lambda)?);
        let psnr = |measured: &Measurements| measured.value("psnr paper");
        let margins: Vec<f64> = dec.iter().zip(ls).map(|(d, l)| psnr(l) - psnr(d)).collect();
        let published = experiment
            .is_published()
            .then(|| PUBLISHED.iter().find(|(l, _)| l == lambda).map(|(_, p)| p[1] - p[0]));
        let name = format!("λ = {lambda}: ae-ls above dec, dB");
        Some(Row::new(name, published.flatten(), &margins))
    };
    experiment.lambdas.iter().filter_map(pair).collect()
}

fn label(key: &Key) -> String {
    match key.prox {
        Proximal::Hard => format!("hard, level {}", key.lambda),
        _ => format!("{}, λ = {}", key.gradient, key.lambda),
    }
}

/// Mean of the test curves.
pub(crate) fn means(measured: &[&Measurements]) -> Vec<[f64; 2]> {
    let steps = measured.first().map_or(&[][..], |first| first.curve("test"));
    let mean =
        |step: f64| mean_sd(&measured.iter().map(|m| m.at("test", step)).collect::<Vec<_>>()).0;
    steps.iter().map(|point| [point[0], mean(point[0])]).collect()
}

/// How much a curve rises in the last quarter of its steps.
fn last_quarter(curve: &[[f64; 2]]) -> f64 {
    let Some(last) = curve.last() else { return f64::NAN };
    let before = curve.iter().rev().find(|point| point[0] <= 0.75 * last[0]);
    before.map_or(f64::NAN, |before| last[1] - before[1])
}
