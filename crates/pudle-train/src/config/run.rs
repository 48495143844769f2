//! Everything that a run depends on.

use pudle_core::{Backend, PudleConfig};
use std::sync::Arc;

use pudle_data::{DataConfig, Matrix, Normalization, OpenOptions, Opened};
use serde::{Deserialize, Serialize};

use super::moved::RunFile;
use super::training::TrainingConfig;
use super::versions::Versions;
use crate::error::{Result, TrainError};

/// Everything that a run depends on; the `config.toml` of a run directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RunFile")]
pub struct RunConfig {
    /// Seed of the initial atoms, the order of the data, crops, flips and noise; 0 if a file does not give it.
    pub seed: u64,
    /// Backend that the run used, or is to use.
    pub backend: Backend,
    /// The versions that wrote the file.
    pub versions: Versions,
    /// The model.
    pub model: PudleConfig,
    /// What it is trained on.
    pub data: DataConfig,
    /// How it is trained.
    pub training: TrainingConfig,
}

impl TryFrom<RunFile> for RunConfig {
    type Error = TrainError;

    fn try_from(file: RunFile) -> Result<Self> {
        let RunFile { seed, backend, versions, model, mut data, training } = file;
        let training = training.move_to(&mut data)?;
        Ok(Self { seed, backend, versions, model, data, training })
    }
}

impl RunConfig {
    /// Opens the data of the run.
    ///
    /// # Errors
    /// Returns an error if a setting of the data is out of range, they do not fit the model, or they cannot be read.
    pub fn open_data(&self) -> Result<Opened> {
        self.open_normalized(None)
    }

    /// [`open_data`](Self::open_data) for data that are a matrix which is open already.
    pub(crate) fn open_matrix(&self, matrix: Arc<Matrix>) -> Result<Opened> {
        let (batch, seed, dictionary) = (self.training.batch, self.seed, self.model.dictionary);
        let options = OpenOptions { dictionary, batch, seed, normalization: None };
        match &self.data {
            DataConfig::Matrix(settings) => Ok(settings.open_matrix(matrix, &options)?),
            other => Ok(other.open(&options)?),
        }
    }

    /// [`open_data`](Self::open_data) with a normalisation that is known.
    pub(crate) fn open_normalized(&self, normalization: Option<&Normalization>) -> Result<Opened> {
        let (batch, seed, dictionary) = (self.training.batch, self.seed, self.model.dictionary);
        Ok(self.data.open(&OpenOptions { dictionary, batch, seed, normalization })?)
    }
}
