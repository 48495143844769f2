//! A trained model as a directory: `config.toml` and `model.safetensors`.

use std::path::Path;

use burn::tensor::Device;
use pudle_core::{AnyPudle, Kernels, PudleConfig};
use pudle_data::Sigma;
use serde::{Deserialize, Serialize};

use crate::config::Versions;
use crate::error::{Result, TrainError};
use crate::files::{create_dir, write_whole};
use crate::sigma::check_sigma;
use crate::weights_file::{from_safetensors, to_safetensors};

/// File of the weights in a checkpoint.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// A model and its configuration.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The settings of the model.
    pub config: PudleConfig,
    /// The model.
    pub model: AnyPudle,
    /// Standard deviation of the noise that a denoiser was trained for, on the scale 0 … 255, if it is known.
    pub sigma: Option<Sigma>,
}

/// The parts of a `config.toml` that a checkpoint needs. The file of a run has more parts, which are ignored.
#[derive(Deserialize)]
struct ModelSection {
    model: PudleConfig,
    data: Option<DataSection>,
}

#[derive(Serialize, Deserialize)]
struct DataSection {
    sigma: Option<Sigma>,
}

impl ModelSection {
    fn parse(text: &str, path: &Path) -> Result<(PudleConfig, Option<Sigma>)> {
        let section: Self =
            toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))?;
        section.model.validate().map_err(|error| TrainError::in_file(path, error.into()))?;
        // Training with noise level 0 means that the model has no noise level.
        let sigma = section.data.and_then(|data| data.sigma).filter(|sigma| sigma.high() != 0.0);
        if let Some(sigma) = sigma {
            check_sigma("data.sigma", sigma.high())
                .and_then(|()| Ok(sigma.check("data.sigma")?))
                .map_err(|error| TrainError::in_file(path, error))?;
        }
        // The implementation is not a property of the model: another backend may run it.
        let model = section.model.with_kernels(Kernels::Auto).with_recompute(false);
        Ok((model, sigma))
    }
}

/// The `config.toml` of a checkpoint that is not a run directory.
#[derive(Serialize)]
struct BareConfig<'a> {
    versions: Versions,
    model: &'a PudleConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<DataSection>,
}

impl Checkpoint {
    /// Reads a checkpoint or a run directory.
    ///
    /// # Errors
    /// Returns an error if a file is missing or damaged, a setting is out of range, or the weights have another shape
    /// than configured. The error names the file.
    pub fn read(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let config = ModelSection::parse(&text, &path)?;
        let path = dir.join(WEIGHTS);
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        Self::from_bytes(config, &bytes, &path, device)
    }

    /// Reads a checkpoint from the contents of its two files. Errors use `name` in place of a path.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn from_parts(config: &str, bytes: &[u8], name: &str, device: &Device) -> Result<Self> {
        let name = Path::new(name);
        let config = ModelSection::parse(config, name)?;
        Self::from_bytes(config, bytes, name, device)
    }

    fn from_bytes(
        (config, sigma): (PudleConfig, Option<Sigma>),
        bytes: &[u8],
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        let model = from_safetensors(AnyPudle::new(&config, 0, device)?, bytes, path)?;
        Ok(Self { config, model, sigma })
    }

    /// Creates the directory `dir` and writes `config.toml` and the weights into it.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, or if `dir` holds a run, which would be damaged.
    pub fn write(&self, dir: &Path) -> Result<()> {
        if dir.join("checkpoint").exists() {
            return Err(TrainError::Unsuitable(format!(
                "{}: holds a run; write the checkpoint to another directory",
                dir.display()
            )));
        }
        create_dir(dir)?;
        let path = dir.join("config.toml");
        let config = BareConfig {
            versions: Versions::default(),
            model: &self.config,
            data: self.sigma.map(|sigma| DataSection { sigma: Some(sigma) }),
        };
        let text = toml::to_string(&config).map_err(|error| TrainError::ConfigFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.write_weights(dir)?;
        write_whole(&path, text.as_bytes())
    }

    pub(crate) fn write_weights(&self, dir: &Path) -> Result<()> {
        let path = dir.join(WEIGHTS);
        write_whole(&path, &to_safetensors(&self.model, &path)?)
    }
}
