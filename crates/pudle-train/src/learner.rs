//! The model as Burn's Learner trains it.

use burn::module::{Module, Param, list_param_ids};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use pudle_core::{Dictionary, Objective, Pudle};

use crate::data::{DeviceBatch, Energy};
use crate::error::{Result, TrainError};
use crate::metrics::{Extra, StepRecord};
use crate::online::{Descent, Sums};
use crate::refit::refitted_objective;
use crate::revive::{Pending, Revival, take};
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
    /// Number of first atoms that are never changed.
    #[module(skip)]
    fixed: usize,
    /// Whether updates get only the part of the gradient of atoms that is tangent to the unit sphere.
    #[module(skip)]
    tangent: bool,
    /// Whether the gradient takes events of the size that least squares gives, in place of the code.
    #[module(skip)]
    refit: bool,
    /// Weight of the roughness of atoms in the loss of a datum.
    #[module(skip)]
    smooth: f64,
    /// What online dictionary learning keeps of past steps; `None` for other rules.
    sums: Option<Sums>,
    /// Atoms that start again in the next update, which then does nothing else.
    #[module(skip)]
    revival: Pending,
}

impl<const D: usize, A: Dictionary<D>> Trainee<D, A> {
    pub fn new(model: Pudle<D, A>, truth: Option<Tensor<D>>, rule: UpdateRule) -> Self {
        let truth = truth.map(|atoms| Param::from_tensor(atoms).set_require_grad(false));
        let sums = (rule == UpdateRule::Online).then(|| Sums::of(&model)).flatten();
        let (fixed, tangent, refit, smooth, revival) = (0, false, false, 0.0, Pending::default());
        Self { model, truth, rule, fixed, tangent, refit, smooth, sums, revival }
    }

    /// The same with `count` first atoms that are never changed.
    pub fn with_fixed(self, count: usize) -> Self {
        Self { fixed: count, ..self }
    }

    /// The same with the part of the gradient of atoms alone that is tangent to the unit sphere.
    pub fn with_tangent(self, tangent: bool) -> Self {
        Self { tangent, ..self }
    }

    /// The same with events of the size that least squares gives, in place of codes.
    pub fn with_refit(self, refit: bool) -> Self {
        Self { refit, ..self }
    }

    /// The same with this weight of the roughness of atoms in the loss of a datum.
    pub fn with_smooth(self, smooth: f64) -> Self {
        Self { smooth, ..self }
    }

    /// What online dictionary learning keeps of past steps.
    pub fn sums(&self) -> Option<&Sums> {
        self.sums.as_ref()
    }

    /// The same with these sums.
    pub fn with_sums(self, sums: Sums) -> Self {
        Self { sums: Some(sums), ..self }
    }

    /// The next update, whatever its gradients, starts these atoms again and does nothing else. Burn gives access to the
    /// optimiser in an update only.
    pub fn revive_next(&self, revival: Revival) {
        *self.revival.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(revival);
    }

    /// The figures of a forward pass, with the distance from the true dictionary.
    fn record(&self, objective: &Objective<D>, extra: Extra) -> StepRecord {
        let dictionary_error = self.truth.as_ref().map(|truth| {
            let truth = truth.val().inner();
            let error = self.model.dictionary().atoms().inner() - truth.clone();
            (error.square().sum() / truth.square().sum()).sqrt()
        });
        StepRecord::read(objective, Extra { dictionary_error, ..extra })
    }

