//! The unrolled, weight-tied proximal-gradient layers.

use std::ops::Range;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::dictionary::Dictionary;
use crate::noise::Noise;
use crate::observation::Observation;
use crate::proximal::Proximal;
use crate::step::StepSize;
use crate::threshold::Threshold;

/// Which proximal-gradient iteration a layer performs.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Algorithm {
    /// `z_{t+1} = Φ(z_t − α Dᵀ(D z_t − x))`.
    Ista,
    /// ISTA from the extrapolated point `z_t + (s_t − 1)/s_{t+1} (z_t − z_{t−1})`,
    /// `s_{t+1} = (1 + √(1 + 4 s_t²))/2` (Beck & Teboulle, 2009).
    Fista,
}

/// The `T` layers of an encoder, and the weights that they share.
#[derive(Debug)]
pub struct Encoder<'a, A> {
    /// The atoms of the analysis, from residuals to codes.
    pub analysis: &'a A,
    /// The atoms of the synthesis, from codes to data. The same as those of the analysis if they are tied.
    pub synthesis: &'a A,
    /// Sparsity weights.
    pub threshold: &'a Threshold,
    /// Proximal operator `Φ`.
    pub proximal: Proximal,
    /// Iteration of a layer.
    pub algorithm: Algorithm,
    /// Step size `α`, > 0.
    pub step: StepSize,
    /// Noise of the data.
    pub noise: &'a Noise,
    /// How data are distributed around `D z` plus `offset`.
    pub observation: Observation,
    /// Number added to `D z`. Gaussian data are without it.
    pub offset: f64,
}

/// What is known of data and codes beside the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a, const D: usize> {
    /// 1 where an entry of the data is known, and 0 where it is missing and has no residual; `None` if all are known.
    pub mask: Option<&'a Tensor<D>>,
    /// 1 where a code may be other than zero, and 0 elsewhere; `None` if everywhere.
    pub support: Option<&'a Tensor<D>>,
}

impl<const D: usize> Given<'_, D> {
    /// All data are known, and codes may be anywhere.
    pub fn nothing() -> Self {
        Self { mask: None, support: None }
    }

    /// Whether nothing is known.
    pub fn is_nothing(&self) -> bool {
        self.mask.is_none() && self.support.is_none()
    }
}

/// The state between two layers.
#[derive(Clone, Debug)]
pub struct Layer<const D: usize> {
    /// The code `z_t`.
    pub code: Tensor<D>,
    /// The code before it and `s_t`, for FISTA's extrapolation.
    momentum: Option<(Tensor<D>, f64)>,
}

impl<const D: usize> Layer<D> {
    /// The same state with each tensor passed through `f`, which may cut or open an autodiff graph.
    pub fn map(self, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        Layer { code: f(self.code), momentum: self.momentum.map(|(previous, s)| (f(previous), s)) }
    }
}

impl<A> Encoder<'_, A> {
    /// Runs the layers `layers` from the state before them (`None`: from `z_0 = 0`) and hands every
    /// new state to `visit`. Returns the last state; `None` if no layer was run from `None`.
    pub fn run<const D: usize>(
        &self,
        x: &Tensor<D>,
        from: Option<Layer<D>>,
        layers: Range<usize>,
        visit: impl FnMut(&Layer<D>),
    ) -> Option<Layer<D>>
    where
        A: Dictionary<D>,
    {
        self.run_given(x, Given::nothing(), from, layers, visit)
    }

    /// Does the same as [`run`](Self::run), with what is known of data and codes. Where an entry of `x` is missing, it must be zero.
    pub(crate) fn run_given<const D: usize>(
        &self,
        x: &Tensor<D>,
        given: Given<'_, D>,
        from: Option<Layer<D>>,
        layers: Range<usize>,
        mut visit: impl FnMut(&Layer<D>),
    ) -> Option<Layer<D>>
    where
        A: Dictionary<D>,
    {
        let mut state = from;
        for t in layers {
            let next = self.layer(x, given, state, t);
            visit(&next);
            state = Some(next);
        }
        state
    }

    fn layer<const D: usize>(
        &self,
        x: &Tensor<D>,
        Given { mask, support }: Given<'_, D>,
        state: Option<Layer<D>>,
        t: usize,
    ) -> Layer<D>
    where
        A: Dictionary<D>,
    {
        let level = self.threshold.level(t, self.proximal, &self.step, self.noise);
        let Some(Layer { code, momentum }) = state else {
            // With z = 0 the residual of Gaussian data is the datum, and there is no momentum.
            let residual = match self.observation.is_gaussian() {
                true => x.clone(),
                false => masked(self.residual(x, x.zeros_like()), mask),
            };
            let ascent = self.step.times(self.analysis.analyze(residual));
            let code = masked(self.proximal.apply(ascent, &level), support);
            return Layer { code, momentum: None };
        };
        let (point, s) = match (self.algorithm, momentum) {
            (Algorithm::Ista, _) => (code.clone(), 1.0),
            // z_0 = 0 precedes the first code, but its extrapolation weight (s_1 − 1)/s_2 is zero.
            (Algorithm::Fista, None) => (code.clone(), next_s(1.0)),
            (Algorithm::Fista, Some((previous, s))) => {
                let next = next_s(s);
                let weight = (s - 1.0) / next;
                (code.clone() + (code.clone() - previous) * weight, next)
            }
        };
        let residual = self.residual(x, self.synthesis.synthesize(point.clone(), x.dims()));
        let residual = masked(residual, mask);
        let ascent = self.step.times(self.analysis.analyze(residual));
        let next = masked(self.proximal.apply(point + ascent, &level), support);
        let momentum = match self.algorithm {
            Algorithm::Ista => None,
            Algorithm::Fista => Some((code, s)),
        };
        Layer { code: next, momentum }
    }

    /// Minus the gradient of the loss in `D z`.
    fn residual<const D: usize>(&self, x: &Tensor<D>, synthesis: Tensor<D>) -> Tensor<D> {
        match self.observation.is_gaussian() {
            true => x.clone() - synthesis,
            false => x.clone() - self.observation.mean(synthesis + self.offset),
        }
    }
}

/// `values` where `mask` is 1, and zero where it is 0.
pub(crate) fn masked<const D: usize>(values: Tensor<D>, mask: Option<&Tensor<D>>) -> Tensor<D> {
    match mask {
        Some(mask) => values * mask.clone(),
        None => values,
    }
}

fn next_s(s: f64) -> f64 {
    (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0
}
