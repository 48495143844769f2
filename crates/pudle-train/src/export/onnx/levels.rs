//! The levels `θ` of the proximal operator in every layer, as values of the graph.

use pudle_core::{Noise, ThresholdConfig};

use super::graph::{Graph, Value, int};
use crate::checkpoint::Checkpoint;

/// The level of a layer.
#[derive(Clone, Debug)]
pub(super) enum Level {
    /// One number for all atoms.
    Number(f64),
    /// A number for each atom, `[1, p, 1, …]`, or for each datum and atom, `[b, p, 1, …]`.
    PerAtom(Value),
}

/// The levels of the layers: one for each, or one for all.
pub(super) struct Levels {
    levels: Vec<Level>,
    /// Whether levels depend on the datum.
    per_datum: bool,
}

impl Levels {
    /// The levels at step size `step`. `sigma` is the noise that the network sees, if the noise matters.
    pub fn new(checkpoint: &Checkpoint, graph: &mut Graph, step: f64, sigma: Option<&str>) -> Self {
        let config = &checkpoint.config;
        let count = if config.threshold.varies_over_layers() { config.layers } else { 1 };
        // Only the level of a hard threshold is λ itself.
        let factor = if config.prox.level_name() == Some("level") { 1.0 } else { step };
        let per_datum = config.threshold.depends_on_noise();
        let levels = (0..count).map(|layer| match config.threshold {
            ThresholdConfig::Learned(learned) => {
                let rows = Rows { checkpoint, layer };
                match (learned.sigma, sigma) {
                    (Some(unit), Some(sigma)) => {
                        Level::PerAtom(rows.affine(graph, sigma, unit, factor))
                    }
                    _ => {
                        let lambda = rows.row("threshold.lambda");
                        let scaled = lambda.iter().map(|v| v * factor as f32).collect();
                        Level::PerAtom(rows.weights(graph, "level", scaled))
                    }
                }
            }
            _ => {
                let lambda = checkpoint.model.lambda(layer, &Noise::Unknown)[0];
                Level::Number(f64::from(lambda) * factor)
            }
        });
        Self { levels: levels.collect(), per_datum }
    }

    /// The level of a layer.
    pub fn of(&self, layer: usize) -> &Level {
        &self.levels[layer.min(self.levels.len() - 1)]
    }

    /// Repeats the levels of a batch for `count` copies of it.
    pub fn repeat(&mut self, graph: &mut Graph, count: usize) {
        if !self.per_datum {
            return;
        }
        for level in &mut self.levels {
            if let Level::PerAtom(value) = level {
                let copies = vec![value.as_str(); count];
                *value = graph.op("Concat", &copies, vec![int("axis", 0)]);
            }
        }
    }
}

/// The weights of the thresholds of one layer.
struct Rows<'a> {
    checkpoint: &'a Checkpoint,
    layer: usize,
}

impl Rows<'_> {
    /// The numbers of this layer in a weight `[1 or T, p]`.
    fn row(&self, path: &str) -> Vec<f32> {
        let weight = self.checkpoint.model.weight(path).expect("learned thresholds have weights");
        let p = self.checkpoint.config.dictionary.atoms();
        let values = weight.to_vec();
        let start = if values.len() == p { 0 } else { self.layer * p };
        values[start..start + p].to_vec()
    }

    /// Numbers for the atoms, `[1, p, 1, …]`.
    fn weights(&self, graph: &mut Graph, name: &str, values: Vec<f32>) -> Value {
        let mut shape = vec![1; self.checkpoint.config.dictionary.shape().len()];
        shape[1] = values.len();
        graph.weights(&format!("threshold.{name}.{}", self.layer), &shape, &values)
    }

    /// `factor max(a + b σ/unit, 0)`.
    fn affine(&self, graph: &mut Graph, sigma: &str, unit: f64, factor: f64) -> Value {
        let a = self.weights(graph, "lambda", self.row("threshold.lambda"));
        let b = self.weights(graph, "slope", self.row("threshold.slope"));
        let unit = graph.number(unit);
        let ratio = graph.op("Div", &[sigma, &unit], vec![]);
        let slope = graph.op("Mul", &[&b, &ratio], vec![]);
        let lambda = graph.op("Add", &[&a, &slope], vec![]);
        let lambda = graph.op("Relu", &[&lambda], vec![]);
        let factor = graph.number(factor);
        graph.op("Mul", &[&lambda, &factor], vec![])
    }
}
