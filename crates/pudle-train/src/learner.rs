//! The model as Burn's Learner trains it.

use burn::module::{Module, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use pudle_core::{Dictionary, Pudle};

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

    fn record(&self, objective: &pudle_core::Objective<D>) -> StepRecord {
        let error = self.truth.as_ref().map(|truth| {
            let truth = truth.val().inner();
            let error = self.model.dictionary().atoms().inner() - truth.clone();
            (error.square().sum() / truth.square().sum()).sqrt()
        });
        StepRecord::read(objective, error)
    }

    fn project(self) -> Self {
        Self { model: self.model.project(), truth: self.truth }
    }
}

impl<const D: usize, A: Dictionary<D>> TrainStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> TrainOutput<StepRecord> {
        let objective = self.model.objective(batch.input, batch.target);
        let record = self.record(&objective);
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
        let model = self.model.valid();
        self.record(&model.covered_objective(batch.input.inner(), batch.target.inner()))
    }
}
