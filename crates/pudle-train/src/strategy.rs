//! A training loop for Burn's Learner that counts steps instead of epochs. It validates, saves
//! checkpoints and stops at steps.

use std::sync::{Mutex, PoisonError};

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearningResult,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, ValidLoader,
};
use pudle_core::Dictionary;

use crate::checkpoints::{Checkpoints, Saves};
use crate::data::DeviceBatch;
use crate::error::{Result, TrainError};
use crate::learner::Trainee;
use crate::metrics::{MetricsFile, StepRecord, TRAIN, VALID, mean};
use crate::parallel::Parallel;
use crate::revive::Reviver;
use crate::stability;
use crate::team::Team;
use crate::usage::Usage;

/// The training strategy: runs the steps `done + 1 ..= total`. An epoch of Burn is the period between
/// two validations.
pub(crate) struct Stepwise {
    pub device: Device,
    /// The devices that share the batches, if there are several.
    pub team: Option<Team>,
    pub done: u64,
    pub total: u64,
    pub valid_every: u64,
    pub checkpoint_every: u64,
    pub keep: usize,
    /// Validations without a smaller loss after which the training ends.
    pub patience: Option<u64>,
    pub checkpoints: Checkpoints,
    /// How unused atoms start again, if they do.
    pub reviver: Option<Reviver>,
    pub state: Mutex<State>,
}

/// The state of the loop, read by the caller after the training.
pub(crate) struct State {
    pub metrics: MetricsFile,
    pub saves: Saves,
    /// The last step whose update was applied.
    pub reached: u64,
    /// The error that ended the loop early, if there was one.
    pub failure: Option<TrainError>,
    /// Whether any code had an entry that is not zero.
    pub active: bool,
    /// When atoms were last used.
    pub usage: Usage,
}

/// If all codes of so many steps are zero, a warning says so.
const FIRST_STEPS: u64 = 20;

type Processor<const D: usize, A> = SupervisedTrainingEventProcessor<Trainee<D, A>>;

impl Stepwise {
    /// Whether the last validations have not brought a smaller loss for too long.
    pub fn is_exhausted(&self, state: &State) -> bool {
        let since = state.metrics.best().map_or(0, |best| best.since);
        self.patience.is_some_and(|patience| since >= patience)
    }

    /// The epoch of a step; both count from 1.
    fn epoch(&self, step: u64) -> usize {
        step.div_ceil(self.valid_every) as usize
    }

    /// The first and the last step of the epoch of `step`. In the first epoch of a resumed run, steps before the
    /// checkpoint do not count.
    fn period(&self, step: u64) -> (u64, u64) {
        let epoch = self.epoch(step) as u64;
        let first = ((epoch - 1) * self.valid_every).max(self.done) + 1;
        (first, (epoch * self.valid_every).min(self.total))
    }
}

/// One optimisation step, from its batch to the updated weights.
///
/// # Errors
/// Returns an error if the loss is not finite or diverges. The weights then remain those before the step.
fn advance<const D: usize, A: Dictionary<D>>(
    learner: &mut Learner<Trainee<D, A>>,
    parallel: Option<&mut Parallel<D, A>>,
    batch: DeviceBatch<D>,
    step: u64,
) -> Result<StepRecord> {
    let (extent, energy) = (batch.input.dims(), batch.energy);
    let output = match parallel {
        Some(devices) => devices.step(&learner.model(), &batch)?,
        None => learner.train_step(batch),
    };
    learner.model().check(output.item.loss, step, extent, energy)?;
    learner.lr_step();
    learner.optimizer_step(output.grads);
    Ok(output.item)
}

/// The figures of every validation batch, or `None` if `visit` returns `false`, which stops the validation.
fn validate<const D: usize, A: Dictionary<D>>(
    trainee: &Trainee<D, A>,
    valid: &ValidLoader<Trainee<D, A>>,
    mut visit: impl FnMut(TrainingItem<StepRecord>) -> bool,
) -> Result<Option<Vec<StepRecord>>> {
    let trainee = trainee.valid();
    let mut batches = valid.iter();
    let mut records = Vec::new();
    while let Some(batch) = batches.next() {
        let batch = batch.map_err(|error| TrainError::Learner(error.to_string()))?;
        let record = InferenceStep::step(&trainee, batch);
        records.push(record.clone());
        let item = TrainingItem::new(record, batches.progress(), Some(records.len()), None);
        if !visit(item) {
            return Ok(None);
        }
    }
    Ok(Some(records))
}

