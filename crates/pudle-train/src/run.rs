//! Runs: training by a configuration, with metrics, checkpoints and the final model in a directory.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::optim::lr_scheduler::composed::ComposedLrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use pudle_core::{AnyPudle, Configured, DictionaryConfig, ModelVisitor, Pudle};
use pudle_data::{KnownDictionary, Missing, Opened, Validation};

use crate::atoms::atoms_picture;
use crate::checkpoint::{Checkpoint, WEIGHTS};
use crate::checkpoints::{Checkpoints, SaveAlways};
use crate::config::{Initialization, LearningRateSchedule, RunConfig, TrainingConfig};
use crate::data::{ShiftSampler, StepLoader};
use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::metrics::{Best, Figure, MetricsFile, NoLog};
use crate::normalization;
use crate::progress::{PlainLines, Steps};
use crate::record::Record;
use crate::revive::Reviver;
use crate::run_dir::{CONFIG, RunDir};
use crate::run_weights::{load, model_of_run};
use crate::stability::step_above_bound;
use crate::start::{check_start, initial_model};
use crate::strategy::{State, Stepwise};
use crate::usage::Usage;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All training steps are complete.
    Finished,
    /// The validations brought no smaller loss for as long as `training.patience` says.
    Early {
        /// The last step of the training.
        step: u64,
    },
    /// The run stopped on request, and saved a checkpoint.
    Stopped {
        /// The last complete step.
        step: u64,
    },
}

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
    dispatch(Run { config, dir, interrupter, device, data, from: None, watcher: None })
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
    dispatch(Run { config, dir, interrupter, device, data, from, watcher: Some(done) })
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
    dispatch(Run { config, dir, interrupter, device, data, from, watcher: None })
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
        None if !checkpoints.is_empty() => Err(TrainError::NoCheckpoint(path.to_path_buf())),
        None if path.join(WEIGHTS).exists() => Err(TrainError::NoState(path.to_path_buf())),
        None => {
            log::warn!("{}: has no checkpoint yet; starts again at step 1", path.display());
            Ok(None)
        }
    }
}

struct Run {
    config: RunConfig,
    dir: RunDir,
    interrupter: Interrupter,
    device: Device,
    data: Opened,
    from: Option<usize>,
    /// Receives the number of complete steps, in place of a dashboard.
    watcher: Option<Arc<AtomicU64>>,
}

impl ModelVisitor for Run {
    type Output = Result<Outcome>;

    fn visit<const D: usize, A: Configured<D>>(
        self,
        _: Option<Pudle<D, A>>,
        wrap: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        launch(self, wrap)
    }
}

fn dispatch(run: Run) -> Result<Outcome> {
    let dictionary = run.config.model.dictionary;
    dictionary.visit(run)
}

