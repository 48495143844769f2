//! The numbers of the experiment.

use super::settings::{GradientDynamics, Key, PUBLISHED};
use crate::results::{Measurements, Results, Row, each, select};
use crate::statistics::{mean_sd, median, quantile};

/// The measurements of batches.
fn batches(results: &Results<Key>) -> Vec<&Measurements> {
    select(results, |key| matches!(key, Key::Batch { .. }))
}

/// All numbers: at some numbers of layers, over a batch, and datum by datum.
pub(crate) fn rows(experiment: &GradientDynamics, results: &Results<Key>) -> Vec<Row> {
    let mut rows = at_layers(experiment, results);
    for name in ["dec", "ae-lasso"] {
        let slopes = each(&batches(results), &format!("slope of {name}"));
        rows.push(Row::new(format!("slope of log ‖g − ĝ‖, {name}, batch"), None, &slopes));
    }
    rows.extend(of_data(experiment, results));
    rows
}

/// Codes and gradients at 1, 50 and 100 layers, beside the published numbers.
fn at_layers(experiment: &GradientDynamics, results: &Results<Key>) -> Vec<Row> {
    let batches = batches(results);
    let names = experiment.names();
    let mut curves = vec![("code".to_owned(), "‖z_t − ẑ‖".to_owned())];
    curves.extend(names.iter().map(|name| (name.clone(), format!("‖g − ĝ‖, {name}"))));
    curves.extend(
        names.iter().map(|name| (format!("{name}, true code"), format!("‖g − g at z*‖, {name}"))),
    );
    let mut rows = Vec::new();
    for (name, what) in curves {
        let published = PUBLISHED.iter().find(|(known, _)| *known == name);
        let published = published.filter(|_| experiment.is_published());
        for (k, t) in [1, 50, 100].into_iter().enumerate() {
            if t <= experiment.layers {
                let ours: Vec<f64> = batches.iter().map(|m| m.at(&name, t as f64)).collect();
                rows.push(Row::new(format!("{what}, t = {t}"), published.map(|p| p.1[k]), &ours));
            }
        }
    }
    rows
}

/// The rates of one datum.
pub(crate) struct DatumRates {
    pub datum: f64,
    pub rho: f64,
    pub settled: f64,
    pub slope_dec: f64,
    pub slope_ae_lasso: f64,
    /// The slope of dec over `log ρ`; 1 in theory.
    pub dec_over_log_rho: f64,
    /// The slope of ae-lasso over that of dec; 2 in theory.
    pub ratio: f64,
}

/// The rates of all data of one seed whose support settles in time.
pub(crate) fn rates(measured: &Measurements) -> Vec<DatumRates> {
    let of = |name: &str| measured.curve(name).iter().map(|p| p[1]).collect::<Vec<f64>>();
    let (rho, settled) = (of("rho"), of("settled"));
    let (dec, lasso) = (of("slope of dec"), of("slope of ae-lasso"));
    let datum = |(k, point): (usize, &[f64; 2])| DatumRates {
        datum: point[0],
        rho: rho[k],
        settled: settled[k],
        slope_dec: dec[k],
        slope_ae_lasso: lasso[k],
        dec_over_log_rho: dec[k] / rho[k].ln(),
        ratio: lasso[k] / dec[k],
    };
    measured.curve("rho").iter().enumerate().map(datum).collect()
}

/// How fast gradients converge datum by datum: quantiles over the data of each seed.
fn of_data(experiment: &GradientDynamics, results: &Results<Key>) -> Vec<Row> {
    let (mut near_rho, mut ratios, mut settled) = (vec![], vec![], vec![]);
    for measured in select(results, |key| matches!(key, Key::Data { .. })) {
        let rates = rates(measured);
        let by_rho: Vec<f64> = rates.iter().map(|rates| rates.dec_over_log_rho).collect();
        let ratio: Vec<f64> = rates.iter().map(|rates| rates.ratio).collect();
        near_rho.push(median(&by_rho));
        ratios.push([0.25, 0.5, 0.75].map(|q| quantile(&ratio, q)));
        settled.push(rates.len() as f64 / experiment.data as f64);
    }
    let mut rows = vec![
        Row::new("data whose support settles in time, share", None, &settled),
        Row::new("slope of dec / log ρ, median over data (theory: 1)", None, &near_rho),
    ];
    for (k, what) in ["lower quartile", "median", "upper quartile"].iter().enumerate() {
        let ratios: Vec<f64> = ratios.iter().map(|r| r[k]).collect();
        let name = format!("slope of ae-lasso / slope of dec, {what} (theory: 2)");
        rows.push(Row::new(name, None, &ratios));
    }
    rows
}

/// A point of a curve over the layers, over the seeds.
pub(crate) struct MeanPoint {
    pub layers: usize,
    pub mean: f64,
    pub sd: Option<f64>,
}

/// The mean of the curve `name` over the seeds.
pub(crate) fn mean_curve(
    experiment: &GradientDynamics,
    results: &Results<Key>,
    name: &str,
) -> Vec<MeanPoint> {
    let batches = batches(results);
    let point = |layers: usize| {
        let at: Vec<f64> = batches.iter().map(|m| m.at(name, layers as f64)).collect();
        let (mean, sd) = mean_sd(&at);
        MeanPoint { layers, mean, sd }
    };
    experiment.grid().into_iter().map(point).collect()
}