    /// Returns an error if `loss` is not finite, or if it is far from anything that a training can reach. With a step size
    /// up to 2/‖D‖², the layers never increase the objective, which begins at the loss of a zero output. The estimate of
    /// the loss of a mean over shifts can be below zero, but not by more than this loss. The first step is not judged, because
    /// banks of their own that start at random are projected by its update. `extent` is the shape of the data.
    pub fn check(&self, loss: f64, step: u64, extent: [usize; D], energy: Energy) -> Result<()> {
        if !loss.is_finite() {
            return Err(self.not_finite(loss, step, extent));
        }
        if !self.model.config().observation.is_gaussian() {
            // The loss of counts is not on the scale of the data's energy.
            return Ok(());
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

    /// The gradients, zero for the atoms that are never changed.
    fn free(&self, mut grads: GradientsParams) -> GradientsParams {
        let banks = [self.model.dictionary(), self.model.analysis(), self.model.decoder()];
        for id in banks.into_iter().flat_map(list_param_ids) {
            let Some(grad) = grads.remove::<D>(id) else { continue };
            let mut shape = grad.dims();
            shape[A::ATOM_AXIS] = self.fixed;
            let none = Tensor::zeros(shape, (&grad.device(), grad.dtype()));
            let rest = grad.dims()[A::ATOM_AXIS] - self.fixed;
            grads.register(
                id,
                match rest {
                    0 => none,
                    rest => Tensor::cat(
                        vec![none, grad.narrow(A::ATOM_AXIS, self.fixed, rest)],
                        A::ATOM_AXIS,
                    ),
                },
            );
        }
        grads
    }

    /// The gradients, without the part of that of the dictionary's atoms that changes their norms.
    fn on_sphere(&self, mut grads: GradientsParams) -> GradientsParams {
        for id in list_param_ids(self.model.dictionary()) {
            let Some(grad) = grads.remove::<D>(id) else { continue };
            let atoms = self.model.dictionary().atoms().inner();
            let over_atom = |values: Tensor<D>| {
                let axes = (0..D).filter(|axis| *axis != A::ATOM_AXIS);
                axes.fold(values, |values, axis| values.sum_dim(axis))
            };
            let along = over_atom(grad.clone() * atoms.clone());
            grads.register(id, grad - atoms * along);
        }
        grads
    }

    /// The model after an update: weights are projected, and atoms that never change are those of `before`.
    fn updated(self, before: Option<Pudle<D, A>>) -> Self {
        let model = self.model.project();
        let model = match before {
            Some(before) => model.with_first_atoms_of(&before, self.fixed),
            None => model,
        };
        Self { model, ..self }
    }

    /// The model before an update, if it has atoms that never change.
    fn before(&self) -> Option<Pudle<D, A>> {
        (self.fixed > 0).then(|| self.model.clone())
    }

    /// What a batch adds to the sums of online dictionary learning, in place of gradients, and the figures of its forward pass.
    fn online_step(&self, sums: &Sums, batch: DeviceBatch<D>) -> (GradientsParams, Objective<D>) {
        let (input, target) = (batch.input.inner(), batch.target.inner());
        let model = self.model.valid();
        let objective = model.objective(input, target.clone(), &batch.noise);
        let flat = |tensor: Tensor<D>| {
            let count = tensor.dims()[0];
            tensor.reshape([count as i32, -1])
        };
        let centred = flat(target) - model.config().offset;
        (sums.of_batch(flat(objective.code.clone()), centred), objective)
    }

    /// The model after a step of online dictionary learning.
    fn moved(self, sums: Sums, batch: GradientsParams, rate: f64) -> Self {
        let before = self.before();
        let sums = sums.with(batch);
        let nonnegative = self.model.config().nonnegative;
        let descent = Descent { rate: rate as f32, fixed: self.fixed, nonnegative };
        let model = self.model.map_atoms(|atoms| {
            let shape = atoms.dims();
            let matrix = [shape[0] as i32, -1];
            sums.descend(atoms.reshape(matrix), descent).reshape(shape)
        });
        Self { model, sums: Some(sums), ..self }.updated(before)
    }

    /// Starts atoms again. If that fails, nothing changes, and a line says so.
    fn revived(self, optim: &mut ModuleOptimizer, revival: &Revival) -> Self {
        let result = revival.forget(&self.model, optim).and_then(|forgetful| {
            let model = revival.apply(self.model.clone())?;
            Ok((forgetful, model))
        });
        match result {
            Ok((forgetful, model)) => {
                *optim = forgetful;
                let sums = self.sums.map(|sums| sums.without(&revival.atoms));
                Self { model, sums, ..self }
            }
            Err(error) => {
                log::warn!("unused atoms cannot start again: {error}");
                self
            }
        }
    }
}

impl<const D: usize, A: Dictionary<D>> TrainStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> TrainOutput<StepRecord> {
        let usage = Extra { usage: true, ..Extra::default() };
        if let Some(sums) = &self.sums {
            let (grads, objective) = self.online_step(sums, batch);
            return TrainOutput { grads, item: self.record(&objective, usage) };
        }
        let given = batch.given_objective(&self.model);
        let DeviceBatch { input, target, noise, shifts, mask, share, .. } = batch;
        if self.rule == UpdateRule::Noodl {
            let (grads, objective) = noodl(&self.model, input, target, &noise);
            return TrainOutput { grads, item: self.record(&objective, usage) };
        }
        let error = mask.map(|mask| Error { target: target.clone(), mask });
        let mut objective = match (given, shifts) {
            (Some(objective), _) => objective,
            (None, None) if self.refit => refitted_objective(&self.model, input, target, &noise),
            (None, None) => self.model.objective(input, target, &noise),
            (None, Some(windows)) => self.model.shifted_objective(input, target, &noise, &windows),
        };
        if self.smooth > 0.0 {
            let rough = self.model.roughness(&objective.code) * self.smooth;
            objective.loss = objective.loss + rough;
        }
        let error = error.map(|error| error.of(objective.reconstruction.clone()));
        let record = self.record(&objective, Extra { error, ..usage });
        let loss = if share == 1.0 { objective.loss } else { objective.loss * share };
        TrainOutput::new(self, loss.backward(), record)
    }

    fn optimize(
        mut self,
        optim: &mut ModuleOptimizer,
        learning_rate: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        if let Some(revival) = take(&self.revival) {
            return self.revived(optim, &revival);
        }
        if let Some(sums) = self.sums.take() {
            return self.moved(sums, grads, learning_rate.base());
        }
        let grads = if self.tangent { self.on_sphere(grads) } else { grads };
        let before = self.before();
        let grads = if before.is_some() { self.free(grads) } else { grads };
        optim.step(learning_rate, self, grads).updated(before)
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        learning_rate: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        let before = self.before();
        optim.step_multi(learning_rate, self, grads).updated(before)
    }
}

impl<const D: usize, A: Dictionary<D>> InferenceStep for Trainee<D, A> {
    type Input = DeviceBatch<D>;
    type Output = StepRecord;