/// The objects that one training works with.
struct Session<'a, const D: usize, A: Dictionary<D>> {
    plan: &'a Stepwise,
    learner: Learner<Trainee<D, A>>,
    /// The devices that share the batches, if there are several.
    parallel: Option<Parallel<D, A>>,
    valid: ValidLoader<Trainee<D, A>>,
    processor: Processor<D, A>,
    interrupter: Interrupter,
    /// The step of the last checkpoint.
    saved: u64,
}

impl<const D: usize, A: Dictionary<D>> Session<'_, D, A> {
    /// Sends a training event to Burn's metrics and dashboard.
    fn send(&mut self, event: LearnerEvent<StepRecord>) {
        self.interrupter.fail_on_error(self.processor.process_train(event));
    }

    /// Performs a training step and writes its figures.
    fn step(&mut self, state: &mut State, batch: DeviceBatch<D>, step: u64) -> Result<()> {
        let mut record = advance(&mut self.learner, self.parallel.as_mut(), batch, step)?;
        state.usage.observe(step, &record.used);
        let unused = state.usage.unused(step);
        record.unused = Some(unused.len() as u64);
        state.reached = step;
        state.active |= record.active > 0.0;
        let rate = self.learner.lr_current();
        state.metrics.row(step, TRAIN, &record, Some(rate.base()))?;
        let (first, last) = self.plan.period(step);
        let (done, all) = ((step - first + 1) as usize, (last - first + 1) as usize);
        let progress = Progress::new(done, all, Some("steps".into()));
        let item = TrainingItem::new(record, progress, Some(step as usize), Some(rate));
        self.send(LearnerEvent::ProcessedItem(item));
        self.revive(state, &unused, step)
    }

    /// Starts unused atoms again, if it is time, and says so in a line.
    fn revive(&mut self, state: &mut State, unused: &[usize], step: u64) -> Result<()> {
        let Some(reviver) = self.plan.reviver.as_ref().filter(|reviver| reviver.is_due(step))
        else {
            return Ok(());
        };
        let (model, device) = (self.learner.model(), self.plan.device.clone().inner());
        let Some(revival) = reviver.revival(&model.model.valid(), unused, step, &device)? else {
            return Ok(());
        };
        state.usage.renew(step, &revival.atoms);
        log::warn!(
            "step {step}: {} of {} atoms without use in {} steps start again from the data that are reconstructed worst",
            revival.atoms.len(),
            unused.len(),
            state.usage.window()
        );
        model.revive_next(revival);
        self.learner.optimizer_step(GradientsParams::new());
        // New atoms can make the dictionary's norm larger.
        if let Some(line) = stability::line(&self.learner.model().model.valid()) {
            log::warn!("{line}; give a smaller one, or \"auto\"");
        }
        Ok(())
    }

    /// Validates the model after `step` and writes the mean figures. A stop request ends the validation early
    /// without a row; the resumed run repeats it. The validation after the last step always completes.
    fn validate(&mut self, state: &mut State, step: u64) -> Result<()> {
        let epoch = self.plan.epoch(step);
        let total_items = self.valid.num_items();
        let start = LearnerEvent::StartSplit { epoch_number: epoch, total_items };
        self.interrupter.fail_on_error(self.processor.process_valid(start));
        let (processor, interrupter) = (&mut self.processor, &self.interrupter);
        let last = step == self.plan.total;
        let records = validate(&self.learner.model(), &self.valid, |item| {
            interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
            last || !interrupter.should_stop()
        })?;
        let end = LearnerEvent::EndSplit(epoch);
        self.interrupter.fail_on_error(self.processor.process_valid(end));
        match records.as_deref().and_then(mean) {
            Some(record) => state.metrics.row(step, VALID, &record, None),
            None => Ok(()),
        }
    }
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
            total_epochs: self.epoch(self.total),
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
    ) -> (Trainee<D, A>, Processor<D, A>) {
        let TrainingComponents {
            event_processor: processor,
            mut checkpointer,
            interrupter,
            event_store,
            ..
        } = components;
        let train = train.to_device(&self.device);
        let valid = valid.to_device(&self.device.clone().inner());
        learner.fork(&self.device);
        let parallel = self.team.as_ref().map(|team| Parallel::start(team, &self.device));
        let saved = self.done;
        let mut session =
            Session { plan: self, learner, parallel, valid, processor, interrupter, saved };
        // No other thread locks the state while the loop runs.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = session.run(&mut state, &train, |learner, state, step| {
            let Some(checkpointer) = &mut checkpointer else { return Ok(()) };
            // Parts that are whole must not lack it, at whatever moment a kill falls.
            state.usage.write(&self.checkpoints.usage(step as usize))?;
            checkpointer.checkpoint(learner, step as usize, &event_store);
            state.saves.wait()?;
            self.checkpoints.seal(step as usize)?;
            self.checkpoints.prune(step as usize, self.keep)
        });
        state.failure = result.and(state.metrics.flush()).err();
        (session.learner.model(), session.processor)
    }
}

