//! The model as Burn's Learner trains it.

use burn::module::{Module, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use pudle_core::{Dictionary, Objective, Pudle};

use crate::data::{DeviceBatch, Energy};
use crate::error::{Result, TrainError};
use crate::metrics::StepRecord;
use crate::update::{UpdateRule, noodl};

/// A loss above this multiple of the loss of a zero output is out of reach for a training that works.
const MOST_GROWTH: f64 = 100.0;
/// So is a loss below zero by this multiple.
const MOST_BELOW_ZERO: f64 = 10.0;

/// A model in training, and the true dictionary if it is known.
#[derive(Module, Debug)]
pub(crate) struct Trainee<const D: usize, A: Dictionary<D>> {
    pub model: Pudle<D, A>,
    /// `D*` in the shape of the atoms. It is a parameter without gradient, so that it moves between
    /// devices with the model.
    truth: Option<Param<Tensor<D>>>,
    #[module(skip)]
    rule: UpdateRule,
}

impl<const D: usize, A: Dictionary<D>> Trainee<D, A> {
    pub fn new(model: Pudle<D, A>, truth: Option<Tensor<D>>, rule: UpdateRule) -> Self {
        let truth = truth.map(|atoms| Param::from_tensor(atoms).set_require_grad(false));
        Self { model, truth, rule }
    }

    /// The figures of a forward pass. `error` replaces the mean square error for PSNR.
    fn record(&self, objective: &Objective<D>, error: Option<Tensor<1>>) -> StepRecord {
        let dictionary_error = self.truth.as_ref().map(|truth| {
            let truth = truth.val().inner();
            let error = self.model.dictionary().atoms().inner() - truth.clone();
            (error.square().sum() / truth.square().sum()).sqrt()
        });
        StepRecord::read(objective, error, dictionary_error)
    }

    /// Returns an error if `loss` is not finite, or if it is far from anything that a training can reach. With a step size
    /// up to 2/‖D‖², the layers never increase the objective, which begins at the loss of a zero output. The estimate of
    /// the loss of a mean over shifts can be below zero, but not by more than this loss. The first step is not judged, because
    /// banks of their own that start at random are projected by its update. `extent` is the shape of the data.
    pub fn check(&self, loss: f64, step: u64, extent: [usize; D], energy: Energy) -> Result<()> {
        if !loss.is_finite() {
            return Err(self.not_finite(loss, step, extent));
        }
        let zero = energy.of_zero(self.model.config().offset);
        if step > 1 && (loss > MOST_GROWTH * zero || loss < -MOST_BELOW_ZERO * zero) {
            let cause = self.likely_cause(extent);
            return Err(TrainError::Diverged { step, loss, energy: zero, cause });
        }
        Ok(())
    }

    /// The error for a loss or weight that is not finite.
    pub fn not_finite(&self, loss: f64, step: u64, extent: [usize; D]) -> TrainError {
        TrainError::NotFinite { step, loss, cause: self.likely_cause(extent) }
    }

    /// The likely cause of a training that diverges.
    fn likely_cause(&self, extent: [usize; D]) -> String {
        let model = self.model.valid();
        let alpha = model.step(extent);
        let bound = 1.0 / model.dictionary().squared_norm(extent);
        if !bound.is_finite() {
            "the atoms are not finite, so the learning rate is the likely cause".to_owned()
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
        }
    }

    fn project(self) -> Self {
        Self { model: self.model.project(), ..self }
    }
}

impl<const D: usize, A: Dictionary<D>> TrainStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> TrainOutput<StepRecord> {
        let DeviceBatch { input, target, noise, shifts, .. } = batch;
        if self.rule == UpdateRule::Noodl {
            let (grads, objective) = noodl(&self.model, input, target, &noise);
            return TrainOutput { grads, item: self.record(&objective, None) };
        }
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
        // Saved images have values in [0, 1], so PSNR is that of clipped images.
        let error = (D == 4)
            .then(|| (objective.reconstruction.clone().clamp(0.0, 1.0) - target).square().mean());
        self.record(&objective, error)
    }
}
