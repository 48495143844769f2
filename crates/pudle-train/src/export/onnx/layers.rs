//! The unrolled layers and the decoder.

use pudle_core::{Proximal, WeightTying};

use super::graph::{Graph, Value, int, ints};
use super::levels::{Level, Levels};
use crate::checkpoint::Checkpoint;
use crate::network_file::extrapolation;

/// The network in a graph.
pub(super) struct Layers {
    pub graph: Graph,
    /// The lengths of an atom along the axes that it slides along; none for vectors.
    pub size: Vec<usize>,
    stride: usize,
    proximal: Proximal,
    /// FISTA's weight of each layer.
    extrapolation: Vec<f64>,
    levels: Levels,
    banks: Banks,
    step: Value,
}

/// The weights, as values of the graph.
struct Banks {
    analysis: Value,
    synthesis: Value,
    decoder: Value,
    gain: Option<Value>,
}

impl Banks {
    fn new(checkpoint: &Checkpoint, graph: &mut Graph) -> Self {
        let shape = checkpoint.config.dictionary.shape();
        let mut bank = |path: &str| {
            let weight = checkpoint.model.weight(path).expect("the tying says which banks exist");
            graph.weights(path, &shape, &weight.to_vec())
        };
        let synthesis = bank("dictionary.atoms");
        let (analysis, decoder) = match checkpoint.config.tying {
            WeightTying::Tied | WeightTying::Gain => (synthesis.clone(), synthesis.clone()),
            WeightTying::Decoder => (synthesis.clone(), bank("decoder.atoms")),
            WeightTying::Untied => (bank("analysis.atoms"), bank("decoder.atoms")),
        };
        let gain = checkpoint.model.weight("gain").map(|gain| {
            let mut axes = vec![1; shape.len()];
            axes[1] = gain.len();
            graph.weights("gain", &axes, &gain.to_vec())
        });
        Self { analysis, synthesis, decoder, gain }
    }
}

impl Layers {
    /// The network of a checkpoint with step size `step`.
    pub fn new(checkpoint: &Checkpoint, mut graph: Graph, step: f64, levels: Levels) -> Self {
        let config = &checkpoint.config;
        let shape = config.dictionary.shape();
        let banks = Banks::new(checkpoint, &mut graph);
        let step = graph.number(step);
        Self {
            graph,
            size: if shape.len() == 2 { Vec::new() } else { shape[2..].to_vec() },
            stride: config.dictionary.stride().unwrap_or(1),
            proximal: config.prox,
            extrapolation: extrapolation(config.algorithm, config.layers),
            levels,
            banks,
            step,
        }
    }

    /// Repeats levels that depend on the datum for `count` copies of the batch.
    pub fn repeat_levels(&mut self, count: usize) {
        self.levels.repeat(&mut self.graph, count);
    }

    /// Reconstruction and code of data that the atoms cover, both without the offset.
    pub fn run(&mut self, x: &str) -> (Value, Value) {
        let ascent = self.ascent(x);
        let mut code = self.shrunk(&ascent, 0);
        let mut previous: Option<Value> = None;
        for layer in 1..self.extrapolation.len() {
            let point = self.point(&code, previous.as_deref(), self.extrapolation[layer]);
            let synthesis = self.banks.synthesis.clone();
            let data = self.synthesized(&point, &synthesis);
            let residual = self.graph.op("Sub", &[x, &data], vec![]);
            let ascent = self.ascent(&residual);
            let v = self.graph.op("Add", &[&point, &ascent], vec![]);
            let next = self.shrunk(&v, layer);
            previous = Some(std::mem::replace(&mut code, next));
        }
        let scaled = match &self.banks.gain {
            Some(gain) => self.graph.op("Mul", &[&code, gain], vec![]),
            None => code.clone(),
        };
        let decoder = self.banks.decoder.clone();
        (self.synthesized(&scaled, &decoder), code)
    }

    /// The point that a layer starts from.
    fn point(&mut self, code: &str, previous: Option<&str>, weight: f64) -> Value {
        match previous {
            Some(previous) if weight != 0.0 => {
                let difference = self.graph.op("Sub", &[code, previous], vec![]);
                let weight = self.graph.number(weight);
                let momentum = self.graph.op("Mul", &[&difference, &weight], vec![]);
                self.graph.op("Add", &[code, &momentum], vec![])
            }
            _ => code.to_owned(),
        }
    }

    /// `α Dᵀ r`.
    fn ascent(&mut self, residual: &str) -> Value {
        let strides = ints("strides", vec![self.stride as i64; self.size.len()]);
        let analysis = match self.size.is_empty() {
            true => self.graph.op("MatMul", &[residual, &self.banks.analysis], vec![]),
            false => self.graph.op("Conv", &[residual, &self.banks.analysis], vec![strides]),
        };
        self.graph.op("Mul", &[&analysis, &self.step], vec![])
    }

    /// `D z` with the atoms `bank`.
    fn synthesized(&mut self, code: &str, bank: &str) -> Value {
        if self.size.is_empty() {
            return self.graph.op("Gemm", &[code, bank], vec![int("transB", 1)]);
        }
        let strides = ints("strides", vec![self.stride as i64; self.size.len()]);
        self.graph.op("ConvTranspose", &[code, bank], vec![strides])
    }

    /// The proximal operator.
    fn shrunk(&mut self, v: &str, layer: usize) -> Value {
        let graph = &mut self.graph;
        let level = self.levels.of(layer).clone();
        if let (Proximal::Soft, Level::Number(theta)) = (self.proximal, &level) {
            let (low, high) = (graph.number(-theta), graph.number(*theta));
            let middle = graph.op("Clip", &[v, &low, &high], vec![]);
            return graph.op("Sub", &[v, &middle], vec![]);
        }
        let theta = match level {
            Level::Number(theta) => graph.number(theta),
            Level::PerAtom(theta) => theta,
        };
        let above = |graph: &mut Graph, v: &str| {
            let rest = graph.op("Sub", &[v, &theta], vec![]);
            graph.op("Relu", &[&rest], vec![])
        };
        match self.proximal {
            Proximal::Soft => {
                let positive = above(graph, v);
                let turned = graph.op("Neg", &[v], vec![]);
                let negative = above(graph, &turned);
                graph.op("Sub", &[&positive, &negative], vec![])
            }
            Proximal::Relu => above(graph, v),
            Proximal::Hard => {
                let magnitude = graph.op("Abs", &[v], vec![]);
                let small = graph.op("LessOrEqual", &[&magnitude, &theta], vec![]);
                let zero = graph.number(0.0);
                graph.op("Where", &[&small, &zero, v], vec![])
            }
            Proximal::TopK(top) => largest(graph, v, top.k),
            Proximal::Group(_) => unreachable!("groups are refused before the graph is built"),
        }
    }
}

/// The `k` codes of largest magnitude, and 0 elsewhere.
fn largest(graph: &mut Graph, v: &str, k: usize) -> Value {
    let magnitude = graph.op("Abs", &[v], vec![]);
    let count = graph.integers(&[k as i64]);
    let axis = || vec![int("axis", 1)];
    let places = graph.second("TopK", &[&magnitude, &count], axis());
    let kept = graph.op("GatherElements", &[v, &places], axis());
    let zero = graph.number(0.0);
    let shape = graph.op("Shape", &[v], vec![]);
    let zeros = graph.op("Expand", &[&zero, &shape], vec![]);
    graph.op("ScatterElements", &[&zeros, &places, &kept], axis())
}
