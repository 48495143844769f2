//! The unrolled, weight-tied proximal-gradient layers.

use std::ops::Range;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::baseline;
use crate::dictionary::Dictionary;
use crate::given::{Given, masked, shared};
use crate::level::Level;
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
    /// Whether a baseline of each channel of a datum is inferred with the code.
    pub baseline: bool,
    /// Whether the entries of the code of an atom are one number, where they may be other than zero.
    pub shared: bool,
}

/// The state between two layers.
#[derive(Clone, Debug)]
pub struct Layer<const D: usize> {
    /// The code `z_t`.
    pub code: Tensor<D>,
    /// The baseline of each channel, with 1 in place of the axes of samples, if it is inferred.
    pub baseline: Option<Tensor<D>>,
    /// The code and the baseline before them and `s_t`, for FISTA's extrapolation.
    momentum: Option<(Tensor<D>, Option<Tensor<D>>, f64)>,
}

impl<const D: usize> Layer<D> {
    /// The same state with each tensor passed through `f`, which may cut or open an autodiff graph.
    pub fn map(self, f: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        Layer {
            code: f(self.code),
            baseline: self.baseline.map(&f),
            momentum: self.momentum.map(|(code, baseline, s)| (f(code), baseline.map(&f), s)),
        }
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
        given: Given<'_, D>,
        state: Option<Layer<D>>,
        t: usize,
    ) -> Layer<D>
    where
        A: Dictionary<D>,
    {
        let level = self.threshold.level(t, self.proximal, &self.step, self.noise);
        let Some(Layer { code, baseline, momentum }) = state else {
            return self.first_layer(x, given, &level);
        };
        let (point, level_point, s) = match (self.algorithm, momentum) {
            (Algorithm::Ista, _) => (code.clone(), baseline.clone(), 1.0),
            // z_0 = 0 precedes the first code, but its extrapolation weight (s_1 − 1)/s_2 is zero.
            (Algorithm::Fista, None) => (code.clone(), baseline.clone(), next_s(1.0)),
            (Algorithm::Fista, Some((previous, level_before, s))) => {
                let next = next_s(s);
                let weight = (s - 1.0) / next;
                let further = |now: Tensor<D>, before| now.clone() + (now - before) * weight;
                let baselines = baseline.clone().zip(level_before);
                (
                    further(code.clone(), previous),
                    baselines.map(|(now, before)| further(now, before)),
                    next,
                )
            }
        };
        let synthesis = self.synthesis.synthesize(point.clone(), x.dims());
        let residual = masked(self.residual(x, synthesis, level_point.as_ref()), given.mask);
        let next_baseline = level_point.map(|at| self.next_baseline(at, &residual, given));
        let ascent = self.step.times(self.analysis.analyze(residual));
        let next = self.shrunk(point + ascent, given, &level);
        let momentum = match self.algorithm {
            Algorithm::Ista => None,
            Algorithm::Fista => Some((code, baseline, s)),
        };
        Layer { code: next, baseline: next_baseline, momentum }
    }

    /// The layer after `z = 0`.
    fn first_layer<const D: usize>(
        &self,
        x: &Tensor<D>,
        given: Given<'_, D>,
        level: &Level,
    ) -> Layer<D>
    where
        A: Dictionary<D>,
    {
        let baseline =
            self.baseline.then(|| baseline::first(x, given.mask, self.observation, self.offset));
        // With z = 0 the residual of Gaussian data is the datum, and there is no momentum.
        let residual = match self.observation.is_gaussian() && baseline.is_none() {
            true => x.clone(),
            false => masked(self.residual(x, x.zeros_like(), baseline.as_ref()), given.mask),
        };
        let ascent = self.step.times(self.analysis.analyze(residual));
        // The baseline is the best one for z = 0, so that its own step is zero.
        Layer { code: self.shrunk(ascent, given, level), baseline, momentum: None }
    }

    /// The operator on a code after its step.
    fn shrunk<const D: usize>(
        &self,
        code: Tensor<D>,
        Given { support, .. }: Given<'_, D>,
        level: &Level,
    ) -> Tensor<D> {
        let code = if self.shared { shared(code, support) } else { code };
        masked(self.proximal.apply(code, level), support)
    }

    /// The baseline after its step. A constant over `n` samples has the squared norm `n`, and with half the step sizes the sum
    /// of both parts descends.
    fn next_baseline<const D: usize>(
        &self,
        at: Tensor<D>,
        residual: &Tensor<D>,
        given: Given<'_, D>,
    ) -> Tensor<D> {
        let step = 0.5 / self.observation.curvature();
        at + baseline::mean(residual.clone(), given.mask) * step
    }

    /// Minus the gradient of the loss in `D z`.
    fn residual<const D: usize>(
        &self,
        x: &Tensor<D>,
        synthesis: Tensor<D>,
        baseline: Option<&Tensor<D>>,
    ) -> Tensor<D> {
        let u = match baseline {
            Some(baseline) => synthesis + baseline.clone(),
            None => synthesis,
        };
        match self.observation.is_gaussian() {
            true => x.clone() - u,
            false => x.clone() - self.observation.mean(u + self.offset),
        }
    }
}

fn next_s(s: f64) -> f64 {
    (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0
}
