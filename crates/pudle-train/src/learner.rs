//! The model as Burn's Learner trains it.

use burn::module::{Module, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use pudle_core::{Dictionary, Objective, Pudle};

use crate::data::DeviceBatch;
use crate::metrics::StepRecord;

/// A model under training, and the true dictionary where the data come from one.
#[derive(Module, Debug)]
pub(crate) struct Trainee<const D: usize, A: Dictionary<D>> {
    pub model: Pudle<D, A>,
    /// `D*`, shaped as the atoms; a parameter that no gradient reaches, so that it moves between
    /// devices with the model.
    truth: Option<Param<Tensor<D>>>,
}

impl<const D: usize, A: Dictionary<D>> Trainee<D, A> {
    pub fn new(model: Pudle<D, A>, truth: Option<Tensor<D>>) -> Self {
        let truth = truth.map(|atoms| Param::from_tensor(atoms).set_require_grad(false));
        Self { model, truth }
    }

    fn record(&self, objective: &Objective<D>, error: Option<Tensor<1>>) -> StepRecord {
        let dictionary_error = self.truth.as_ref().map(|truth| {
            let truth = truth.val().inner();
            let error = self.model.dictionary().atoms().inner() - truth.clone();
            (error.square().sum() / truth.square().sum()).sqrt()
        });
        StepRecord::read(objective, error, dictionary_error)
    }

    fn project(self) -> Self {
        Self { model: self.model.project(), truth: self.truth }
    }
}

impl<const D: usize, A: Dictionary<D>> TrainStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> TrainOutput<StepRecord> {
        let DeviceBatch { input, target, noise, shifts } = batch;
        let objective = match shifts {
            None => self.model.objective(input, target, &noise),
            Some(windows) => self.model.shifted_objective(input, target, &noise, &windows),
        };
        let record = self.record(&objective, None);
        TrainOutput::new(self, objective.loss.backward(), record)
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        learning_rate: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        optim.step(learning_rate, self, grads).project()
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        learning_rate: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        optim.step_multi(learning_rate, self, grads).project()
    }
}

impl<const D: usize, A: Dictionary<D>> InferenceStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> StepRecord {
        let target = batch.target.inner();
        let objective =
            self.model.valid().covered_objective(batch.input.inner(), target.clone(), &batch.noise);
        // Images are scored as they would be saved.
        let error = (D == 4)
            .then(|| (objective.reconstruction.clone().clamp(0.0, 1.0) - target).square().mean());
        self.record(&objective, error)
    }
}
