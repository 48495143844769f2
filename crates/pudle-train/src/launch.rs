//! The training of a run with Burn's Learner, from its setup to the final model.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::optim::lr_scheduler::composed::ComposedLrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use pudle_core::{AnyPudle, Configured, ModelVisitor, Pudle};
use pudle_data::{KnownDictionary, Normalization, Opened, RecordingWindows, Validation};

use crate::atoms::atoms_picture;
use crate::checkpoint::Checkpoint;
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
use crate::start::initial_model;
use crate::strategy::{State, Stepwise};
use crate::team::Team;
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

/// A run whose settings, data and directory are checked.
pub(crate) struct Run {
    pub config: RunConfig,
    pub dir: RunDir,
    pub interrupter: Interrupter,
    pub device: Device,
    /// The devices that share the batches, if there are several.
    pub team: Option<Team>,
    pub data: Opened,
    /// The step of the checkpoint from which it goes on.
    pub from: Option<usize>,
    /// Receives the number of complete steps, in place of a dashboard.
    pub watcher: Option<Arc<AtomicU64>>,
}

impl Run {
    /// Trains, and writes the final model.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, the data cannot be read, or the training diverges.
    pub fn launch(self) -> Result<Outcome> {
        let dictionary = self.config.model.dictionary;
        dictionary.visit(self)
    }
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

/// Sets up Burn's training, runs it, and writes the final model.
fn launch<const D: usize, A: Configured<D>>(
    run: Run,
    wrap: fn(Pudle<D, A>) -> AnyPudle,
) -> Result<Outcome> {
    let Run { config, dir: place, interrupter, device, team, data, from, watcher } = run;
    let watched = watcher.is_some();
    let training = &config.training;
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
        checkpoints.seal_if_missing(step)?;
        // A kill may have fallen into the removal of old checkpoints, and there may be no further save.
        checkpoints.prune(step, training.keep)?;
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
    let ([model, optim, scheduler], saves) = checkpoints.checkpointers();
    let state = State {
        metrics: MetricsFile::open(&dir.join("metrics.csv"), done)?,
        saves,
        reached: done,
        failure: None,
        active: false,
        usage: Usage::of_run(&config, &checkpoints, from)?,
    };
    let strategy = Arc::new(Stepwise {
        device: device.clone().autodiff(),
        team,
        done,
        total: training.steps,
        valid_every: training.valid_every,
        checkpoint_every: training.checkpoint_every,
        keep: training.keep,
        patience: training.patience,
        checkpoints,
        reviver: Reviver::of_run(&config, &data),
        state: Mutex::new(state),
    });
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
    let result = supervised.launch(Learner::new(trainee, training.update().optimizer(), schedule));
    // Dropping the dashboard restores the terminal.
    drop(result.renderer);
    let end = End { config: &config, dir, device: &device, watched };
    let ended = end.of(&strategy, result.error.map(|error| error.to_string()))?;
    end.write(ended, wrap(result.model.model), normalization)
}

/// The end of a training.
struct End<'a> {
    config: &'a RunConfig,
    dir: &'a Path,
    device: &'a Device,
    watched: bool,
}

/// How a training ended that did not fail.
struct Ended {
    /// The last complete step.
    reached: u64,
    /// Whether the validations have brought no smaller loss for too long.
    early: bool,
    best: Option<Best>,
    /// A line about atoms that are not used.
    unused: Option<String>,
}

impl End<'_> {
    /// What the strategy says of the end. `error` is that of Burn's training.
    ///
    /// # Errors
    /// Returns the error with which the training ended.
    fn of(&self, strategy: &Stepwise, error: Option<String>) -> Result<Ended> {
        let mut state = strategy.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure.take() {
            if let Some(step) = Checkpoints::of_run(self.dir).last() {
                log::warn!("{}: the checkpoint of step {step} is kept", self.dir.display());
            }
            return Err(failure);
        }
        match error {
            Some(error) => Err(TrainError::Learner(error)),
            None => Ok(Ended {
                reached: state.reached,
                early: strategy.is_exhausted(&state),
                best: state.metrics.best(),
                unused: state.usage.about_unused(state.reached),
            }),
        }
    }

    /// Writes the final model: the last one, or for a run with patience that of the smallest validation loss.
    fn write(&self, ended: Ended, last: AnyPudle, normalization: Normalization) -> Result<Outcome> {
        let Ended { reached, early, best, unused } = ended;
        let training = &self.config.training;
        let finished = reached == training.steps;
        let early = early && !finished;
        let patient = training.patience.is_some() && (early || finished);
        let model = match best.filter(|_| patient) {
            Some(best) => self.best_model(last, best, reached)?,
            None => last,
        };
        if early {
            let mut config = self.config.clone();
            config.training.stopped_at = Some(reached);
            config.write(&self.dir.join(CONFIG))?;
        }
        let config = self.config.model.clone();
        write_model(&Checkpoint { config, model, sigma: None, normalization }, self.dir)?;
        if early {
            return Ok(Outcome::Early { step: reached });
        }
        if !finished {
            return Ok(Outcome::Stopped { step: reached });
        }
        // A run of an experiment is one of many, and its figures say more.
        if let Some(line) = unused.filter(|_| !self.watched) {
            log::warn!("{}: {line}", self.dir.display());
        }
        Ok(Outcome::Finished)
    }

    /// The weights of the smallest validation loss, if their checkpoint still exists; otherwise `last`, those of step `reached`.
    /// A line says which.
    fn best_model(&self, last: AnyPudle, best: Best, reached: u64) -> Result<AnyPudle> {
        let Best { step, loss, .. } = best;
        if step == reached {
            return Ok(last);
        }
        let file = Checkpoints::of_run(self.dir).file("model", step as usize);
        let (dir, model) = (self.dir.display(), "the smallest loss of a validation");
        if !file.exists() {
            log::warn!(
                "{dir}: {model}, {loss:.5}, is that of step {step}, whose checkpoint is gone; the weights are those of step {reached}"
            );
            return Ok(last);
        }
        log::warn!("{dir}: the weights are those of step {step}, with {model}, {loss:.5}");
        model_of_run(&self.config.model, &file, self.device)
    }
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
    let training = &config.training;
    // The weight is that against the loss of all data.
    let windows = data.recording.as_ref().map_or(1, RecordingWindows::consecutive);
    Ok(Trainee::new(model, truth, training.update)
        .with_fixed(training.fixed_atoms)
        .with_tangent(training.tangent)
        .with_refit(training.refit)
        .with_smooth(training.smooth / windows as f64))
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
