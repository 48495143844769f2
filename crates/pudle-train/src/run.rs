//! A run: from its configuration to a directory with metrics, checkpoints and the final model.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{AdamConfig, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingStrategy};
use pudle_core::{
    Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, DictionaryConfig, Pudle,
};

use crate::atoms::atoms_picture;
use crate::checkpoint::{AnyPudle, Checkpoint};
use crate::config::{Initialization, RunConfig, Schedule, TrainingConfig};
use crate::data::{Sources, StepLoader};
use crate::error::{Result, TrainError};
use crate::files::create_dir;
use crate::learner::Trainee;
use crate::metrics::{Figure, MetricsFile};
use crate::progress::PlainLines;
use crate::strategy::{KeepLast, State, Stepwise};

/// Stream of the generator that perturbs an initial dictionary.
const PERTURBATION: u64 = 0x5EED;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were made.
    Finished,
    /// It was stopped on request after this step, with a checkpoint.
    Stopped {
        /// The last step that was made.
        step: u64,
    },
}

/// Trains from the start in the directory `dir`, which is created and must not hold a run yet.
///
/// Leaves `config.toml`, `metrics.csv` (a row per step), `checkpoint/` (model, optimiser and
/// schedule, whole files under the step's number), and at the end `model.safetensors` and
/// `atoms.png`. `interrupter` ends the run after the current step, with a checkpoint.
///
/// # Errors
/// Settings out of range, unreadable data, a directory that cannot be written, a backend that is
/// not compiled in, or a loss that is not finite.
pub fn train(config: RunConfig, dir: &Path, interrupter: Interrupter) -> Result<Outcome> {
    config.validate()?;
    let device = config.backend.device()?;
    let sources = Sources::open(&config)?;
    if dir.join("config.toml").exists() {
        return Err(TrainError::RunExists(dir.to_path_buf()));
    }
    create_dir(dir)?;
    config.write(&dir.join("config.toml"))?;
    dispatch(Run { config, dir, interrupter, device, sources, from: None })
}

/// Goes on with the run in `dir` from its last whole checkpoint, to the same end, bit for bit, as
/// if it had not stopped. `change` may alter the settings first, more steps for example.
///
/// # Errors
/// As [`train`], and where `dir` holds no run or no whole checkpoint.
pub fn resume(
    dir: &Path,
    change: impl FnOnce(&mut RunConfig) -> Result<()>,
    interrupter: Interrupter,
) -> Result<Outcome> {
    let mut config = RunConfig::read(&dir.join("config.toml"))?;
    change(&mut config)?;
    config.validate()?;
    let device = config.backend.device()?;
    let sources = Sources::open(&config)?;
    let from = last_whole_checkpoint(&dir.join("checkpoint"))
        .ok_or_else(|| TrainError::NoCheckpoint(dir.to_path_buf()))?;
    config.write(&dir.join("config.toml"))?;
    dispatch(Run { config, dir, interrupter, device, sources, from: Some(from) })
}

struct Run<'a> {
    config: RunConfig,
    dir: &'a Path,
    interrupter: Interrupter,
    device: Device,
    sources: Sources,
    from: Option<usize>,
}

fn dispatch(run: Run) -> Result<Outcome> {
    match run.config.model.dictionary {
        DictionaryConfig::Dense(_) => launch::<2, DenseDictionary>(run, AnyPudle::Dense),
        DictionaryConfig::Conv1d(_) => launch::<3, ConvDictionary1d>(run, AnyPudle::Conv1d),
        DictionaryConfig::Conv2d(_) => launch::<4, ConvDictionary2d>(run, AnyPudle::Conv2d),
    }
}

