//! The normalisation of data in a graph, and its inverse.

use pudle_data::{Normalization, Normalize};

use super::graph::{Graph, Value, int, ints};

/// The normalisation of the input of a graph.
pub(super) struct Normal {
    /// The normalised input.
    pub inside: Value,
    mean: Option<Value>,
    scale: Option<Value>,
    /// The norm of every datum, `[b, 1]`, by which reconstruction and code are multiplied.
    norm: Option<Value>,
}

impl Normal {
    /// Normalises `x`.
    pub fn new(normalization: &Normalization, graph: &mut Graph, x: &str) -> Self {
        let mut inside = x.to_owned();
        let mut numbers = |name: &str, values: &[f32]| {
            (!values.is_empty()).then(|| graph.weights(name, &[values.len()], values))
        };
        let mean = numbers("mean", normalization.mean());
        let scale = numbers("scale", normalization.scale());
        if let Some(mean) = &mean {
            inside = graph.op("Sub", &[&inside, mean], vec![]);
        }
        if let Some(scale) = &scale {
            inside = graph.op("Div", &[&inside, scale], vec![]);
        }
        let norm = (normalization.kind() == Normalize::Unit).then(|| {
            let axis = vec![ints("axes", vec![1]), int("keepdims", 1)];
            graph.op("ReduceL2", &[x], axis)
        });
        if let Some(norm) = &norm {
            // A datum of zeros stays one.
            let least = graph.number(f64::from(f32::MIN_POSITIVE));
            let norm = graph.op("Max", &[norm, &least], vec![]);
            inside = graph.op("Div", &[&inside, &norm], vec![]);
        }
        Self { inside, mean, scale, norm }
    }

    /// Reconstruction and code of the data as they came.
    pub fn undo(&self, graph: &mut Graph, estimate: Value, code: Value) -> (Value, Value) {
        let (mut estimate, mut code) = (estimate, code);
        if let Some(norm) = &self.norm {
            estimate = graph.op("Mul", &[&estimate, norm], vec![]);
            code = graph.op("Mul", &[&code, norm], vec![]);
        }
        if let Some(scale) = &self.scale {
            estimate = graph.op("Mul", &[&estimate, scale], vec![]);
        }
        if let Some(mean) = &self.mean {
            estimate = graph.op("Add", &[&estimate, mean], vec![]);
        }
        (estimate, code)
    }
}
