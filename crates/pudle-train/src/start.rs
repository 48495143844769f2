//! The weights of one model as the start of another.

use std::path::Path;

use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, TensorData};
use pudle_core::{Configured, DictionaryConfig, Pudle};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::checkpoint::{AnyPudle, Checkpoint, WEIGHTS, weights};
use crate::config::RunConfig;
use crate::error::{Result, TrainError};

/// The model of a run with the weights of the checkpoint in `dir`, as far as both have them, with the same
/// meaning: thresholds only where both learn them in the same way. Grey filters start a dictionary of at least as many over
/// colours: each spread evenly over the three channels, with random ones after them.
pub(crate) fn start_from<const D: usize, A: Configured<D>>(
    config: &RunConfig,
    dir: &Path,
    device: &Device,
) -> Result<Pudle<D, A>> {
    let (model, seed) = (&config.model, config.seed);
    let checkpoint = Checkpoint::read(dir, device)?;
    let path = dir.join(WEIGHTS);
    let mut bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
    let alike = model.threshold.with_lambda(0.0) == checkpoint.config.threshold.with_lambda(0.0)
        && model.layers == checkpoint.config.layers;
    let (atoms, shape) = checkpoint.model.atoms();
    let expected = model.dictionary.shape();
    let mut start = if shape == expected {
        Pudle::from_data(model, TensorData::new(atoms, shape), device)?
    } else if is_coloured(&checkpoint.config.dictionary, &model.dictionary) {
        let random = AnyPudle::new(model, seed, device)?.to_safetensors(&path)?;
        bytes = coloured(&bytes, &random).map_err(|reason| weights(&path, reason))?;
        Pudle::new(model, seed, device)?
    } else {
        return Err(TrainError::Unsuitable(format!(
            "{}: its atoms have shape {shape:?}, those of the new model {expected:?}",
            dir.display()
        )));
    };
    let mut store = SafetensorsStore::from_bytes(Some(bytes)).allow_partial(true);
    if !alike {
        store = store.with_predicate(|path, _| !path.starts_with("threshold"));
    }
    let applied = start.load_from(&mut store).map_err(|error| weights(&path, error))?;
    match applied.errors.first() {
        Some(error) => Err(weights(&path, error)),
        None => Ok(start),
    }
}

/// Whether filters `from` over grey pictures can start `to` over colour ones.
fn is_coloured(from: &DictionaryConfig, to: &DictionaryConfig) -> bool {
    match (from, to) {
        (DictionaryConfig::Conv2d(from), DictionaryConfig::Conv2d(to)) => {
            (from.channels, to.channels) == (1, 3)
                && (from.size, from.stride) == (to.size, to.stride)
                && from.atoms <= to.atoms
        }
        _ => false,
    }
}

/// The weights `random` of a model over colours, with those of the `grey` one in place of its first atoms. Unit norm is kept,
/// and with it what noise is to a code.
fn coloured(grey: &[u8], random: &[u8]) -> Result<Vec<u8>, String> {
    let said = |error: safetensors::SafeTensorError| error.to_string();
    let grey = SafeTensors::deserialize(grey).map_err(said)?;
    let random = SafeTensors::deserialize(random).map_err(said)?;
    let values = |view: &TensorView<'_>| -> Vec<f32> {
        view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let mut tensors = Vec::new();
    for (name, view) in random.iter() {
        let mut weights = values(&view);
        // Banks that only this one has start from the dictionary.
        let bank =
            || name.ends_with(".atoms").then(|| grey.tensor("dictionary.atoms").ok()).flatten();
        if let Some(from) = grey.tensor(name).ok().or_else(bank) {
            let known = values(&from);
            match (from.shape(), view.shape()) {
                ([_, 1, ..], [_, 3, height, width]) => {
                    let size = height * width;
                    let filters = weights.chunks_exact_mut(3 * size).zip(known.chunks_exact(size));
                    for (filter, grey) in filters {
                        let spread = grey.iter().map(|value| value / 3f32.sqrt());
                        filter.iter_mut().zip(spread.cycle()).for_each(|(f, g)| *f = g);
                    }
                }
                // One number for each atom, in each layer perhaps.
                ([.., few], [.., many]) => {
                    let rows = weights.chunks_exact_mut(*many).zip(known.chunks_exact(*few));
                    rows.for_each(|(row, known)| row[..*few].copy_from_slice(known));
                }
                _ => {}
            }
        }
        let bytes: Vec<u8> = weights.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, view.shape().to_vec(), bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
    });
    let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(said)?;
    safetensors::serialize(views, None).map_err(said)
}