fn launch<const D: usize, A: Configured<D>>(
    run: Run,
    wrap: fn(Pudle<D, A>) -> AnyPudle,
) -> Result<Outcome> {
    let Run { config, dir, interrupter, device, sources, from } = run;
    let training = &config.training;
    let done = from.unwrap_or(0) as u64;
    let trainee = trainee::<D, A>(&config, &sources, &device)?;
    let loader = StepLoader::<D>::new(
        sources.train.clone(),
        done..training.steps.max(done),
        training.ahead,
        device.clone(),
    );
    let valid = match &sources.valid {
        Some((source, count)) => {
            StepLoader::new(source.clone(), 0..*count, training.ahead, device.clone())
        }
        None => StepLoader::empty(device.clone()),
    };
    let strategy = Arc::new(Stepwise {
        device: device.autodiff(),
        done,
        total: training.steps,
        valid_every: training.valid_every,
        checkpoint_every: training.checkpoint_every,
        state: Mutex::new(State {
            metrics: MetricsFile::open(&dir.join("metrics.csv"), done)?,
            reached: done,
            failure: None,
        }),
    });
    let optimizer = AdamConfig::new()
        .with_beta_1(training.beta_1)
        .with_beta_2(training.beta_2)
        .with_epsilon(training.epsilon)
        .init();
    let checkpoints = dir.join("checkpoint");
    create_dir(&checkpoints)?;
    let kept = whole_checkpoints(&checkpoints);
    let mut supervised = SupervisedTraining::new(dir, Arc::new(loader), Arc::new(valid))
        .with_interrupter(interrupter.clone())
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
        .renderer(renderer(interrupter, done, training.steps))
        .metric_train_numeric(Figure::loss())
        .metric_train_numeric(Figure::fit())
        .metric_train_numeric(Figure::psnr())
        .metric_train_numeric(Figure::active())
        .metric_valid_numeric(Figure::loss())
        .metric_valid_numeric(Figure::psnr())
        .with_checkpointing_strategy(KeepLast { steps: kept, keep: training.keep })
        .with_default_checkpointers()
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()));
    if sources.truth.is_some() {
        supervised = supervised.metric_train_numeric(Figure::dictionary_error());
    }
    if let Some(step) = from {
        supervised = supervised.checkpoint(step);
    }
    let learner = Learner::new(trainee.train(), optimizer, schedule(training)?);
    let result = supervised.launch(learner);

    let (reached, failure) = {
        let mut state = strategy.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (state.reached, state.failure.take())
    };
    // The dashboard gives the terminal back when it is dropped.
    drop(result.renderer);
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(error) = result.error {
        return Err(TrainError::Learner(error.to_string()));
    }
    let model = wrap(result.model.model);
    let picture = atoms_picture(&model)?;
    Checkpoint { config: config.model, model, sigma: None }.write_weights(dir)?;
    picture.write(&dir.join("atoms.png"))?;
    if reached < training.steps {
        return Ok(Outcome::Stopped { step: reached });
    }
    Ok(Outcome::Finished)
}

fn trainee<const D: usize, A: Configured<D>>(
    config: &RunConfig,
    sources: &Sources,
    device: &Device,
) -> Result<Trainee<D, A>> {
    let shape = config.model.dictionary.shape();
    let atoms = |values: &[f32]| TensorData::new(values.to_vec(), shape.clone());
    let truth = sources.truth.as_deref();
    let model = match (config.training.initialization, truth) {
        (Initialization::Perturbed { sd }, Some(truth)) => {
            let start = truth.perturbed(sd, config.seed ^ PERTURBATION);
            Pudle::from_data(&config.model, atoms(&start), device)?
        }
        _ => Pudle::new(&config.model, config.seed, device)?,
    };
    let truth = truth.map(|truth| Tensor::from_data(atoms(truth.dictionary()), device));
    Ok(Trainee::new(model, truth))
}

fn schedule(training: &TrainingConfig) -> Result<ModuleLrScheduler> {
    match training.schedule {
        Schedule::Constant => Ok(training.learning_rate.into()),
        Schedule::Cosine => {
            CosineAnnealingLrSchedulerConfig::new(training.learning_rate, training.steps as usize)
                .init()
                .map_err(TrainError::Learner)
        }
    }
}

fn renderer(interrupter: Interrupter, done: u64, total: u64) -> Box<dyn MetricsRenderer> {
    if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
        Box::new(TuiMetricsRendererWrapper::new(interrupter, None))
    } else {
        Box::new(PlainLines::new(done, total))
    }
}

/// Steps for which model, optimiser and schedule are all there, in ascending order.
fn whole_checkpoints(dir: &Path) -> Vec<usize> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut steps: Vec<usize> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("model-")?.strip_suffix(".bpk")?.parse().ok()
        })
        .filter(|step| {
            ["optim", "scheduler"].iter().all(|part| part_of(dir, part, *step).is_file())
        })
        .collect();
    steps.sort_unstable();
    steps
}

fn part_of(dir: &Path, part: &str, step: usize) -> PathBuf {
    dir.join(format!("{part}-{step}.bpk"))
}

/// The last checkpoint whose three files can be read; damaged ones are passed over with a warning.
fn last_whole_checkpoint(dir: &Path) -> Option<usize> {
    whole_checkpoints(dir).into_iter().rev().find(|&step| {
        let readable = ModuleRecord::load(part_of(dir, "model", step))
            .map_err(|error| error.to_string())
            .and_then(|_| {
                OptimizerRecord::load(part_of(dir, "optim", step)).map_err(|e| e.to_string())
            })
            .and_then(|_| {
                LrSchedulerRecord::load(part_of(dir, "scheduler", step)).map_err(|e| e.to_string())
            });
        if let Err(reason) = &readable {
            log::warn!("{}: checkpoint of step {step} is damaged ({reason})", dir.display());
        }
        readable.is_ok()
    })
}
