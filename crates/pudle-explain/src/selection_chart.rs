//! A chart of a choice among numbers of atoms.

use pudle_plot::{Axis, Chart, Line, Stroke};
use pudle_train::Selection;

use crate::error::Result;

/// The gain of every candidate over its number of atoms, a line for each λ, and a mark at the choice; as an SVG text and as the bytes
/// of a PNG file.
///
/// # Errors
/// Returns an error if it cannot be drawn.
pub fn selection_chart(selection: &Selection) -> Result<(String, Vec<u8>)> {
    let mut lambdas: Vec<f64> = selection.candidates.iter().map(|c| c.lambda).collect();
    lambdas.sort_by(f64::total_cmp);
    lambdas.dedup();
    let mut lines: Vec<Line> = lambdas
        .iter()
        .enumerate()
        .map(|(k, lambda)| {
            let own = selection.candidates.iter().filter(|c| c.lambda == *lambda);
            let points = own.map(|c| [c.atoms as f64, c.gain]).collect();
            Line::new(format!("λ = {lambda}"), points, k)
        })
        .collect();
    let chosen = &selection.candidates[selection.chosen];
    let mark = vec![[chosen.atoms as f64, chosen.gain]];
    lines.push(Line::new("chosen", mark, 6).with_stroke(Stroke::Marks));
    let chart = Chart {
        name: "selection".into(),
        title: "log-likelihood of 1,000 hidden samples, more than without atoms".into(),
        x: Axis::linear("number of atoms"),
        y: Axis::linear("gain"),
        lines,
    };
    Ok(chart.draw()?)
}
