//! A training loop that counts steps: Burn's Learner, with checkpoints, validations and stops at
//! steps instead of epochs.

use std::sync::{Mutex, PoisonError};

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::EventStoreClient;
use burn::train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, LearningResult,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, ValidLoader,
};
use pudle_core::Dictionary;

use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::metrics::{MetricsFile, StepRecord, mean};

/// Runs the steps `done + 1 ..= total`. Burn's epochs are the periods between validations.
pub(crate) struct Stepwise {
    pub device: Device,
    pub done: u64,
    pub total: u64,
    pub valid_every: u64,
    pub checkpoint_every: u64,
    pub state: Mutex<State>,
}

/// What the loop leaves behind.
pub(crate) struct State {
    pub metrics: MetricsFile,
    /// The last step whose update was applied.
    pub reached: u64,
    /// Why the loop ended early, where not on request.
    pub failure: Option<TrainError>,
}

impl Stepwise {
    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // A poisoned state means that a panic is already on its way.
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn epoch(&self, step: u64) -> usize {
        step.div_ceil(self.valid_every) as usize
    }

    fn epochs(&self) -> usize {
        self.epoch(self.total)
    }

    /// The first step of the period that `step` lies in (or of what is left of it), and its last.
    fn period(&self, step: u64) -> (u64, u64) {
        let epoch = self.epoch(step) as u64;
        let first = ((epoch - 1) * self.valid_every).max(self.done) + 1;
        (first, (epoch * self.valid_every).min(self.total))
    }
}

/// One optimisation step, from its batch to the updated weights.
///
/// # Errors
/// Where the loss is not finite; the weights are then those before the step.
fn advance<const D: usize, A: Dictionary<D>>(
    learner: &mut Learner<Trainee<D, A>>,
    batch: crate::data::DeviceBatch<D>,
    step: u64,
) -> Result<StepRecord> {
    let extent = batch.input.dims();
    let output = learner.train_step(batch);
    if !output.item.loss.is_finite() {
        return Err(not_finite(&learner.model(), step, output.item.loss, extent));
    }
    learner.lr_step();
    learner.optimizer_step(output.grads);
    Ok(output.item)
}

fn not_finite<const D: usize, A: Dictionary<D>>(
    trainee: &Trainee<D, A>,
    step: u64,
    loss: f64,
    extent: [usize; D],
) -> TrainError {
    let model = trainee.model.valid();
    let alpha = model.step(extent);
    let bound = 1.0 / model.dictionary().squared_norm(extent);
    let cause = if !bound.is_finite() {
        "the atoms are no longer finite, so the learning rate is the likely cause".to_owned()
    } else if alpha > bound {
        format!(
            "the likely cause is the step size {alpha:.3e}, above 1/‖D‖² = {bound:.3e}, under which \
             the layers diverge"
        )
    } else {
        format!(
            "the step size {alpha:.3e} is within 1/‖D‖² = {bound:.3e}, so the learning rate or the \
             data are the likely cause"
        )
    };
    TrainError::NotFinite { step, loss, cause }
}

impl<const D: usize, A: Dictionary<D>> SupervisedLearningStrategy<Trainee<D, A>> for Stepwise {
    fn train(
        &self,
        learner: Learner<Trainee<D, A>>,
        train: TrainLoader<Trainee<D, A>>,
        valid: ValidLoader<Trainee<D, A>>,
        mut components: TrainingComponents<Trainee<D, A>>,
    ) -> LearningResult<Trainee<D, A>> {
        let interrupter = components.interrupter.clone();
        let first_epoch = self.epoch(self.done + 1);
        interrupter.fail_on_error(components.event_processor.process_train(LearnerEvent::Start {
            total_epochs: self.epochs(),
            starting_epoch: first_epoch,
            label: components.label.clone(),
        }));
        let (model, mut processor) = self.fit(components, learner, train, valid, first_epoch);
        interrupter.fail_on_error(processor.process_train(LearnerEvent::End(None)));
        interrupter.fail_on_error(processor.flush());
        LearningResult {
            model: model.valid(),
            renderer: processor.renderer(),
            interrupted: interrupter.interruption(),
            error: interrupter.error(),
        }
    }

