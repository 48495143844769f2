//! The tables of the experiment.

use super::settings::{GradientDynamics, Key};
use super::statistics::{mean_curve, rates};
use crate::results::{Results, Table};

/// All curves over the layers.
pub(crate) fn curves(experiment: &GradientDynamics, results: &Results<Key>) -> Table {
    let names = experiment.names();
    let mut curves = names.to_vec();
    curves.extend(names.iter().map(|name| format!("{name}, true code")));
    curves.push("code".into());
    let mut table = Table::new("curves", &["t", "curve", "mean", "sd"]);
    for name in curves {
        for point in mean_curve(experiment, results, &name) {
            let sd = point.sd.map_or(String::new(), |sd| sd.to_string());
            let layers = point.layers.to_string();
            table.rows.push(vec![layers, name.clone(), point.mean.to_string(), sd]);
        }
    }
    table
}

/// The rates of single data.
pub(crate) fn data(results: &Results<Key>) -> Table {
    let header = [
        "seed",
        "datum",
        "rho",
        "settled",
        "slope_dec",
        "slope_ae_lasso",
        "dec_over_log_rho",
        "ratio",
    ];
    let mut table = Table::new("data", &header);
    for (key, measured) in results {
        let Key::Data { seed } = key else { continue };
        for r in rates(measured) {
            let numbers = [
                r.datum,
                r.rho,
                r.settled,
                r.slope_dec,
                r.slope_ae_lasso,
                r.dec_over_log_rho,
                r.ratio,
            ];
            let numbers = numbers.into_iter().map(|number| number.to_string());
            table.rows.push([seed.to_string()].into_iter().chain(numbers).collect());
        }
    }
    table
}
