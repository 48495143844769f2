//! Training steps without a run directory.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Device;
use burn::train::TrainStep;
use pudle_core::{Dictionary, Pudle, PudleConfig};
use pudle_data::{Batch, Missing};

use crate::data::{DeviceBatch, to_device};
use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::metrics::StepRecord;
use crate::update::{Update, UpdateRule};

/// Trains a model on batches of the caller. A step is the same as in a [run](crate::train) with a constant
/// learning rate: forward pass, gradient, update and projection.
///
/// ```
/// use burn::tensor::Device;
/// use pudle_core::{DenseConfig, DenseDictionary, Pudle, PudleConfig};
/// use pudle_data::{Amplitude, SignRule, Source, SparseCoding, SparseCodingConfig};
/// use pudle_train::{Trainer, Update};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let draws = SparseCoding::new(SparseCodingConfig {
///     dim: 10,
///     atoms: 15,
///     sparsity: 2,
///     count: 100,
///     batch: 20,
///     amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry },
///     noise_sd: 0.0,
///     seed: 0,
/// })?;
/// let config = PudleConfig::dense(DenseConfig { dim: 10, atoms: 15 }).with_step(0.2);
/// let model = Pudle::<2, DenseDictionary>::new(&config, 0, &Device::flex())?;
/// let mut trainer = Trainer::new(model, Update::adam(1e-3));
/// for step in 0..3 {
///     let record = trainer.step(draws.batch(step)?)?;
///     println!("step {step}: loss {}", record.loss);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Trainer<const D: usize, A: Dictionary<D>> {
    trainee: Trainee<D, A>,
    optimizer: ModuleOptimizer,
    update: Update,
    device: Device,
    missing: Missing,
    /// Number of complete steps.
    steps: u64,
}

impl<const D: usize, A: Dictionary<D>> Trainer<D, A> {
    /// Creates a trainer for `model`, on its device. [`UpdateRule::Noodl`] and [`UpdateRule::Online`] change only the
    /// dictionary of the model, and the latter takes codes as constants whatever the estimator of the model.
    pub fn new(model: Pudle<D, A>, update: Update) -> Self {
        let trainee = Trainee::new(model, None, update.rule).train();
        let device = trainee.model.dictionary().atoms().device();
        let missing = Missing::Error;
        Self { trainee, optimizer: update.optimizer(), update, device, missing, steps: 0 }
    }

    /// The same trainer, with this meaning of numbers that are NaN. The default is [`Missing::Error`].
    pub fn with_missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Performs one step on `batch`, and returns the figures of its forward pass, before the update.
    ///
    /// # Errors
    /// Returns an error if the loss is not finite or diverges, or if the rule is [`UpdateRule::Online`] and the atoms are filters or
    /// numbers are missing. The model then remains that before the step.
    ///
    /// # Panics
    /// Panics if the data of `batch` do not have rank `D`, or do not fit the dictionary.
    pub fn step(&mut self, batch: Batch) -> Result<StepRecord> {
        let batch = to_device(batch, None, self.missing, &self.device);
        let (extent, energy) = (batch.input.dims(), batch.energy);
        self.check_rule(&batch)?;
        let output = TrainStep::step(&self.trainee, batch);
        self.trainee.check(output.item.loss, self.steps + 1, extent, energy)?;
        let rate = self.update.learning_rate.into();
        self.trainee = self.trainee.clone().optimize(&mut self.optimizer, rate, output.grads);
        self.steps += 1;
        Ok(output.item)
    }

    /// Online dictionary learning has no sums for filters or for data of which a part is known.
    fn check_rule(&self, batch: &DeviceBatch<D>) -> Result<()> {
        if self.update.rule != UpdateRule::Online {
            return Ok(());
        }
        let reason = if self.trainee.sums().is_none() {
            "online dictionary learning is for a matrix of atoms, not for filters"
        } else if batch.mask.is_some() {
            "online dictionary learning needs all numbers of a datum"
        } else {
            return Ok(());
        };
        Err(TrainError::Unsuitable(reason.into()))
    }

    /// Number of complete steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The model after the last step, without autodiff.
    pub fn model(&self) -> Pudle<D, A> {
        self.trainee.model.valid()
    }

    /// Continues with another learning rate, above 0.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.update.learning_rate = learning_rate;
    }

    /// Continues with other settings of the model; see [`Pudle::with_config`].
    ///
    /// # Errors
    /// Returns an error if `config` is out of range, or describes another dictionary.
    pub fn set_config(&mut self, config: PudleConfig) -> Result<()> {
        self.trainee.model = self.trainee.model.clone().with_config(config)?;
        Ok(())
    }

    /// Writes the model, and the state of the optimiser or of online dictionary learning, into `dir`. The file names have the number of steps.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let failed = |path: PathBuf| move |error: RecordError| weights(path, &error);
        let path = file(dir, "model", self.steps);
        self.trainee.model.clone().into_record().save(&path).map_err(failed(path))?;
        if self.has_state() {
            let path = file(dir, "optim", self.steps);
            self.optimizer.to_record().save(&path).map_err(failed(path))?;
        }
        if let Some(sums) = self.trainee.sums() {
            let path = file(dir, "sums", self.steps);
            sums.clone().into_record().save(&path).map_err(failed(path))?;
        }
        Ok(())
    }

    /// Reads the model and the state that [`save`](Self::save) wrote into `dir` after `steps` steps. Later
    /// steps are bit for bit those of an uninterrupted training.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or does not fit the model.
    pub fn load(&mut self, dir: &Path, steps: u64) -> Result<()> {
        let path = file(dir, "model", steps);
        let model = self.trainee.model.clone();
        let record = ModuleRecord::load(&path).and_then(|record| model.try_load_record(record));
        self.trainee.model = record.map_err(|error| weights(path, &error))?;
        if self.has_state() {
            let path = file(dir, "optim", steps);
            let record = OptimizerRecord::load(&path).map_err(|error| weights(path, &error))?;
            self.optimizer = self.optimizer.clone().load_record(record);
        }
        if let Some(sums) = self.trainee.sums() {
            let path = file(dir, "sums", steps);
            let sums = sums.clone();
            let read = ModuleRecord::load(&path).and_then(|record| sums.try_load_record(record));
            let sums = read.map_err(|error| weights(path, &error))?;
            self.trainee = self.trainee.clone().with_sums(sums);
        }
        self.steps = steps;
        Ok(())
    }

    /// Whether the optimiser has a state.
    fn has_state(&self) -> bool {
        self.update.rule == UpdateRule::Adam
    }
}

fn file(dir: &Path, part: &str, steps: u64) -> PathBuf {
    dir.join(format!("{part}-{steps}.bpk"))
}

fn weights(path: PathBuf, error: &RecordError) -> TrainError {
    TrainError::Weights { path, reason: error.to_string() }
}