impl<const D: usize, A: Dictionary<D>> Session<'_, D, A> {
    /// Returns an error if a weight is not finite. An update can make weights infinite although its loss is finite.
    fn check_weights(&self, step: u64, extent: [usize; D]) -> Result<()> {
        let model = self.learner.model();
        match model.model.valid().check_weights() {
            Ok(()) => Ok(()),
            Err(_) => Err(model.not_finite(f64::NAN, step, extent)),
        }
    }

    /// Says in a line if all codes of the first steps are zero.
    fn warn_of_zero_codes(&self, state: &State) {
        let last = (self.plan.done + FIRST_STEPS).min(self.plan.total);
        if state.reached == last && !state.active {
            log::warn!("all codes of the first steps are zero: λ is too large for these data");
        }
    }

    /// Runs all steps, or the steps before a stop or an error. `save` writes the checkpoint of a step.
    fn run(
        &mut self,
        state: &mut State,
        train: &TrainLoader<Trainee<D, A>>,
        mut save: impl FnMut(&Learner<Trainee<D, A>>, &mut State, u64) -> Result<()>,
    ) -> Result<()> {
        let Stepwise { done, total, valid_every, checkpoint_every, .. } = *self.plan;
        // A stop during a validation skips its row, so the resumed run validates first.
        if done > 0 && done.is_multiple_of(valid_every) && !state.metrics.validated() {
            self.validate(state, done)?;
            if self.interrupter.should_stop() && done < total {
                return Ok(());
            }
        }
        if done > 0 && self.plan.is_exhausted(state) {
            return Ok(());
        }
        let mut batches = train.iter();
        for step in done + 1..=total {
            let (first, last) = self.plan.period(step);
            let epoch_number = self.plan.epoch(step);
            if step == first {
                let total_items = (last - first + 1) as usize;
                self.send(LearnerEvent::StartSplit { epoch_number, total_items });
            }
            let mut extent = [1; D];
            let mut result = match batches.next() {
                Some(Ok(batch)) => {
                    extent = batch.input.dims();
                    self.step(state, batch, step)
                }
                Some(Err(error)) => Err(TrainError::Learner(error.to_string())),
                None => Err(TrainError::Learner("the data ended early".into())),
            };
            let mut stop = result.is_err() || self.interrupter.should_stop();
            if step == last || stop {
                self.send(LearnerEvent::EndSplit(epoch_number));
            }
            if step == last && (!stop || step == total && result.is_ok()) {
                result = self.validate(state, step);
                self.send(LearnerEvent::EndEpoch(epoch_number));
                stop = result.is_err()
                    || self.interrupter.should_stop()
                    || self.plan.is_exhausted(state);
            }
            self.warn_of_zero_codes(state);
            // An error also saves the steps before it, but a training that diverges goes wrong before it is noticed.
            let reached = state.reached;
            let diverged = matches!(result, Err(TrainError::Diverged { .. }));
            let due = reached == total || reached.is_multiple_of(checkpoint_every);
            if (due || stop) && reached > self.saved && !diverged {
                if let Err(error) = self.check_weights(step, extent) {
                    return Err(result.err().unwrap_or(error));
                }
                state.metrics.flush()?;
                save(&self.learner, state, reached)?;
                self.saved = reached;
            }
            result?;
            if stop {
                break;
            }
        }
        Ok(())
    }
}
