//! The charts of the experiment.

use pudle_plot::{Axis, Chart, Line, Stroke};

use super::settings::{GradientDynamics, Key};
use super::statistics::mean_curve;
use crate::results::{Measurements, Results, select};

/// Codes, gradients beside both directions, and the rates of one datum.
pub(crate) fn all(experiment: &GradientDynamics, results: &Results<Key>) -> Vec<Chart> {
    let mean = |name: &str| -> Vec<[f64; 2]> {
        let points = mean_curve(experiment, results, name);
        points.into_iter().map(|point| [point.layers as f64, point.mean]).collect()
    };
    let strokes = [Stroke::Solid, Stroke::Solid, Stroke::Solid, Stroke::Dashed, Stroke::Dotted];
    let lines = |suffix: &str| -> Vec<Line> {
        let named = experiment.names().into_iter().zip(strokes).enumerate();
        let line = |(k, (name, stroke)): (usize, (String, Stroke))| {
            let points = mean(&format!("{name}{suffix}"));
            Line::new(name, points, k).with_stroke(stroke)
        };
        named.map(line).collect()
    };
    let code = vec![Line::new("‖z_t − ẑ‖", mean("code"), 0)];
    let to_true = "Distance to the gradient at the true code";
    let mut charts = vec![
        chart("code", "Codes converge to the lasso's solution", "mean ‖z_t − ẑ‖", code),
        chart("local", "Distance to the local direction ĝ", "‖g_t − ĝ‖", lines("")),
        chart("global", to_true, "‖g_t − g*‖", lines(", true code")),
    ];
    let data = select(results, |key| matches!(key, Key::Data { .. }));
    if let Some(lines) = data.first().and_then(|measured| one_datum(measured)) {
        let title = "One datum, and the rates that theory gives it";
        charts.push(chart("rates", title, "‖g_t − ĝ‖", lines));
    }
    charts
}

fn chart(name: &str, title: &str, y: &str, lines: Vec<Line>) -> Chart {
    let (x, y) = (Axis::linear("unrolled layers t"), Axis::log(y));
    Chart { name: name.into(), title: title.into(), x, y, lines }
}

/// The errors of the datum with the median `ρ`, beside `ρᵗ` and `t ρ²ᵗ` through their last points, from where
/// the support stays.
fn one_datum(measured: &Measurements) -> Option<Vec<Line>> {
    let mut rho = measured.curve("rho").to_vec();
    rho.sort_by(|a, b| a[1].total_cmp(&b[1]));
    let [datum, rho] = *rho.get(rho.len() / 2)?;
    let settled = measured.at("settled", datum);
    let curves = ["dec", "ae-lasso"].map(|name| measured.curve(&format!("datum {datum}, {name}")));
    let bound = |curve: &[[f64; 2]], shape: &dyn Fn(f64) -> f64| -> Vec<[f64; 2]> {
        let last = curve.last().copied().unwrap_or([1.0, 1.0]);
        let stays = curve.iter().filter(|p| p[0] >= settled);
        stays.map(|p| [p[0], last[1] * (shape(p[0]) - shape(last[0])).exp()]).collect()
    };
    let slow = bound(curves[0], &|t| t * rho.ln());
    let fast = bound(curves[1], &|t| t.ln() + 2.0 * t * rho.ln());
    Some(vec![
        Line::new("dec", curves[0].to_vec(), 0),
        Line::new("ae-lasso", curves[1].to_vec(), 1),
        Line::new(format!("ρᵗ, ρ = {rho:.3}"), slow, 6).with_stroke(Stroke::Dashed),
        Line::new("t ρ²ᵗ", fast, 6).with_stroke(Stroke::Dotted),
    ])
}