    fn fit(
        &self,
        components: TrainingComponents<Trainee<D, A>>,
        mut learner: Learner<Trainee<D, A>>,
        train: TrainLoader<Trainee<D, A>>,
        valid: ValidLoader<Trainee<D, A>>,
        _starting_epoch: usize,
    ) -> (Trainee<D, A>, SupervisedTrainingEventProcessor<Trainee<D, A>>) {
        let TrainingComponents {
            mut event_processor,
            mut checkpointer,
            interrupter,
            event_store,
            ..
        } = components;
        let train = train.to_device(&self.device);
        let valid = valid.to_device(&self.device.clone().inner());
        learner.fork(&self.device);
        let mut batches = train.iter();
        let mut extent = None;

        for step in self.done + 1..=self.total {
            let (first, last) = self.period(step);
            let epoch = self.epoch(step);
            if step == first {
                interrupter.fail_on_error(event_processor.process_train(
                    LearnerEvent::StartSplit {
                        epoch_number: epoch,
                        total_items: (last - first + 1) as usize,
                    },
                ));
            }
            let result = match batches.next() {
                Some(Ok(batch)) => {
                    extent = Some(batch.input.dims());
                    advance(&mut learner, batch, step)
                }
                Some(Err(error)) => Err(TrainError::Learner(error.to_string())),
                None => Err(TrainError::Learner("the data ended early".into())),
            };
            let result = result.and_then(|record| {
                let rate = learner.lr_current();
                self.state(|state| {
                    state.reached = step;
                    state.metrics.row(step, "train", &record, Some(rate.base()))
                })?;
                let progress = Progress::new(
                    (step - first + 1) as usize,
                    (last - first + 1) as usize,
                    Some("steps".into()),
                );
                let item = TrainingItem::new(record, progress, Some(step as usize), Some(rate));
                interrupter.fail_on_error(
                    event_processor.process_train(LearnerEvent::ProcessedItem(item)),
                );
                Ok(record)
            });
            let failed = result.is_err();
            if let Err(error) = result {
                self.state(|state| state.failure = Some(error));
            }
            let stop = failed || interrupter.should_stop();

            if step == last || stop {
                interrupter
                    .fail_on_error(event_processor.process_train(LearnerEvent::EndSplit(epoch)));
            }
            if step == last && !stop {
                interrupter.fail_on_error(event_processor.process_valid(
                    LearnerEvent::StartSplit {
                        epoch_number: epoch,
                        total_items: valid.num_items(),
                    },
                ));
                let records = self.validate(&learner.model(), &valid, |item| {
                    interrupter.fail_on_error(
                        event_processor.process_valid(LearnerEvent::ProcessedItem(item)),
                    );
                    !interrupter.should_stop()
                });
                interrupter
                    .fail_on_error(event_processor.process_valid(LearnerEvent::EndSplit(epoch)));
                interrupter
                    .fail_on_error(event_processor.process_train(LearnerEvent::EndEpoch(epoch)));
                let written = records.and_then(|records| match mean(&records) {
                    Some(record) => {
                        self.state(|state| state.metrics.row(step, "valid", &record, None))
                    }
                    None => Ok(()),
                });
                if let Err(error) = written {
                    self.state(|state| state.failure = Some(error));
                }
            }

            let reached = self.state(|state| state.reached);
            let due = reached == self.total || reached.is_multiple_of(self.checkpoint_every);
            if (due || stop) && reached > self.done {
                // Weights can overflow in an update whose loss was still finite.
                let model = learner.model();
                let finite = model.model.dictionary().atoms().inner().is_finite().all();
                let finite = finite.into_scalar::<bool>();
                self.state(|state| {
                    if let Err(error) = state.metrics.flush() {
                        state.failure.get_or_insert(error);
                    }
                    if !finite && state.failure.is_none() {
                        let extent = extent.unwrap_or([1; D]);
                        state.failure = Some(not_finite(&model, step, f64::NAN, extent));
                    }
                });
                if finite && let Some(checkpointer) = &mut checkpointer {
                    checkpointer.checkpoint(&learner, reached as usize, &event_store);
                }
            }
            if stop || self.state(|state| state.failure.is_some()) {
                break;
            }
        }
        self.state(|state| {
            if let Err(error) = state.metrics.flush() {
                state.failure.get_or_insert(error);
            }
        });
        (learner.model(), event_processor)
    }
}

impl Stepwise {
    /// The figures of every validation batch; `visit` says whether to go on.
    fn validate<const D: usize, A: Dictionary<D>>(
        &self,
        trainee: &Trainee<D, A>,
        valid: &ValidLoader<Trainee<D, A>>,
        mut visit: impl FnMut(TrainingItem<StepRecord>) -> bool,
    ) -> Result<Vec<StepRecord>> {
        let trainee = trainee.valid();
        let mut batches = valid.iter();
        let mut records = Vec::new();
        while let Some(batch) = batches.next() {
            let batch = batch.map_err(|error| TrainError::Learner(error.to_string()))?;
            let record = InferenceStep::step(&trainee, batch);
            records.push(record);
            let item = TrainingItem::new(record, batches.progress(), Some(records.len()), None);
            if !visit(item) {
                break;
            }
        }
        Ok(records)
    }
}

/// Keeps the checkpoints of the last few steps.
pub(crate) struct KeepLast {
    /// Steps with a checkpoint, oldest first.
    pub steps: Vec<usize>,
    /// How many stay.
    pub keep: usize,
}

impl CheckpointingStrategy for KeepLast {
    fn checkpointing(
        &mut self,
        step: usize,
        _store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        if self.steps.last() == Some(&step) {
            return Vec::new();
        }
        self.steps.push(step);
        // The new one is written before an old one goes.
        let mut actions = vec![CheckpointingAction::Save];
        while self.steps.len() > self.keep {
            actions.push(CheckpointingAction::Delete(self.steps.remove(0)));
        }
        actions
    }
}
