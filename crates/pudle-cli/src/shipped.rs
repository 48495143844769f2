//! The checkpoint that ships, for use from any folder.

use burn::tensor::Device;
use pudle_train::Checkpoint;

use crate::Failure;

const CONFIG: &str = include_str!("../../../checkpoints/denoise-gray-sigma25/config.toml");
const WEIGHTS: &[u8] =
    include_bytes!("../../../checkpoints/denoise-gray-sigma25/model.safetensors");

/// What it is called.
pub const NAME: &str = "denoise-gray-sigma25";

/// Loads it.
pub fn shipped(device: &Device) -> Result<Checkpoint, Failure> {
    Ok(Checkpoint::from_parts(CONFIG, WEIGHTS, NAME, device)?)
}