/// Sets up Burn's training, runs it, and writes the final model.
fn launch<const D: usize, A: Configured<D>>(
    run: Run,
    wrap: fn(Pudle<D, A>) -> AnyPudle,
) -> Result<Outcome> {
    let Run { config, dir, interrupter, device, data, from, watcher } = run;
    let watched = watcher.is_some();
    let training = &config.training;
    let place = dir;
    let dir = place.path();
    let done = from.unwrap_or(0) as u64;
    let trainee = trainee::<D, A>(&config, &data, from.is_some(), &device)?.train();
    // Measuring the norm takes longer than some steps, and a run that goes on was told.
    if from.is_none()
        && let Some(line) = step_above_bound(&wrap(trainee.model.valid()))
    {
        log::warn!("{line}");
    }
    let checkpoints = Checkpoints::of_run(dir);
    if let Some(step) = from {
        load(trainee.clone(), &checkpoints.file("model", step))?;
    }
    let schedule = schedule(training)?;
    let (loader, valid) = loaders::<D>(&config, &data, done, &device);
    // The settings come first: whatever moment a kill falls on, the directory is then that of a run.
    config.write(&dir.join(CONFIG))?;
    Record { data: data.fingerprint.clone(), settings: config.clone() }.write(dir)?;
    let normalization = data.matrix.as_ref().map(|matrix| matrix.normalization().clone());
    let normalization = normalization.unwrap_or_default();
    normalization::write(&normalization, dir)?;
    checkpoints.create()?;
    let usage = Usage::of_run(&config, &checkpoints, from)?;
    let metrics = MetricsFile::open(&dir.join("metrics.csv"), done)?;
    let ([model, optim, scheduler], saves) = checkpoints.checkpointers();
    let strategy = Arc::new(Stepwise {
        device: device.clone().autodiff(),
        done,
        total: training.steps,
        valid_every: training.valid_every,
        checkpoint_every: training.checkpoint_every,
        keep: training.keep,
        patience: training.patience,
        checkpoints,
        reviver: Reviver::of_run(&config, &data),
        state: Mutex::new(State {
            metrics,
            saves,
            reached: done,
            failure: None,
            active: false,
            usage,
        }),
    });
    let optimizer = training.update().optimizer();
    let mut supervised = SupervisedTraining::new(dir, loader, valid)
        .with_interrupter(interrupter.clone())
        .with_application_logger(None)
        .with_metric_logger(NoLog)
        .renderer(renderer(interrupter, done, training.steps, watcher))
        .metric_train_numeric(Figure::loss())
        .metric_train_numeric(Figure::fit())
        .metric_train_numeric(Figure::psnr())
        .metric_train_numeric(Figure::active())
        .metric_train_numeric(Figure::unused())
        .metric_valid_numeric(Figure::loss())
        .metric_valid_numeric(Figure::psnr())
        .with_checkpointing_strategy(SaveAlways)
        .with_custom_checkpointers(model, optim, scheduler)
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()));
    if atoms_correspond(&config) {
        supervised = supervised.metric_train_numeric(Figure::dictionary_error());
    }
    if let Some(step) = from {
        supervised = supervised.checkpoint(step);
    }
    let learner = Learner::new(trainee, optimizer, schedule);
    let result = supervised.launch(learner);

    let (reached, failure, early, best, unused) = {
        let mut state = strategy.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let early = strategy.is_exhausted(&state);
        let unused = state.usage.about_unused(state.reached);
        (state.reached, state.failure.take(), early, state.metrics.best(), unused)
    };
    // Dropping the dashboard restores the terminal.
    drop(result.renderer);
    if let Some(failure) = failure {
        if let Some(step) = Checkpoints::of_run(dir).last() {
            log::warn!("{}: the checkpoint of step {step} is kept", dir.display());
        }
        return Err(failure);
    }
    if let Some(error) = result.error {
        return Err(TrainError::Learner(error.to_string()));
    }
    let steps = config.training.steps;
    let mut model = wrap(result.model.model);
    if let Some(best) = best.filter(|_| training.patience.is_some() && (early || reached == steps))
    {
        model = best_model(model, best, reached, (&config, dir, &device))?;
    }
    if early && reached < steps {
        let mut config = config.clone();
        config.training.stopped_at = Some(reached);
        config.write(&dir.join(CONFIG))?;
    }
    let checkpoint = Checkpoint { config: config.model.clone(), model, sigma: None, normalization };
    write_model(&checkpoint, dir)?;
    if early && reached < steps {
        return Ok(Outcome::Early { step: reached });
    }
    if reached < steps {
        return Ok(Outcome::Stopped { step: reached });
    }
    // A run of an experiment is one of many, and its figures say more.
    if !watched && let Some(line) = unused {
        log::warn!("{}: {line}", dir.display());
    }
    Ok(Outcome::Finished)
}

/// The weights of the smallest validation loss, if their checkpoint still exists; otherwise `last`, those of step `reached`.
/// A line says which.
fn best_model(
    last: AnyPudle,
    best: Best,
    reached: u64,
    (config, dir, device): (&RunConfig, &Path, &Device),
) -> Result<AnyPudle> {
    let Best { step, loss, .. } = best;
    if step == reached {
        return Ok(last);
    }
    let file = Checkpoints::of_run(dir).file("model", step as usize);
    let (dir, model) = (dir.display(), "the smallest loss of a validation");
    if !file.exists() {
        log::warn!(
            "{dir}: {model}, {loss:.5}, is that of step {step}, whose checkpoint is gone; the weights are those of step {reached}"
        );
        return Ok(last);
    }
    log::warn!("{dir}: the weights are those of step {step}, with {model}, {loss:.5}");
    model_of_run(&config.model, &file, device)
}

