//! A run, described completely.

mod preset;
mod validate;

pub use preset::Preset;

use std::path::{Path, PathBuf};

use pudle_core::{Backend, PudleConfig};
use pudle_data::Sigma;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::files::write_whole;
use crate::update::{Update, UpdateRule};

/// Everything that a run depends on; the `config.toml` of a run directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of the initial atoms, the order of the data, crops, flips and noise.
    #[serde(default)]
    pub seed: u64,
    /// Backend that the run used, or shall use.
    #[serde(default)]
    pub backend: Backend,
    /// The versions that wrote the file.
    #[serde(default)]
    pub versions: Versions,
    /// The model.
    pub model: PudleConfig,
    /// What it is trained on.
    pub data: DataConfig,
    /// How it is trained.
    #[serde(default)]
    pub training: TrainingConfig,
}

/// Versions that a run was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Of this project.
    pub pudle: String,
    /// Of Burn.
    pub burn: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { pudle: env!("CARGO_PKG_VERSION").into(), burn: BURN_VERSION.into() }
    }
}

/// Burn exports no version; the workspace pins this one, and a test compares the two.
pub(crate) const BURN_VERSION: &str = "0.22.1";

/// What a model is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataConfig {
    /// Noisy random crops of a folder of pictures against the clean crops.
    Photographs {
        /// The folder, searched with everything below it.
        dir: PathBuf,
        /// Photographs that the run validates on, whole and with fixed noise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid: Option<PathBuf>,
        /// Side of a crop in pixels.
        crop: usize,
        /// Standard deviation of the noise, on the scale 0 … 255: a number, or `[low, high]` for a level drawn
        /// for each crop.
        sigma: Sigma,
        /// Whether crops are flipped at random along both axes.
        flips: bool,
    },
    /// The same, of generated pictures: occluding discs.
    DeadLeaves {
        /// Side of a picture in pixels.
        side: usize,
        /// Number of different pictures.
        count: usize,
        /// Side of a crop in pixels.
        crop: usize,
        /// Standard deviation of the noise, on the scale 0 … 255: a number, or `[low, high]` for a level drawn
        /// for each crop.
        sigma: Sigma,
        /// Whether crops are flipped at random along both axes.
        flips: bool,
    },
    /// Draws `x = D* z* + noise` from a dictionary of the model's shape.
    SparseCoding {
        /// Non-zeros of a code, `s`.
        sparsity: usize,
        /// Number of different data.
        count: usize,
        /// Distribution of the non-zeros.
        amplitude: AmplitudeConfig,
        /// Standard deviation of the noise in `x`.
        noise: f32,
    },
    /// Digits from IDX files (MNIST), as vectors in [0, 1].
    Digits {
        /// The folder of the IDX files, or the images' file.
        path: PathBuf,
        /// Which digits to keep.
        classes: Vec<u8>,
    },
    /// Generated digits, strokes on 28×28 pixels, as vectors in [0, 1].
    Strokes {
        /// Number of different digits.
        count: usize,
        /// Which digits to draw.
        classes: Vec<u8>,
    },
}

/// Distribution of the non-zeros of a code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum AmplitudeConfig {
    /// Uniform on ±[`low`, `high`].
    Uniform {
        /// Smallest magnitude, ≥ 0.
        low: f32,
        /// Largest magnitude.
        high: f32,
        /// One random sign for all non-zeros of a datum, instead of one for each.
        sign_per_datum: bool,
    },
    /// `N(mean, sd)` times a random sign.
    Gaussian {
        /// Mean.
        mean: f32,
        /// Standard deviation, ≥ 0.
        sd: f32,
    },
}

