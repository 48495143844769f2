//! The checkpoints that ship, for use from any folder.

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

/// The denoiser that is used for pictures of so many channels where none is named.
pub fn default_for(channels: usize) -> &'static str {
    if channels == 3 { "denoise-color" } else { "denoise-gray" }
}

/// Loads a checkpoint or run directory, or, where there is none of that name, the checkpoint that ships under it.
pub fn load(dir_or_name: &Path, device: &Device) -> Result<Checkpoint, Failure> {
    let known = SHIPPED.iter().find(|shipped| Path::new(shipped.name) == dir_or_name);
    match known {
        Some(shipped) if !dir_or_name.exists() => {
            Ok(Checkpoint::from_parts(shipped.config, shipped.weights, shipped.name, device)?)
        }
        _ => Ok(Checkpoint::read(dir_or_name, device)?),
    }
}

/// [`load`], with the settings of the run that made it.
pub fn load_run(dir_or_name: &Path, device: &Device) -> Result<(Checkpoint, RunConfig), Failure> {
    let checkpoint = load(dir_or_name, device)?;
    let shipped = SHIPPED.iter().find(|shipped| Path::new(shipped.name) == dir_or_name);
    let config = match shipped {
        Some(shipped) if !dir_or_name.exists() => RunConfig::parse(shipped.config, dir_or_name)?,
        _ => RunConfig::read(&dir_or_name.join("config.toml"))?,
    };
    Ok((checkpoint, config))
}

/// [`load`], for pictures.
pub fn load_denoiser(dir_or_name: &Path, device: &Device) -> Result<Denoiser, Failure> {
    let name = dir_or_name.display().to_string();
    Ok(Denoiser::new(load(dir_or_name, device)?, &name, device)?)
}
