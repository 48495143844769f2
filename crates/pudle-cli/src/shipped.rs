//! The shipped checkpoints. They are part of the program, so that they work in any folder.

use std::path::Path;

use burn::tensor::Device;
use pudle_train::{Checkpoint, Denoiser, RunConfig};

use crate::failure::Failure;

struct Shipped {
    name: &'static str,
    config: &'static str,
    weights: &'static [u8],
}

macro_rules! shipped {
    ($($name:literal),*) => {
        &[$(Shipped {
            name: $name,
            config: include_str!(concat!("../../../checkpoints/", $name, "/config.toml")),
            weights: include_bytes!(concat!("../../../checkpoints/", $name, "/model.safetensors")),
        }),*]
    };
}

const SHIPPED: &[Shipped] =
    shipped!["denoise-gray-sigma25", "denoise-gray", "denoise-color", "denoise-published"];

/// The default denoiser for pictures with this number of channels.
pub fn default_for(channels: usize) -> &'static str {
    if channels == 3 { "denoise-color" } else { "denoise-gray" }
}

/// Loads a checkpoint or run directory. If no such directory exists, loads the shipped checkpoint of that name.
pub fn load(dir_or_name: &Path, device: &Device) -> Result<Checkpoint, Failure> {
    let known = SHIPPED.iter().find(|shipped| Path::new(shipped.name) == dir_or_name);
    match known {
        Some(shipped) if !dir_or_name.exists() => {
            Ok(Checkpoint::from_parts(shipped.config, shipped.weights, shipped.name, device)?)
        }
        _ => Ok(Checkpoint::read(dir_or_name, device)?),
    }
}

/// Does the same as [`load`], and also returns the settings of the run that trained the checkpoint.
pub fn load_run(dir_or_name: &Path, device: &Device) -> Result<(Checkpoint, RunConfig), Failure> {
    let checkpoint = load(dir_or_name, device)?;
    let shipped = SHIPPED.iter().find(|shipped| Path::new(shipped.name) == dir_or_name);
    let config = match shipped {
        Some(shipped) if !dir_or_name.exists() => RunConfig::parse(shipped.config, dir_or_name)?,
        _ => RunConfig::read(&dir_or_name.join("config.toml"))?,
    };
    Ok((checkpoint, config))
}

/// Loads a checkpoint with [`load`] as a denoiser.
pub fn load_denoiser(dir_or_name: &Path, device: &Device) -> Result<Denoiser, Failure> {
    let name = dir_or_name.display().to_string();
    Ok(Denoiser::new(load(dir_or_name, device)?, &name, device)?)
}
