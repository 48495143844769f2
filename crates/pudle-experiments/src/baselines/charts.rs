//! The charts of the experiment.

use pudle_plot::{Axis, Chart, Line, Stroke};

use super::settings::{Baselines, Key};
use crate::results::{Results, select};

/// The errors of the first seed at this sparsity, over the steps and over the time.
pub(crate) fn of_sparsity(
    experiment: &Baselines,
    sparsity: usize,
    results: &Results<Key>,
) -> [Chart; 2] {
    let (mut steps, mut seconds) = (Vec::new(), Vec::new());
    for (k, &method) in experiment.methods.iter().enumerate() {
        let measured = select(results, |key| key.sparsity == sparsity && key.method == method);
        let Some(first) = measured.first() else { continue };
        let stroke = [Stroke::Solid, Stroke::Dashed, Stroke::Dotted, Stroke::Solid][k % 4];
        let line = |points| Line::new(method.to_string(), points, k).with_stroke(stroke);
        let error = first.curve("error");
        steps.push(line(error.to_vec()));
        let times = first.curve("seconds").iter().zip(error).map(|(t, e)| [t[1], e[1]]);
        seconds.push(line(times.collect()));
    }
    let chart = |name: &str, x: &str, lines| Chart {
        name: format!("{name}-s{sparsity}"),
        title: format!(
            "Relative error of the dictionary, s = {sparsity}, seed {}",
            experiment.seed
        ),
        x: Axis::linear(x),
        y: Axis::log("‖D − D*‖ / ‖D*‖"),
        lines,
    };
    [chart("steps", "training step", steps), chart("seconds", "seconds of learning", seconds)]
}
