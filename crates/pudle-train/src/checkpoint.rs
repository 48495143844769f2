//! A trained model as a directory: `config.toml` and `model.safetensors`.

use std::path::Path;

use burn::tensor::Device;
use pudle_core::{AnyPudle, DictionaryConfig, Kernels, PudleConfig};
use pudle_data::{Normalization, Normalize, Sigma};
use serde::{Deserialize, Serialize};

use crate::checkpoints::Checkpoints;
use crate::config::Versions;
use crate::error::{Result, TrainError};
use crate::files::{create_dir, matches_sum, write_summed, write_whole};
use crate::normalization;
use crate::run_weights::model_of_run;
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
    /// How data are normalised before they are encoded.
    pub normalization: Normalization,
}

/// The parts of a `config.toml` that a checkpoint needs. The file of a run has more parts, which are ignored.
#[derive(Deserialize)]
struct ModelSection {
    model: PudleConfig,
    data: Option<DataSection>,
    training: Option<TrainingSection>,
}

#[derive(Deserialize)]
struct TrainingSection {
    steps: Option<usize>,
    stopped_at: Option<usize>,
}

/// What a checkpoint takes from its `config.toml`.
struct Settings {
    model: PudleConfig,
    sigma: Option<Sigma>,
    /// The normalisation that a run asks for.
    normalize: Normalize,
    /// Steps of the whole run, if it is a run.
    steps: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct DataSection {
    sigma: Option<Sigma>,
    #[serde(default, skip_serializing)]
    normalize: Normalize,
}

impl ModelSection {
    fn parse(text: &str, path: &Path) -> Result<Settings> {
        let section: Self =
            toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))?;
        section.model.validate().map_err(|error| TrainError::in_file(path, error.into()))?;
        // Training with noise level 0 means that the model has no noise level.
        let normalize = section.data.as_ref().map_or(Normalize::None, |data| data.normalize);
        let sigma = section.data.and_then(|data| data.sigma).filter(|sigma| sigma.high() != 0.0);
        if let Some(sigma) = sigma {
            check_sigma("data.sigma", sigma.high())
                .and_then(|()| Ok(sigma.check("data.sigma")?))
                .map_err(|error| TrainError::in_file(path, error))?;
        }
        // The implementation is not a property of the model: another backend may run it.
        let model = section.model.with_kernels(Kernels::Auto).with_recompute(false);
        let steps = section.training.and_then(|training| training.stopped_at.or(training.steps));
        Ok(Settings { model, sigma, normalize, steps })
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
    /// Reads a checkpoint or a run directory. If a run has not finished, or its final weights are damaged, the last whole
    /// checkpoint is taken, and a warning says of which step it is.
    ///
    /// # Errors
    /// Returns an error if a file is missing or damaged, a setting is out of range, or the weights have another shape
    /// than configured. The error names the file.
    pub fn read(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let settings = ModelSection::parse(&text, &path)?;
        let normalization = settings.normalization(dir)?;
        let path = dir.join(WEIGHTS);
        let checkpoints = Checkpoints::of_run(dir);
        let last = if checkpoints.is_empty() { None } else { checkpoints.last_readable() };
        let unfinished = last.is_some_and(|step| settings.steps.is_some_and(|all| step < all));
        let result = match last {
            Some(_) if unfinished || !path.exists() => None,
            _ => Some(Self::from_file(&settings, &path, device)),
        };
        let all = settings.steps.unwrap_or_default();
        match (result, last) {
            (Some(Ok(checkpoint)), _) => Ok(Self { normalization, ..checkpoint }),
            (Some(Err(error)), None) => Err(error),
            (failed, Some(step)) => {
                if let Some(Err(error)) = failed {
                    log::warn!("{error}");
                }
                let dir = dir.display();
                log::warn!("{dir}: uses the weights of the checkpoint of step {step} of {all}");
                let Settings { model: config, sigma, .. } = settings;
                let model = model_of_run(&config, &checkpoints.file("model", step), device)?;
                Ok(Self { config, model, sigma, normalization })
            }
            (None, None) => unreachable!("without a checkpoint the file is read"),
        }
    }

    /// Reads the file of weights, and compares it with its checksum if it has one.
    fn from_file(settings: &Settings, path: &Path, device: &Device) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
        matches_sum(path, &bytes)?;
        Self::from_bytes(settings, &bytes, path, device)
    }

    /// Reads a checkpoint from the contents of its two files. Errors use `name` in place of a path.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn from_parts(config: &str, bytes: &[u8], name: &str, device: &Device) -> Result<Self> {
        let name = Path::new(name);
        let settings = ModelSection::parse(config, name)?;
        Self::from_bytes(&settings, bytes, name, device)
    }

    fn from_bytes(settings: &Settings, bytes: &[u8], path: &Path, device: &Device) -> Result<Self> {
        let Settings { model: config, sigma, .. } = settings;
        // A file of a few bytes must not cost the memory that its settings claim. The smallest numbers have two bytes.
        let atoms: usize = config.dictionary.shape().iter().product();
        if bytes.len() / 2 < atoms {
            let reason = format!("{} bytes cannot hold atoms of {atoms} numbers", bytes.len());
            return Err(TrainError::weights(path, reason));
        }
        let model = from_safetensors(AnyPudle::new(config, 0, device)?, bytes, path)?;
        Ok(Self {
            config: config.clone(),
            model,
            sigma: *sigma,
            normalization: Normalization::none(),
        })
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
            data: self
                .sigma
                .map(|sigma| DataSection { sigma: Some(sigma), normalize: Normalize::None }),
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
        let metadata = ("project", "pudle".to_owned());
        let bytes = to_safetensors(&self.model, metadata, &path)?;
        normalization::write(&self.normalization, dir)?;
        write_summed(&path, Some(&bytes))
    }
}

impl Settings {
    /// The normalisation in the folder of the checkpoint.
    fn normalization(&self, dir: &Path) -> Result<Normalization> {
        let width = match self.model.dictionary {
            DictionaryConfig::Dense(dense) => dense.dim,
            _ => 0,
        };
        if let Some(normalization) = normalization::read(dir, width)? {
            return Ok(normalization);
        }
        if !matches!(self.normalize, Normalize::None | Normalize::Unit) {
            log::warn!(
                "{}: has no file of its normalisation \"{}\", so data are taken as normalised",
                dir.display(),
                self.normalize
            );
            return Ok(Normalization::none());
        }
        let unit = Normalization::new(self.normalize, width, Vec::new(), Vec::new());
        Ok(unit.unwrap_or_default())
    }
}
