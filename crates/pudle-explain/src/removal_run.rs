//! Training that continues from a run, for the removal test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use burn::tensor::Device;
use pudle_train::{Checkpoint, Initialization, LearningRateSchedule, RunConfig, train_watched};

use crate::error::{ExplainError, Result};

/// How training continues from a run.
#[derive(Clone, Debug)]
pub struct ContinuedTraining {
    /// The run's configuration.
    pub config: RunConfig,
    /// The run's directory.
    pub dir: PathBuf,
    /// Number of steps.
    pub steps: u64,
    /// Data in each step.
    pub batch: usize,
}

impl ContinuedTraining {
    /// Trains from the weights of the run with a fresh optimiser and returns where training ends. `adjust` changes the
    /// configuration before.
    ///
    /// # Errors
    /// Returns an error if the run cannot be read or trained further.
    pub fn run(
        &self,
        device: &Device,
        adjust: impl FnOnce(&mut RunConfig) -> Result<()>,
    ) -> Result<Checkpoint> {
        let folder =
            tempfile::tempdir().map_err(ExplainError::io(Path::new("a temporary folder")))?;
        let mut config = self.config.clone();
        let training = &mut config.training;
        training.initialization = Initialization::Checkpoint { dir: self.dir.clone() };
        training.steps = self.steps;
        training.batch = self.batch;
        training.schedule = LearningRateSchedule::Cosine;
        training.warm_up = (self.steps / 16).min(50);
        training.checkpoint_every = self.steps;
        training.valid_every = u64::MAX;
        adjust(&mut config)?;
        let dir = folder.path().join("run");
        train_watched(config, &dir, Arc::new(AtomicU64::new(0)))?;
        Ok(Checkpoint::read(&dir, device)?)
    }
}
