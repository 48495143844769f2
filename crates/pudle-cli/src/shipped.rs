//! Checkpoints by name or by directory.

use std::path::Path;

use burn::tensor::Device;
use pudle_train::{Checkpoint, ShiftCount};

use crate::failure::Failure;

/// The default denoiser for pictures with this number of channels, and this number of shifts if it is given. Two of the
/// denoisers were trained for the mean over many shifts.
pub fn default_for(channels: usize, shifts: Option<ShiftCount>) -> &'static str {
    match (channels, shifts) {
        (3, Some(ShiftCount::All)) => "denoise-color-shifts",
        (3, _) => "denoise-color",
        (_, Some(ShiftCount::All)) => "denoise-gray-shifts",
        _ => "denoise-gray",
    }
}

/// Loads the shipped checkpoint of this name, or a checkpoint or run directory.
pub fn load(name_or_dir: &Path, device: &Device) -> Result<Checkpoint, Failure> {
    Ok(Checkpoint::load(name_or_dir, device)?)
}