/// How a model is trained: the weights are updated and projected at every step.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `steps` | 1000 | optimisation steps | ≥ 1 |
/// | `batch` | 1 | data per step | ≥ 1 |
/// | `update` | `adam` | how a step changes the weights, see [`UpdateRule`] | `adam`; `noodl` for a model whose dictionary is all that it learns |
/// | `learning_rate` | 1e-3 | of Adam, or η of NOODL | in (0, 1], or in (0, 1000] under `noodl` |
/// | `schedule` | `constant` | of the learning rate | `constant`, `cosine` (to 0 at `steps`) |
/// | `beta_1`, `beta_2` | 0.9, 0.999 | of Adam | in [0, 1) |
/// | `epsilon` | 1e-3 | of Adam | > 0 |
/// | `initialization` | `random` | of the atoms | see [`Initialization`] |
/// | `warm_up` | 0 | first steps, over which the learning rate grows from 0; a shorter run ends before the full rate | ≥ 0 |
/// | `shifts` | 1 | random shifts of the grid of atoms whose mean reconstruction is trained | 1 to `stride²` |
/// | `averaged` | `shifts` | shifts whose mean the loss stands for, by an unbiased estimate from those drawn | `shifts` to `stride²`, for at least two `shifts` |
/// | `clip` | none | largest norm of the gradient of a weight tensor; longer ones are scaled to it | > 0 |
/// | `without` | none | numbers of digits left out of the batches that draw them, from 0 | only where the data are digits |
/// | `checkpoint_every` | 500 | steps between checkpoints | ≥ 1 |
/// | `keep` | 2 | checkpoints that stay | ≥ 1 |
/// | `valid_every` | 500 | steps between validations | ≥ 1 |
/// | `ahead` | 4 | batches loaded ahead of training | 1 to 1024 |
/// | `cached_images` | 512 | decoded images held in memory | ≥ 0 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimisation steps.
    pub steps: u64,
    /// Data per step.
    pub batch: usize,
    /// How a step changes the weights.
    pub update: UpdateRule,
    /// Adam's learning rate, or η of NOODL.
    pub learning_rate: f64,
    /// What becomes of it.
    pub schedule: Schedule,
    /// Adam's decay of the first moment.
    pub beta_1: f32,
    /// Adam's decay of the second moment.
    pub beta_2: f32,
    /// Adam's ε.
    pub epsilon: f32,
    /// Where the atoms start.
    pub initialization: Initialization,
    /// First steps, over which the learning rate grows in proportion to their number.
    pub warm_up: u64,
    /// Shifts of the grid of atoms, drawn at each step, whose mean reconstruction is trained.
    pub shifts: usize,
    /// Shifts whose mean the loss stands for, as many as are drawn where this is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub averaged: Option<usize>,
    /// Largest norm of the gradient of a weight tensor; longer ones are scaled to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Numbers of training digits that are left out of the batches that draw them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<usize>,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints that stay.
    pub keep: usize,
    /// Steps between validations.
    pub valid_every: u64,
    /// Batches loaded ahead of training.
    pub ahead: usize,
    /// Decoded images held in memory.
    pub cached_images: usize,
}

/// The learning rate over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same at every step.
    Constant,
    /// Half a cosine, from the learning rate to 0 at the last step.
    Cosine,
}

/// Where the atoms start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Initialization {
    /// `N(0, 1)`, projected onto the unit sphere.
    Random,
    /// The true dictionary plus `N(0, sd²)`, projected; for sparse-coding data only.
    Perturbed {
        /// Standard deviation of the perturbation, ≥ 0.
        sd: f32,
    },
    /// The atoms of another run, with whatever else it learned that this model has, too, thresholds only where both
    /// learn them in the same way. Banks of their own that only this one has start from its atoms. Grey filters start
    /// a dictionary of at least as many over colours: spread evenly over the channels, with random ones after them.
    Checkpoint {
        /// Checkpoint or run directory.
        dir: PathBuf,
    },
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            batch: 1,
            update: UpdateRule::Adam,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-3,
            initialization: Initialization::Random,
            warm_up: 0,
            shifts: 1,
            averaged: None,
            clip: None,
            without: Vec::new(),
            checkpoint_every: 500,
            keep: 2,
            valid_every: 500,
            ahead: 4,
            cached_images: 512,
        }
    }
}

impl TrainingConfig {
    /// The update rule with its settings.
    pub(crate) fn update(&self) -> Update {
        Update {
            rule: self.update,
            learning_rate: self.learning_rate,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            clip: self.clip,
        }
    }
}

