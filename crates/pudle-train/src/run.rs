//! Runs: training by a configuration, with metrics, checkpoints and the final model in a directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::train::Interrupter;
use pudle_core::DictionaryConfig;
use pudle_data::{Missing, Opened};

use crate::checkpoint::WEIGHTS;
use crate::checkpoints::Checkpoints;
use crate::config::{LearningRateSchedule, RunConfig};
use crate::error::{Result, TrainError};
use crate::launch::{Outcome, Run};
use crate::normalization;
use crate::record::Record;
use crate::run_dir::{CONFIG, RunDir};
use crate::start::check_start;
use crate::team::Team;

/// Trains a new model in the directory `dir`, which is created and must not hold a run.
///
/// Writes `config.toml`, `metrics.csv` (a row per step) and `checkpoint/` (model, optimiser and
/// schedule, with the step in the file names), and at the end `model.safetensors` and `atoms.png`.
/// `record.toml` holds a copy of the settings and a fingerprint of the data, for later comparison. `interrupter` stops
/// the run after the current step and saves a checkpoint.
///
/// # Errors
/// Returns an error if a setting is out of range, the data cannot be read, the directory cannot be written, holds a run or
/// other files or is in use, the backend is not compiled in, or the loss is not finite or diverges.
pub fn train(config: RunConfig, dir: &Path, interrupter: Interrupter) -> Result<Outcome> {
    train_at(config, || RunDir::create(dir), interrupter)
}

/// Does the same as [`train`], in the directory that `place` takes. `place` is called when the settings and the data are
/// checked, so that an error in them leaves no directory.
///
/// # Errors
/// Returns the errors of `train` and of `place`.
pub fn train_at(
    config: RunConfig,
    place: impl FnOnce() -> Result<RunDir>,
    interrupter: Interrupter,
) -> Result<Outcome> {
    train_opened(config, None, place, interrupter)
}

/// Does the same as [`train_at`], on data that are open already.
///
/// # Errors
/// Returns the errors of `train_at`.
pub fn train_opened(
    config: RunConfig,
    opened: Option<Opened>,
    place: impl FnOnce() -> Result<RunDir>,
    interrupter: Interrupter,
) -> Result<Outcome> {
    let config = config.with_absolute_paths();
    config.validate()?;
    config.to_text()?;
    let device = config.backend.device()?;
    let team = Team::of_process(&config)?;
    let data = match opened {
        Some(data) => data,
        None => config.open_data()?,
    };
    check_start(&config, &device)?;
    if config.data.missing() == Missing::Nan {
        log::warn!(
            "batches with missing numbers run as composed operations, which are slower than the fused pass"
        );
    }
    let dir = place()?;
    Run { config, dir, interrupter, device, team, data, from: None, watcher: None }.launch()
}

/// Starts a run like [`train`], or resumes it if `dir` holds a part of it, without a dashboard. `done` holds the
/// number of the last complete step during the training. A finished run does not change.
///
/// # Errors
/// Returns the errors of `train` and [`resume`], and an error if `dir` holds a run with other settings.
pub fn train_watched(config: RunConfig, dir: &Path, done: Arc<AtomicU64>) -> Result<Outcome> {
    let config = config.with_absolute_paths();
    config.validate()?;
    let path = dir.join(CONFIG);
    let mut from = None;
    let device = config.backend.device()?;
    let team = Team::of_process(&config)?;
    let known = normalization::read(dir, width(&config))?;
    let data = config.open_normalized(known.as_ref())?;
    let dir = if path.exists() { RunDir::open(dir)? } else { RunDir::create(dir)? };
    if path.exists() {
        let found = RunConfig::read(&path)?;
        if found != config {
            return Err(TrainError::RunExists(dir.path().to_path_buf()));
        }
        from = last_checkpoint(&dir)?;
    }
    done.store(from.unwrap_or(0) as u64, Ordering::Relaxed);
    let interrupter = Interrupter::new();
    Run { config, dir, interrupter, device, team, data, from, watcher: Some(done) }.launch()
}

/// Resumes the run in `dir` from its last complete checkpoint, or from the start if it was stopped before the first one,
/// which a warning says. The result is bit for bit that of an uninterrupted run. `change` may change the settings first,
/// for example the number of steps. A warning says if the data are not those that the run was trained on.
///
/// # Errors
/// Returns the errors of [`train`], and an error if `dir` holds no run, if checkpoints exist but none is complete, if it
/// holds a final model without any checkpoint, if the last complete checkpoint does not fit the settings or has more steps
/// than the settings, or if a setting on which the result depends is not the one that the run was trained with.
pub fn resume(
    dir: &Path,
    change: impl FnOnce(&mut RunConfig) -> Result<()>,
    interrupter: Interrupter,
) -> Result<Outcome> {
    let path = dir.join(CONFIG);
    let dir = RunDir::open(dir)?;
    let mut config = RunConfig::read(&path)?.with_absolute_paths();
    let steps = config.training.steps;
    config.training.stopped_at = None;
    change(&mut config)?;
    config.validate_from(&path)?;
    config.to_text()?;
    let record = Record::read(dir.path())?;
    if let Some(record) = &record {
        record.check_settings(&config, dir.path())?;
    }
    let device = config.backend.device()?;
    let team = Team::of_process(&config)?;
    let known = normalization::read(dir.path(), width(&config))?;
    let data = config.open_normalized(known.as_ref())?;
    if let Some(record) = &record {
        record.compare_data(data.fingerprint.as_ref(), dir.path());
    }
    let from = last_checkpoint(&dir)?;
    if let Some(step) = from.filter(|step| *step as u64 > config.training.steps) {
        return Err(TrainError::range(
            "training.steps",
            config.training.steps,
            format!("at least {step}, the number of steps of the last checkpoint"),
        ));
    }
    if config.training.schedule == LearningRateSchedule::Cosine && config.training.steps != steps {
        log::warn!(
            "the cosine schedule now ends at step {} instead of {steps}: the learning rate jumps",
            config.training.steps
        );
    }
    Run { config, dir, interrupter, device, team, data, from, watcher: None }.launch()
}

/// The step of the last complete checkpoint of a run, or `None` if it was stopped before the first one.
///
/// # Errors
/// Returns an error if the run has a final model but no checkpoint, or if no checkpoint is complete.
fn last_checkpoint(dir: &RunDir) -> Result<Option<usize>> {
    let path = dir.path();
    let checkpoints = Checkpoints::of_run(path);
    match checkpoints.last_readable() {
        Some(step) => Ok(Some(step)),
        None if !checkpoints.is_empty() && !checkpoints.has_unfinished_only() => {
            Err(TrainError::NoCheckpoint(path.to_path_buf()))
        }
        None if path.join(WEIGHTS).exists() => Err(TrainError::NoState(path.to_path_buf())),
        None => {
            log::warn!("{}: has no checkpoint yet; starts again at step 1", path.display());
            Ok(None)
        }
    }
}

/// The numbers of a datum, if data are vectors; otherwise 0.
fn width(config: &RunConfig) -> usize {
    match config.model.dictionary {
        DictionaryConfig::Dense(dense) => dense.dim,
        _ => 0,
    }
}
