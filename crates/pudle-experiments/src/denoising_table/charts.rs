//! The charts of the experiment.

use pudle_core::Proximal;
use pudle_plot::{Axis, Chart, Line, Stroke};

use super::settings::{DenoisingTable, Key};
use super::statistics::{Group, groups, means};
use crate::results::{Measurements, Results};
use crate::statistics::mean_sd;

/// Scores by λ, and over the training.
pub(crate) fn all(experiment: &DenoisingTable, results: &Results<Key>) -> Vec<Chart> {
    let groups = &groups(experiment, results);
    let mut charts = Vec::new();
    let soft = |key: &&Group<'_>| key.0.prox == Proximal::Soft;
    if experiment.lambdas.len() > 1 {
        charts.push(by_lambda(experiment, groups));
    }
    let mut lines = Vec::new();
    for (k, lambda) in experiment.lambdas.iter().enumerate() {
        for (key, of) in groups.iter().filter(soft).filter(|(key, _)| key.lambda == *lambda) {
            let stroke = match experiment.gradients.iter().position(|g| *g == key.gradient) {
                Some(0) => Stroke::Dashed,
                Some(1) => Stroke::Solid,
                _ => Stroke::Dotted,
            };
            let line = Line::new(format!("{}, λ = {lambda}", key.gradient), means(of), k);
            lines.push(line.with_stroke(stroke));
        }
    }
    charts.push(training("soft", "Test score during training, soft thresholds", lines));
    let hard: Vec<_> = groups.iter().filter(|(key, _)| key.prox == Proximal::Hard).collect();
    if !hard.is_empty() {
        let line = |(k, (key, of)): (usize, &&Group<'_>)| {
            Line::new(format!("level {}", key.lambda), means(of), k)
        };
        let lines = hard.iter().enumerate().map(line).collect();
        charts.push(training("hard", "Test score during training, hard thresholds", lines));
    }
    charts
}

/// PSNR against λ, beside what was published.
fn by_lambda(experiment: &DenoisingTable, groups: &[Group<'_>]) -> Chart {
    let final_psnr = |of: &[&Measurements]| {
        mean_sd(&of.iter().map(|measured| measured.value("psnr paper")).collect::<Vec<_>>()).0
    };
    let of_line = |key: &Key, gradient| key.prox == Proximal::Soft && key.gradient == gradient;
    let (mut lines, mut published) = (Vec::new(), Vec::new());
    for (k, gradient) in experiment.gradients.iter().enumerate() {
        let of: Vec<_> = groups.iter().filter(|(key, _)| of_line(key, *gradient)).collect();
        let ours = of.iter().map(|(key, cells)| [key.lambda, final_psnr(cells)]).collect();
        lines.push(Line::new(format!("{gradient}, ours"), ours, k));
        let theirs: Vec<[f64; 2]> = of
            .iter()
            .filter_map(|(key, _)| Some([key.lambda, experiment.published(key)?]))
            .collect();
        if !theirs.is_empty() {
            let line = Line::new(format!("{gradient}, published"), theirs, k);
            published.push(line.with_stroke(Stroke::Dashed));
        }
    }
    lines.extend(published);
    Chart {
        name: "lambda".into(),
        title: format!("Denoising at σ = {}, protocol paper", experiment.sigma),
        x: Axis::linear("λ"),
        y: Axis::linear("PSNR in dB"),
        lines,
    }
}

fn training(name: &str, title: &str, lines: Vec<Line>) -> Chart {
    let (x, y) = (Axis::linear("training step"), Axis::linear("PSNR in dB, protocol full"));
    Chart { name: name.into(), title: title.into(), x, y, lines }
}