    fn step(&self, batch: DeviceBatch<D>) -> StepRecord {
        let model = self.model.valid();
        let given = batch.clone().inner().given_objective(&model);
        let (input, target) = (batch.input.inner(), batch.target.inner());
        let noise = &batch.noise;
        let (objective, error) = match given {
            Some(objective) => {
                let mask = batch.mask.map(Tensor::inner);
                let error =
                    mask.map(|mask| Error { target, mask }.of(objective.reconstruction.clone()));
                (objective, error)
            }
            None => {
                let objective = model.covered_objective(input, target.clone(), noise);
                // Saved images have values in [0, 1], so PSNR is that of clipped images.
                let clipped = objective.reconstruction.clone().clamp(0.0, 1.0);
                let error = (D == 4).then(|| (clipped - target).square().mean());
                (objective, error)
            }
        };
        self.record(&objective, Extra { error, ..Extra::default() })
    }
}

/// The mean square error of the entries that are known.
struct Error<const D: usize> {
    target: Tensor<D>,
    mask: Tensor<D>,
}

impl<const D: usize> Error<D> {
    fn of(self, reconstruction: Tensor<D>) -> Tensor<1> {
        let (target, mask) = (self.target.inner(), self.mask.inner());
        let squares = ((reconstruction.inner() - target) * mask.clone()).square().sum();
        squares / mask.sum().clamp_min(1.0)
    }
}