impl RunConfig {
    /// Reads a TOML file; its values are yet to be [validated](Self::validate).
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Self::parse(&text, path)
    }

    /// [`read`](Self::read) of a text, `path` standing for it in errors.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))
    }

    /// Reads a TOML file whose keys replace those of this configuration; the result is yet to be
    /// [validated](Self::validate). A section that names another `kind` replaces the whole section.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn overlaid(self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let over: toml::Table =
            toml::from_str(&text).map_err(|error| TrainError::toml(path, &text, &error))?;
        let failed = |reason: String| TrainError::ConfigFile { path: path.to_path_buf(), reason };
        let mut table = toml::Table::try_from(&self).map_err(|error| failed(error.to_string()))?;
        overlay(&mut table, over);
        table
            .try_into()
            .map_err(|error: toml::de::Error| failed(error.message().replace('\n', " ")))
    }

    /// [`validate`](Self::validate), with the file that the settings came from in the error.
    ///
    /// # Errors
    /// As `validate`.
    pub fn validate_from(&self, path: &Path) -> Result<()> {
        self.validate().map_err(|source| TrainError::InFile {
            path: path.to_path_buf(),
            source: Box::new(source),
        })
    }

    /// Writes the TOML file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| TrainError::ConfigFile {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
        write_whole(path, text.as_bytes())
    }

    /// Uses the data in `path`, of the kind that the present data have.
    ///
    /// # Errors
    /// Where these data are drawn and have no folder.
    pub fn set_data(&mut self, path: PathBuf) -> Result<()> {
        self.data = match self.data.clone() {
            DataConfig::Photographs { valid, crop, sigma, flips, .. } => {
                DataConfig::Photographs { dir: path, valid, crop, sigma, flips }
            }
            DataConfig::DeadLeaves { crop, sigma, flips, .. } => {
                DataConfig::Photographs { dir: path, valid: None, crop, sigma, flips }
            }
            DataConfig::Digits { classes, .. } | DataConfig::Strokes { classes, .. } => {
                DataConfig::Digits { path, classes }
            }
            DataConfig::SparseCoding { .. } => {
                return Err(TrainError::range(
                    "data.kind",
                    "sparse-coding",
                    "photographs, dead-leaves, digits or strokes where a data folder is given: \
                     sparse-coding data are drawn",
                ));
            }
        };
        Ok(())
    }

    /// Validates on the photographs in `dir`.
    ///
    /// # Errors
    /// Where the data are no photographs.
    pub fn set_valid(&mut self, dir: PathBuf) -> Result<()> {
        match &mut self.data {
            DataConfig::Photographs { valid, .. } => {
                *valid = Some(dir);
                Ok(())
            }
            _ => Err(TrainError::range(
                "data.kind",
                "not photographs",
                "photographs where a validation folder is given (with --data)",
            )),
        }
    }
}

fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over))
                if over.get("kind").is_none_or(|kind| base.get("kind") == Some(kind)) =>
            {
                overlay(base, over);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_over_a_preset() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[model]\nlayers = 4\n[model.threshold]\nlambda = 0.5\n\
                    [data]\nkind = \"photographs\"\ndir = \"x\"\ncrop = 33\nsigma = 10\n\
                    flips = false\n";
        std::fs::write(file.path(), text).unwrap();
        let config = Preset::Denoise.config().overlaid(file.path()).unwrap();
        assert_eq!(config.model, Preset::Denoise.config().model.with_layers(4).with_lambda(0.5));
        assert!(matches!(config.data, DataConfig::Photographs { crop: 33, .. }));
        assert_eq!(config.training, Preset::Denoise.config().training);
        for (text, word) in [("[model]\nlayrs = 4", "layrs"), ("[model]\nlayers = 0", "0")] {
            std::fs::write(file.path(), text).unwrap();
            let config = Preset::Dense.config().overlaid(file.path());
            let error = config.and_then(|config| config.validate_from(file.path())).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(word), "{error}");
            assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn presets_are_valid_and_round_trip() {
        for preset in Preset::ALL {
            let config = preset.config();
            config.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), config);
        }
    }
}
