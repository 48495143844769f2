//! Initialisation of a model with the weights of a checkpoint.

use std::path::Path;

use burn::tensor::Device;
use pudle_core::{Configured, Pudle, PudleConfig};

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};

/// A model with these settings, initialised with those weights of the checkpoint in `dir` that it shares; see
/// [`Pudle::start_from`]. The other weights are drawn from `seed`.
///
/// # Errors
/// Returns an error if the checkpoint cannot be read, or if its atoms do not fit the settings.
pub(crate) fn start_from<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    seed: u64,
    dir: &Path,
    device: &Device,
) -> Result<Pudle<D, A>> {
    let checkpoint = Checkpoint::load(dir, device)?;
    Pudle::new(config, seed, device)?
        .start_from(&checkpoint.config, &checkpoint.model.weights())
        .map_err(|error| TrainError::Unsuitable(format!("{}: {error}", dir.display())))
}