/// The data loaders of training, for the steps after `done`, and of validation.
fn loaders<const D: usize>(
    config: &RunConfig,
    data: &Opened,
    done: u64,
    device: &Device,
) -> (Arc<StepLoader<D>>, Arc<StepLoader<D>>) {
    let TrainingConfig { steps, ahead, .. } = config.training;
    let training = StepLoader::new(data.training.clone(), done..steps, ahead, device.clone())
        .with_shifts(ShiftSampler::of(config))
        .with_missing(config.data.missing());
    let valid = match &data.validation {
        Some(Validation { source, batches }) => {
            StepLoader::new(source.clone(), 0..*batches, ahead, device.clone())
                .with_missing(config.data.missing())
        }
        None => StepLoader::empty(device.clone()),
    };
    (Arc::new(training), Arc::new(valid))
}

/// The numbers of a datum, if data are vectors; otherwise 0.
fn width(config: &RunConfig) -> usize {
    match config.model.dictionary {
        DictionaryConfig::Dense(dense) => dense.dim,
        _ => 0,
    }
}

/// Writes the weights and the picture of the atoms.
fn write_model(checkpoint: &Checkpoint, dir: &Path) -> Result<()> {
    let picture = atoms_picture(&checkpoint.model)?;
    checkpoint.write_weights(dir)?;
    Ok(picture.write(&dir.join("atoms.png"))?)
}

/// The model to train, with its initial weights.
fn trainee<const D: usize, A: Configured<D>>(
    config: &RunConfig,
    data: &Opened,
    resumes: bool,
    device: &Device,
) -> Result<Trainee<D, A>> {
    let shape = config.model.dictionary.shape();
    let atoms = |known: &KnownDictionary| TensorData::new(known.values().to_vec(), shape.clone());
    let model = initial_model(config, data, resumes, device)?;
    let truth = data.dictionary.as_ref().filter(|_| atoms_correspond(config));
    let truth = truth.map(|truth| Tensor::from_data(atoms(truth), device));
    let trainee = Trainee::new(model, truth, config.training.update);
    Ok(trainee.with_fixed(config.training.fixed_atoms))
}

/// Whether atom `j` of the model corresponds to atom `j` of the true dictionary, so that their distance
/// is meaningful. This holds only if the run starts near the true dictionary.
fn atoms_correspond(config: &RunConfig) -> bool {
    matches!(config.training.initialization, Initialization::Perturbed { .. })
}

/// The schedule of the learning rate: its shape times the linear warm-up.
fn schedule(training: &TrainingConfig) -> Result<ModuleLrScheduler> {
    let (rate, steps) = (training.learning_rate, training.steps as usize);
    let mut product = ComposedLrSchedulerConfig::new();
    product = match training.schedule {
        LearningRateSchedule::Constant if training.warm_up == 0 => return Ok(rate.into()),
        LearningRateSchedule::Constant => product.constant(rate),
        LearningRateSchedule::Cosine => {
            product.cosine(CosineAnnealingLrSchedulerConfig::new(rate, steps))
        }
    };
    if training.warm_up > 0 {
        let first = 1.0 / training.warm_up as f64;
        let warm_up = LinearLrSchedulerConfig::new(first, 1.0, training.warm_up as usize);
        product = product.linear(warm_up);
    }
    product.init().map_err(TrainError::Learner)
}

/// The dashboard, or plain lines without a terminal, or a counter for `watcher`.
fn renderer(
    interrupter: Interrupter,
    done: u64,
    total: u64,
    watcher: Option<Arc<AtomicU64>>,
) -> Box<dyn MetricsRenderer> {
    if let Some(watcher) = watcher {
        return Box::new(Steps::new(watcher));
    }
    if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
        Box::new(TuiMetricsRendererWrapper::new(interrupter, None))
    } else {
        Box::new(PlainLines::new(done, total))
    }
}
