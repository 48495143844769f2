//! Checkpoints by name or by directory.

use std::path::Path;

use burn::tensor::Device;
use pudle_train::Checkpoint;

use crate::failure::Failure;

/// The default denoiser for pictures with this number of channels.
pub fn default_for(channels: usize) -> &'static str {
    if channels == 3 { "denoise-color" } else { "denoise-gray" }
}

/// Loads the shipped checkpoint of this name, or a checkpoint or run directory.
pub fn load(name_or_dir: &Path, device: &Device) -> Result<Checkpoint, Failure> {
    Ok(Checkpoint::load(name_or_dir, device)?)
}
