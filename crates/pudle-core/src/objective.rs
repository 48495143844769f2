//! The objectives that train a model: plain, of a mean over shifted windows, and over data of any extent.

use burn::tensor::Tensor;

use crate::dictionary::Dictionary;
use crate::fused::Pass;
use crate::given::{Given, masked};
use crate::gradient::{Loss, Response};
use crate::implicit::FixedPoint;
use crate::model::Pudle;
use crate::noise::Noise;
use crate::padding::reflect_to;
use crate::step::StepSize;

/// What a training step computes from a batch.
#[derive(Clone, Debug)]
pub struct Objective<const D: usize> {
    /// The loss of the configured [`Loss`], mean over the batch, `[1]`. Its `backward` is the
    /// configured gradient estimator.
    pub loss: Tensor<1>,
    /// `½‖target − D z‖²`, or the loss of counts, mean over the batch, `[1]`.
    pub fit: Tensor<1>,
    /// The code `z_T`.
    pub code: Tensor<D>,
    /// The baseline of each channel, with 1 in place of the axes of samples, if the model infers it.
    pub baseline: Option<Tensor<D>>,
    /// The reconstruction `D z_T`, with the baseline (of counts, their mean), in the shape of the data.
    pub reconstruction: Tensor<D>,
}

/// Windows of the data whose reconstructions are averaged, each moved back to its place.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftedWindows {
    /// First sample of each window along the last axes, at most `reach`. A signal has the first number only.
    pub starts: Vec<[usize; 2]>,
    /// How much shorter than the data the windows are along each axis.
    pub reach: usize,
    /// Number of windows whose mean the loss estimates, at least the number of `starts`.
    pub averaged: usize,
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The forward pass of `x` against `target` (the datum itself, or the clean datum behind a
    /// noisy `x`), with the graph that the configured gradient estimator needs and no more. `noise` is that of `x`.
    ///
    /// # Panics
    /// Panics if the atoms do not fit `x`.
    pub fn objective(&self, x: Tensor<D>, target: Tensor<D>, noise: &Noise) -> Objective<D> {
        self.some_objective(x, target, Given::nothing(), noise)
    }

    /// The [`objective`](Self::objective) of data with missing entries. `mask`, in the shape of `x`, is 1 where an entry of `x`
    /// and `target` is known and 0 where it is missing. Missing entries have no residual, neither in the layers nor in the
    /// loss, whatever `x` and `target` hold there (it must be finite). The reconstruction fills them in. The layers run as
    /// composed operations.
    ///
    /// # Panics
    /// Panics if the atoms do not fit `x`.
    pub fn masked_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        mask: Tensor<D>,
        noise: &Noise,
    ) -> Objective<D> {
        self.some_objective(x, target, Given { mask: Some(&mask), support: None }, noise)
    }

    /// The [`objective`](Self::objective) of data whose codes are zero where `support`, in the shape of a code, is 0: atoms occur
    /// only where it is 1, at known onsets for example. Entries may be missing, see [`masked_objective`](Self::masked_objective).
    /// The layers run as composed operations.
    ///
    /// # Panics
    /// Panics if the atoms do not fit `x`.
    pub fn supported_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        support: Tensor<D>,
        mask: Option<Tensor<D>>,
        noise: &Noise,
    ) -> Objective<D> {
        let given = Given { mask: mask.as_ref(), support: Some(&support) };
        self.some_objective(x, target, given, noise)
    }

    /// The objective with what is known of data and codes.
    fn some_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        given: Given<'_, D>,
        noise: &Noise,
    ) -> Objective<D> {
        let mask = given.mask;
        let (x, target) = (masked(self.centred(x), mask), masked(self.centred(target), mask));
        let step = self.step_given(x.dims(), given);
        let pass = self.pass(&x, given, &step, noise, self.recorded());
        let Pass { code, baseline, reconstruction } = pass;
        let batch = x.dims()[0];
        let fit = self.fit(reconstruction.clone(), target.clone(), mask);
        let mut loss = self.loss(fit.clone(), code.clone(), batch, &step, noise);
        if self.config().gradient.response == Response::Implicit && x.is_autodiff() {
            let point = FixedPoint { x, target, mask, code: code.clone(), noise };
            loss = loss + self.implicit_response(point);
        }
        Objective { loss, fit, code, baseline, reconstruction: self.restored(reconstruction) }
    }

    /// The [`objective`](Self::objective) of the mean reconstruction of several windows of `x`, as in
    /// [`reconstruct_shifted`](Pudle::reconstruct_shifted). The reconstruction, and its comparison with the target,
    /// cover only the samples that all windows share: `x` without `reach` samples on every side. The codes of the
    /// windows follow each other along the batch axis.
    ///
    /// The fit is that of the mean of `averaged` windows, of which `starts` are a draw without repetition. With
    /// `S` of `K` drawn and errors `e_k`,
    /// `½ (a ⟨‖e_k‖²⟩ + b ‖⟨e_k⟩‖²)`, `b = (1 − 1/K)/(1 − 1/S)`, `a = 1/K − b/S`, has the expectation
    /// `½ ‖(1/K) Σ e_k‖²`: `⟨‖e‖²⟩` is the mean error of single windows, and `‖⟨e⟩‖²` minus `1/S` of it is the error that
    /// windows share. For `K = S` the fit is that of the mean of the drawn windows. A single draw can be below zero.
    ///
    /// # Panics
    /// Panics if a start is larger than `reach`, if `starts` is empty, if `starts` has one window but `averaged` is larger,
    /// if the data are vectors or counts, or if the gradient is implicit.
    pub fn shifted_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        noise: &Noise,
        windows: &ShiftedWindows,
    ) -> Objective<D> {
        let ShiftedWindows { starts, reach, averaged } = windows;
        let (reach, averaged, drawn) = (*reach, *averaged, starts.len());
        assert!(D > 2, "vectors have no axis to shift along");
        assert!(
            self.config().observation.is_gaussian(),
            "the mean over shifts is that of squared error"
        );
        assert!(averaged >= drawn, "{drawn} windows were drawn of {averaged}");
        assert!(drawn > 1 || averaged == drawn, "one window does not tell what windows share");
        assert!(
            self.config().gradient.response != Response::Implicit,
            "there is no implicit gradient of a mean"
        );
        let narrow = |x: Tensor<D>, start: &dyn Fn(usize) -> usize, shorter: usize| {
            (2..D).fold(x, |x, axis| {
                let length = x.dims()[axis] - shorter;
                x.narrow(axis, start(axis), length)
            })
        };
        let (x, target) = (self.centred(x), self.centred(target));
        let target = narrow(target, &|_| reach, 2 * reach);
        let cut = starts.iter().map(|at| narrow(x.clone(), &|axis| at[axis - 2], reach));
        let x = Tensor::cat(cut.collect(), 0);
        let (step, noise) = (self.step_size(x.dims()), noise.repeat(drawn));
        let pass = self.pass(&x, Given::nothing(), &step, &noise, self.recorded());
        let batch = target.dims()[0];
        let moved = starts.iter().zip(pass.reconstruction.split(batch, 0));
        let moved: Vec<Tensor<D>> =
            moved.map(|(at, part)| narrow(part, &|axis| reach - at[axis - 2], reach)).collect();
        let sum = moved.iter().cloned().reduce(|sum, part| sum + part);
        let reconstruction = sum.expect("at least one window") / drawn as f64;
        let mut fit = squares(reconstruction.clone(), target.clone(), batch);
        if averaged > drawn {
            let [drawn, averaged] = [drawn, averaged].map(|count| count as f64);
            let shared = (1.0 - 1.0 / averaged) / (1.0 - 1.0 / drawn);
            let own = 1.0 / averaged - shared / drawn;
            let each = moved.into_iter().map(|part| squares(part, target.clone(), batch));
            let each = each.reduce(|sum, part| sum + part).expect("at least one window");
            fit = fit * shared + each * (own / drawn);
        }
        let loss = self.loss(fit.clone(), pass.code.clone(), batch * drawn, &step, &noise);
        let reconstruction = self.restored(reconstruction);
        Objective { loss, fit, code: pass.code, baseline: pass.baseline, reconstruction }
    }

    /// The [`objective`](Self::objective) on data of any extent, for validation. Both are reflected as in
    /// [`reconstruct`](Self::reconstruct). The reconstruction is cropped to the data, and fit and loss use
    /// only the cropped part.
    ///
    /// # Panics
    /// Panics if `x` has other channels, or another dimension, than the atoms.
    pub fn covered_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        noise: &Noise,
    ) -> Objective<D> {
        let extent = x.dims();
        let covered = self.dictionary().covering(extent);
        if covered == extent {
            return self.objective(x, target, noise);
        }
        let padded =
            self.objective(reflect_to(x, covered), reflect_to(target.clone(), covered), noise);
        let reconstruction = padded.reconstruction.slice(extent.map(|length| 0..length));
        let observation = self.config().observation;
        let fit = match observation.is_gaussian() {
            true => squares(reconstruction.clone(), target, extent[0]),
            false => {
                let synthesis = observation.link(reconstruction.clone()) - self.config().offset;
                self.fit(synthesis, target, None)
            }
        };
        let loss = padded.loss - padded.fit + fit.clone();
        Objective { loss, fit, code: padded.code, baseline: padded.baseline, reconstruction }
    }

    /// The loss of a synthesis `D z` against centred data, mean over the batch, `[1]`. Entries where `mask` is 0 have none.
    fn fit(&self, synthesis: Tensor<D>, target: Tensor<D>, mask: Option<&Tensor<D>>) -> Tensor<1> {
        let batch = target.dims()[0] as f64;
        let observation = self.config().observation;
        if observation.is_gaussian() {
            return (masked(synthesis, mask) - target).square().sum() * (0.5 / batch);
        }
        let loss = observation.loss(synthesis + self.config().offset, target);
        masked(loss, mask).sum() / batch
    }

    /// The number of last layers through which the configured gradient estimator goes.
    fn recorded(&self) -> usize {
        let layers = self.config().layers;
        match self.config().gradient.response {
            Response::All => layers,
            Response::Last(k) => k.min(layers),
            Response::Dropped | Response::Implicit => 0,
        }
    }

    /// The configured loss, mean over the batch: the fit, and for the lasso loss the operator's penalty with the last
    /// layer's `λ`. `codes` data share the penalty. Learned `λ` are constants here: the loss is smallest without any, and
    /// would drive them to zero.
    fn loss(
        &self,
        fit: Tensor<1>,
        code: Tensor<D>,
        codes: usize,
        step: &StepSize,
        noise: &Noise,
    ) -> Tensor<1> {
        match self.config().gradient.loss {
            Loss::Fit => fit,
            Loss::Lasso => {
                let lambda = self.threshold().lambda(self.config().layers - 1, noise).detach();
                fit + self.config().prox.penalty(code, &lambda, step) / codes as f64
            }
        }
    }
}

/// `½‖a − b‖²`, mean over the batch, `[1]`.
fn squares<const D: usize>(a: Tensor<D>, b: Tensor<D>, batch: usize) -> Tensor<1> {
    (a - b).square().sum() * (0.5 / batch as f64)
}
