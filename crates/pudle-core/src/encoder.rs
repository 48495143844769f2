//! The unrolled, weight-tied proximal-gradient layers.

use std::fmt;
use std::ops::Range;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::dictionary::Dictionary;
use crate::proximal::Proximal;
use crate::threshold::Threshold;

/// Which proximal-gradient iteration a layer performs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// `z_{t+1} = Φ(z_t − α Dᵀ(D z_t − x))`.
    Ista,
    /// ISTA from the extrapolated point `z_t + (s_t − 1)/s_{t+1} (z_t − z_{t−1})`,
    /// `s_{t+1} = (1 + √(1 + 4 s_t²))/2` (Beck & Teboulle, 2009).
    Fista,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Ista => "ista",
            Algorithm::Fista => "fista",
        })
    }
}

/// Step size `α` of a layer.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time")]
pub enum StepSize {
    /// A number, > 0.
    Given(f64),
    /// A learned number, `[1]`, > 0.
    Learned(Tensor<1>),
}

impl StepSize {
    /// `α` times a tensor.
    pub fn times<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            StepSize::Given(step) => tensor * *step,
            StepSize::Learned(step) => tensor * step.clone().reshape([1; D]),
        }
    }
}

/// The dictionaries of the layers: one and the same where they are tied.
#[derive(Debug)]
pub struct Layers<'a, A> {
    /// From residuals to codes.
    pub analysis: &'a A,
    /// From codes to residuals.
    pub synthesis: &'a A,
}

/// The `T` layers of an encoder, without weights: these are the dictionary's and the thresholds'.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Proximal operator `Φ`.
    pub proximal: Proximal,
    /// Iteration of a layer.
    pub algorithm: Algorithm,
    /// Step size `α`, > 0.
    pub step: StepSize,
}

/// What one layer hands to the next.
#[derive(Clone, Debug)]
pub struct Layer<const D: usize> {
    /// The code `z_t`.
    pub code: Tensor<D>,
    /// The code before it and `s_t`, for FISTA's extrapolation.
    momentum: Option<(Tensor<D>, f64)>,
}

impl<const D: usize> Layer<D> {
    /// The same state with each tensor passed through `f`; cuts or opens an autodiff graph.
    pub fn map(self, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        Layer { code: f(self.code), momentum: self.momentum.map(|(previous, s)| (f(previous), s)) }
    }
}

impl Encoder {
    /// The same, outside any graph.
    pub(crate) fn constant(&self) -> Self {
        let step = match &self.step {
            StepSize::Given(step) => StepSize::Given(*step),
            StepSize::Learned(step) => StepSize::Learned(step.clone().inner()),
        };
        Self { step, ..*self }
    }

    /// The weights `(s_t − 1)/s_{t+1}` of FISTA's extrapolation in the first `layers` layers.
    #[cfg(feature = "flex")]
    pub(crate) fn momentum(&self, layers: usize) -> Vec<f64> {
        let mut s = 1.0;
        (0..layers)
            .map(|t| {
                // Nothing precedes z_0, and s_1 = 1.
                let next = if t == 0 { s } else { next_s(s) };
                let weight = (s - 1.0) / next;
                s = next;
                weight
            })
            .collect()
    }

    /// Runs the layers `layers` from the state before them (`None`: from `z_0 = 0`) and hands every
    /// new state to `visit`. Returns the last state; `None` if no layer was run from `None`.
    pub fn run<const D: usize, A: Dictionary<D>>(
        &self,
        dictionary: &Layers<'_, A>,
        threshold: &Threshold,
        x: &Tensor<D>,
        from: Option<Layer<D>>,
        layers: Range<usize>,
        mut visit: impl FnMut(&Layer<D>),
    ) -> Option<Layer<D>> {
        let mut state = from;
        for t in layers {
            let next = self.layer(dictionary, threshold, x, state, t);
            visit(&next);
            state = Some(next);
        }
        state
    }

    fn layer<const D: usize, A: Dictionary<D>>(
        &self,
        dictionary: &Layers<'_, A>,
        threshold: &Threshold,
        x: &Tensor<D>,
        state: Option<Layer<D>>,
        t: usize,
    ) -> Layer<D> {
        let level = threshold.level(t, self.proximal, &self.step);
        let Some(Layer { code, momentum }) = state else {
            // From z = 0 the residual is the datum, and there is nothing to extrapolate.
            let ascent = self.step.times(dictionary.analysis.analyze(x.clone()));
            let code = self.proximal.apply(ascent, &level);
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
        let residual = x.clone() - dictionary.synthesis.synthesize(point.clone(), x.dims());
        let ascent = self.step.times(dictionary.analysis.analyze(residual));
        let next = self.proximal.apply(point + ascent, &level);
        let momentum = match self.algorithm {
            Algorithm::Ista => None,
            Algorithm::Fista => Some((code, s)),
        };
        Layer { code: next, momentum }
    }
}

fn next_s(s: f64) -> f64 {
    (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0
}
