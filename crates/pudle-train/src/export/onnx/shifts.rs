//! The mean over all shifts of the grid of atoms. The windows of the shifts are one batch.

use super::extent::{covered, reflected};
use super::graph::{Value, int};
use super::layers::Layers;

/// The mean of the reconstructions over all shifts, and the codes of the shifts, one batch after the other.
pub(super) fn mean(layers: &mut Layers, x: &str, stride: usize) -> (Value, Value) {
    let margin = stride - 1;
    let mut value = x.to_owned();
    let mut parts = Vec::new();
    for axis in [2, 3] {
        let graph = &mut layers.graph;
        let margin_value = graph.integer(margin as i64);
        let length = graph.length(&value, axis);
        let length = graph.op("Add", &[&length, &margin_value], vec![]);
        let part = covered(graph, &length, layers.size[axis - 2], stride);
        let extent = graph.op("Add", &[&part, &margin_value], vec![]);
        value = reflected(graph, &value, axis, margin, &extent);
        let part = graph.list(&part);
        parts.push(part);
    }
    let graph = &mut layers.graph;
    let part = graph.op("Concat", &[&parts[0], &parts[1]], vec![int("axis", 0)]);
    let axes = graph.integers(&[2, 3]);
    let shifts: Vec<[usize; 2]> = (0..stride * stride).map(|k| [k / stride, k % stride]).collect();
    let windows: Vec<Value> = shifts
        .iter()
        .map(|shift| {
            let starts = graph.integers(&shift.map(|s| (margin - s) as i64));
            let ends = graph.op("Add", &[&starts, &part], vec![]);
            graph.op("Slice", &[&value, &starts, &ends, &axes], vec![])
        })
        .collect();
    let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
    let batch = graph.op("Concat", &windows, vec![int("axis", 0)]);
    layers.repeat_levels(shifts.len());
    let (estimate, code) = layers.run(&batch);
    let graph = &mut layers.graph;
    let size = graph.op("Shape", &[x], vec![]);
    let size = graph.op("Gather", &[&size, &axes], vec![int("axis", 0)]);
    let estimates = graph.split(&estimate, shifts.len());
    let crops: Vec<Value> = shifts
        .iter()
        .zip(&estimates)
        .map(|(shift, estimate)| {
            let starts = graph.integers(&shift.map(|s| s as i64));
            let ends = graph.op("Add", &[&starts, &size], vec![]);
            graph.op("Slice", &[estimate, &starts, &ends, &axes], vec![])
        })
        .collect();
    let crops: Vec<&str> = crops.iter().map(String::as_str).collect();
    let sum = graph.op("Sum", &crops, vec![]);
    let count = graph.number(shifts.len() as f64);
    (graph.op("Div", &[&sum, &count], vec![]), code)
}
