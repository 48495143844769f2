//! The whole network as an ONNX graph.
//!
//! Inputs are `x`, and `sigma` (one number for each datum, on the scale 0 … 255 for pictures) if the noise matters. Outputs
//! are `x_hat` and `code`. Batch, length, height and width are free.

mod extent;
mod graph;
mod layers;
mod levels;
mod normal;
mod proto;
mod shifts;

use std::path::Path;

use pudle_core::{DictionaryConfig, Proximal};
use pudle_data::Sigma;

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::network_file::{self, KEY, NetworkFile};
use extent::{crop, grown};
use graph::{Axis, Graph, Value};
use layers::Layers;
use levels::Levels;
use normal::Normal;

/// A file of ONNX has at most 2 GiB.
const MOST_WEIGHTS: usize = 1 << 28;

/// The graph of a checkpoint as a file: with one grid of atoms, or with the mean over all shifts of it. Errors name `path`.
pub(super) fn to_onnx(checkpoint: &Checkpoint, all_shifts: bool, path: &Path) -> Result<Vec<u8>> {
    let unsuitable = |reason: String| TrainError::weights(path, reason);
    let config = &checkpoint.config;
    let weights: usize = checkpoint.model.weights().iter().map(|weight| weight.len()).sum();
    if weights > MOST_WEIGHTS {
        return Err(unsuitable(format!("{weights} weights are more than a file of ONNX holds")));
    }
    if let Proximal::Group(_) = config.prox {
        let reason = format!("the operator {} cannot be written as ONNX", config.prox);
        return Err(unsuitable(reason));
    }
    let Some(step) = network_file::step(&checkpoint.model) else {
        let reason = "the step size 1/‖D‖² depends on the size of the data, which ONNX leaves free; a number is needed";
        return Err(unsuitable(reason.into()));
    };
    let stride = config.dictionary.stride().unwrap_or(1);
    if all_shifts && !matches!(config.dictionary, DictionaryConfig::Conv2d(_)) {
        return Err(unsuitable("only filters over images have shifts".into()));
    }
    let mut graph = Graph::default();
    let (rank, channels) = (config.dictionary.shape().len(), channels(&config.dictionary));
    let x = graph.input("x", &axes(rank, channels));
    let sigma = sigma_input(checkpoint, &mut graph, rank);
    let normal = Normal::new(&checkpoint.normalization, &mut graph, &x);
    let inside = centred(checkpoint, &mut graph, &normal.inside, sigma.as_ref());
    let levels =
        Levels::new(checkpoint, &mut graph, step, sigma.as_ref().map(|s| s.inside.as_str()));
    let mut layers = Layers::new(checkpoint, graph, step, levels);
    let (estimate, code) = if all_shifts && stride > 1 {
        shifts::mean(&mut layers, &inside, stride)
    } else {
        let data = grown(&mut layers.graph, &inside, &layers.size, stride);
        let (estimate, code) = layers.run(&data);
        (crop(&mut layers.graph, &estimate, &x, rank), code)
    };
    let mut graph = layers.graph;
    let estimate = restored(checkpoint, &mut graph, estimate, sigma.as_ref());
    let (estimate, code) = normal.undo(&mut graph, estimate, code);
    graph.output("x_hat", &estimate, &axes(rank, channels));
    graph.output("code", &code, &code_axes(rank, config.dictionary.atoms(), all_shifts));
    Ok(graph.finish((KEY, NetworkFile::of(checkpoint).to_json())))
}

/// The channels of the data, or their dimension.
fn channels(config: &DictionaryConfig) -> usize {
    match config {
        DictionaryConfig::Dense(dense) => dense.dim,
        DictionaryConfig::Conv1d(conv) | DictionaryConfig::Conv2d(conv) => conv.channels,
    }
}

fn axes(rank: usize, channels: usize) -> Vec<Axis> {
    let lengths: &[&'static str] = match rank {
        4 => &["height", "width"],
        3 => &["length"],
        _ => &[],
    };
    let free = lengths.iter().copied().map(Axis::Free);
    [Axis::Free("batch"), Axis::Fixed(channels)].into_iter().chain(free).collect()
}

fn code_axes(rank: usize, atoms: usize, all_shifts: bool) -> Vec<Axis> {
    let batch = if all_shifts { "shifts_times_batch" } else { "batch" };
    let lengths: &[&'static str] = match rank {
        4 => &["code_height", "code_width"],
        3 => &["code_length"],
        _ => &[],
    };
    let free = lengths.iter().copied().map(Axis::Free);
    [Axis::Free(batch), Axis::Fixed(atoms)].into_iter().chain(free).collect()
}

/// The noise of the data.
struct SigmaValues {
    /// The noise that the network sees, with an axis of length 1 for each axis of the data after the batch.
    inside: Value,
    /// The factor from the data to the network, if data are scaled to the noise of the training.
    ratio: Option<Value>,
}

/// The input `sigma`, if the noise matters: to the thresholds, or because pictures are scaled to the noise of the training.
fn sigma_input(checkpoint: &Checkpoint, graph: &mut Graph, rank: usize) -> Option<SigmaValues> {
    let trained: Option<Sigma> = checkpoint.sigma.filter(|_| rank == 4);
    if trained.is_none() && !checkpoint.config.threshold.depends_on_noise() {
        return None;
    }
    let sigma = graph.input("sigma", &[Axis::Free("batch")]);
    let axes = graph.integers(&(1..rank as i64).collect::<Vec<_>>());
    let sigma = graph.op("Unsqueeze", &[&sigma, &axes], vec![]);
    let Some(trained) = trained else { return Some(SigmaValues { inside: sigma, ratio: None }) };
    let low = graph.number(f64::from(trained.low()));
    let high = graph.number(f64::from(trained.high()));
    let inside = graph.op("Clip", &[&sigma, &low, &high], vec![]);
    let ratio = graph.op("Div", &[&inside, &sigma], vec![]);
    Some(SigmaValues { inside, ratio: Some(ratio) })
}

/// The data without the offset, scaled to the noise of the training.
fn centred(
    checkpoint: &Checkpoint,
    graph: &mut Graph,
    x: &str,
    sigma: Option<&SigmaValues>,
) -> Value {
    let mut value = x.to_owned();
    if checkpoint.config.offset != 0.0 {
        let offset = graph.number(checkpoint.config.offset);
        value = graph.op("Sub", &[&value, &offset], vec![]);
    }
    match sigma.and_then(|sigma| sigma.ratio.as_ref()) {
        Some(ratio) => graph.op("Mul", &[&value, ratio], vec![]),
        None => value,
    }
}

/// The inverse of [`centred`].
fn restored(
    checkpoint: &Checkpoint,
    graph: &mut Graph,
    estimate: Value,
    sigma: Option<&SigmaValues>,
) -> Value {
    let value = match sigma.and_then(|sigma| sigma.ratio.as_ref()) {
        Some(ratio) => graph.op("Div", &[&estimate, ratio], vec![]),
        None => estimate,
    };
    if checkpoint.config.offset == 0.0 {
        return value;
    }
    let offset = graph.number(checkpoint.config.offset);
    graph.op("Add", &[&value, &offset], vec![])
}
