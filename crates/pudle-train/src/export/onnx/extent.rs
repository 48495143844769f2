//! Reflection to the sizes that the atoms cover, and cropping back. Sizes are values of the graph.

use super::graph::{Graph, Value, int};

/// The smallest length not below `length` that atoms of `size` cover with `stride`.
pub(super) fn covered(graph: &mut Graph, length: &str, size: usize, stride: usize) -> Value {
    let [size, zero, last, stride] =
        [size, 0, stride - 1, stride].map(|number| graph.integer(number as i64));
    let rest = graph.op("Sub", &[length, &size], vec![]);
    let rest = graph.op("Max", &[&rest, &zero], vec![]);
    let rest = graph.op("Add", &[&rest, &last], vec![]);
    let steps = graph.op("Div", &[&rest, &stride], vec![]);
    let rest = graph.op("Mul", &[&steps, &stride], vec![]);
    graph.op("Add", &[&rest, &size], vec![])
}

/// `x` with `axis` grown to `extent` samples by reflection that does not repeat the edge, `before` of them at the start. It
/// is repeated as often as needed.
pub(super) fn reflected(
    graph: &mut Graph,
    x: &str,
    axis: usize,
    before: usize,
    extent: &str,
) -> Value {
    let length = graph.length(x, axis);
    let [one, two, before] = [1, 2, before].map(|number| graph.integer(number as i64));
    // The reflected signal repeats itself after 2 (length − 1) samples.
    let last = graph.op("Sub", &[&length, &one], vec![]);
    let period = graph.op("Mul", &[&last, &two], vec![]);
    let period = graph.op("Max", &[&period, &one], vec![]);
    // Start a whole number of periods earlier, so that the index is not negative.
    let first = graph.op("Add", &[&before, &period], vec![]);
    let first = graph.op("Sub", &[&first, &one], vec![]);
    let periods = graph.op("Div", &[&first, &period], vec![]);
    let first = graph.op("Mul", &[&periods, &period], vec![]);
    let first = graph.op("Sub", &[&first, &before], vec![]);
    let end = graph.op("Add", &[&first, extent], vec![]);
    let index = graph.op("Range", &[&first, &end, &one], vec![]);
    let index = graph.op("Mod", &[&index, &period], vec![]);
    let inside = graph.op("Less", &[&index, &length], vec![]);
    let mirrored = graph.op("Sub", &[&period, &index], vec![]);
    let index = graph.op("Where", &[&inside, &index, &mirrored], vec![]);
    graph.op("Gather", &[x, &index], vec![int("axis", axis as i64)])
}

/// `x` grown at the end of every axis that atoms of `size` slide along, until they cover it. There are no such axes for
/// vectors, whose `size` is empty.
pub(super) fn grown(graph: &mut Graph, x: &str, size: &[usize], stride: usize) -> Value {
    let mut value = x.to_owned();
    for (k, size) in size.iter().enumerate() {
        let length = graph.length(&value, 2 + k);
        let extent = covered(graph, &length, *size, stride);
        value = reflected(graph, &value, 2 + k, 0, &extent);
    }
    value
}

/// The start of `value` with the lengths that `like` has along the axes from 2 to `rank`.
pub(super) fn crop(graph: &mut Graph, value: &str, like: &str, rank: usize) -> Value {
    if rank == 2 {
        return value.to_owned();
    }
    let axes: Vec<i64> = (2..rank as i64).collect();
    let starts = graph.integers(&vec![0; axes.len()]);
    let shape = graph.op("Shape", &[like], vec![]);
    let axes = graph.integers(&axes);
    let ends = graph.op("Gather", &[&shape, &axes], vec![int("axis", 0)]);
    graph.op("Slice", &[value, &starts, &ends, &axes], vec![])
}
