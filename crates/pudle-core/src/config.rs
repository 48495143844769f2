//! The settings of a model, as they stand in a TOML file.

use serde::{Deserialize, Serialize};

use crate::dictionary::{ConvConfig, DenseConfig, DictionaryConfig};
use crate::encoder::Algorithm;
use crate::error::ConfigError;
use crate::gradient::{GradientEstimator, Response};
use crate::kernels::Kernels;
use crate::observation::Observation;
use crate::proximal::Proximal;
use crate::step::Step;
use crate::threshold::ThresholdConfig;
use crate::tying::WeightTying;

/// A model: a dictionary, `layers` unrolled layers over it, and the gradient estimator that
/// trains it.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `layers` | 15 | unrolled layers `T` | 1 to 100,000 |
/// | `step` | `"auto"` | step size `α`; `"auto"` is `1/‖D‖²`, `"learned:A"` is learned and starts at `A` | > 0 |
/// | `prox` | `"soft"` | proximal operator `Φ` | see [`Proximal`] |
/// | `algorithm` | `"ista"` | iteration of a layer | `ista`, `fista` |
/// | `gradient` | `"ae-ls"` | backward pass | see [`GradientEstimator`] |
/// | `threshold` | constant, λ = 0.1 | sparsity weight | see [`ThresholdConfig`] |
/// | `dictionary` | — | shape of the dictionary | see [`DictionaryConfig`] |
/// | `tying` | `"tied"` | parts that share the dictionary (older files call it `banks`) | see [`WeightTying`] |
/// | `nonnegative` | `false` | whether atoms of the dictionary and the decoder are ≥ 0; training projects them | |
/// | `offset` | 0 | number subtracted from the data before they are encoded, and added to the reconstruction | finite |
/// | `observation` | `"gaussian"` | how data are distributed around `D z` plus the offset | see [`Observation`] |
/// | `baseline` | `false` | whether each channel of a datum has a baseline that is inferred: a number added to `D z` at every sample | |
/// | `shared` | `false` | whether the code of an atom is one number over a batch where it may be other than zero, see [`Pudle::supported_objective`](crate::Pudle::supported_objective) | |
/// | `rank_one` | `false` | whether filters are a waveform times a weight for each channel; training projects them | |
/// | `kernels` | `"auto"` | implementation of the pass | `auto`, `fused`, `half`, `composed`: see [`Kernels`] |
/// | `recompute` | `false` | recompute the layers in the backward pass instead of storing them | |
///
/// The last two settings affect time and memory, not the result; but `half` rounds to 16 bits.
/// With `recompute`, the fused pass stores about `2√T` layers' codes instead of `T`; the composed pass has no such mode.
///
/// [`validate`](Self::validate) returns an error for anything else, and for combinations that have no gradient: a learned
/// `λ` with a dropped response or under an operator without a gradient in its level, a learned step with a dropped or an
/// implicit response, and untied weights with an implicit one. Counts have no implicit response and no fused pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PudleConfig {
    /// Unrolled layers `T`, ≥ 1.
    #[serde(default = "default_layers")]
    pub layers: usize,
    /// Step size `α`.
    #[serde(default)]
    pub step: Step,
    /// Proximal operator `Φ`.
    #[serde(default = "default_proximal")]
    pub prox: Proximal,
    /// Iteration of a layer.
    #[serde(default = "default_algorithm")]
    pub algorithm: Algorithm,
    /// Backward pass.
    #[serde(default = "default_gradient")]
    pub gradient: GradientEstimator,
    /// Sparsity weight `λ`.
    #[serde(default = "default_threshold")]
    pub threshold: ThresholdConfig,
    /// Parts that share the dictionary.
    #[serde(default, alias = "banks")]
    pub tying: WeightTying,
    /// Whether training projects the atoms of the dictionary onto the part of the unit sphere that has no numbers below zero.
    /// Atoms and gains of the decoder are then ≥ 0, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nonnegative: bool,
    /// Number subtracted from the data before they are encoded, and added to the reconstruction.
    #[serde(default)]
    pub offset: f64,
    /// How data are distributed around `D z` plus the offset.
    #[serde(default, skip_serializing_if = "Observation::is_gaussian")]
    pub observation: Observation,
    /// Whether a baseline of each channel is inferred.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Whether the code of an atom is one number over a batch where it may be other than zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Whether training projects filters onto those that are a waveform times a weight for each channel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rank_one: bool,
    /// Implementation of the pass.
    #[serde(default)]
    pub kernels: Kernels,
    /// Whether the backward pass runs layers again instead of storing them.
    #[serde(default)]
    pub recompute: bool,
    /// Shape of the dictionary.
    pub dictionary: DictionaryConfig,
}

/// More thresholds of layers and atoms than this count as a typing error.
const MOST_THRESHOLDS: usize = 1 << 26;

fn default_layers() -> usize {
    15
}
fn default_proximal() -> Proximal {
    Proximal::Soft
}
fn default_algorithm() -> Algorithm {
    Algorithm::Ista
}
fn default_gradient() -> GradientEstimator {
    GradientEstimator::AE_LS
}
fn default_threshold() -> ThresholdConfig {
    ThresholdConfig::constant(0.1)
}

impl PudleConfig {
    /// The defaults of the table above for a dictionary of this shape.
    pub fn new(dictionary: DictionaryConfig) -> Self {
        Self {
            layers: default_layers(),
            step: Step::default(),
            prox: default_proximal(),
            algorithm: default_algorithm(),
            gradient: default_gradient(),
            threshold: default_threshold(),
            tying: WeightTying::default(),
            nonnegative: false,
            offset: 0.0,
            observation: Observation::default(),
            baseline: false,
            shared: false,
            rank_one: false,
            kernels: Kernels::default(),
            recompute: false,
            dictionary,
        }
    }

    /// The defaults for a dense dictionary.
    pub fn dense(config: DenseConfig) -> Self {
        Self::new(DictionaryConfig::Dense(config))
    }

    /// The defaults for filters along a signal.
    pub fn conv1d(config: ConvConfig) -> Self {
        Self::new(DictionaryConfig::Conv1d(config))
    }

    /// The defaults for filters over an image.
    pub fn conv2d(config: ConvConfig) -> Self {
        Self::new(DictionaryConfig::Conv2d(config))
    }

    /// With `T` layers.
    pub fn with_layers(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// With step size `α`.
    pub fn with_step(mut self, step: f64) -> Self {
        self.step = Step::Given(step);
        self
    }

    /// With a learned step size that starts at `start`.
    pub fn with_learned_step(mut self, start: f64) -> Self {
        self.step = Step::Learned(start);
        self
    }

    /// With another tying of weights.
    pub fn with_tying(mut self, tying: WeightTying) -> Self {
        self.tying = tying;
        self
    }

    /// With atoms ≥ 0 (`true`) or of any sign.
    pub fn with_nonnegative(mut self, nonnegative: bool) -> Self {
        self.nonnegative = nonnegative;
        self
    }

    /// With a number that is subtracted from the data.
    pub fn with_offset(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }

    /// With another observation model.
    pub fn with_observation(mut self, observation: Observation) -> Self {
        self.observation = observation;
        self
    }

    /// With a baseline of each channel that is inferred (`true`) or without.
    pub fn with_baseline(mut self, baseline: bool) -> Self {
        self.baseline = baseline;
        self
    }

    /// With codes of one number for each atom (`true`) or free ones.
    pub fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// With filters that are a waveform times a weight for each channel (`true`) or any.
    pub fn with_rank_one(mut self, rank_one: bool) -> Self {
        self.rank_one = rank_one;
        self
    }

    /// The same settings with another `λ`. The schedule does not change.
    pub fn with_lambda(mut self, lambda: f64) -> Self {
        self.threshold = self.threshold.with_lambda(lambda);
        self
    }

    /// With another schedule of `λ`.
    pub fn with_threshold(mut self, threshold: ThresholdConfig) -> Self {
        self.threshold = threshold;
        self
    }

    /// With another proximal operator.
    pub fn with_prox(mut self, prox: Proximal) -> Self {
        self.prox = prox;
        self
    }

    /// With another iteration.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// With another backward pass.
    pub fn with_gradient(mut self, gradient: GradientEstimator) -> Self {
        self.gradient = gradient;
        self
    }

    /// With another implementation of the pass.
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// With layers run again in the backward pass (`true`) or stored.
    pub fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range, with the value and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=100_000).contains(&self.layers) {
            return Err(ConfigError::range("model.layers", self.layers, "between 1 and 100000"));
        }
        self.step.validate()?;
        if !self.offset.is_finite() {
            return Err(ConfigError::range("model.offset", self.offset, "a finite number"));
        }
        self.threshold.validate()?;
        self.dictionary.validate()?;
        self.prox.validate(self.dictionary.atoms())?;
        let thresholds = self.layers.saturating_mul(self.dictionary.atoms());
        if self.threshold.varies_over_layers() && thresholds > MOST_THRESHOLDS {
            let range =
                format!("at most {MOST_THRESHOLDS} layers times atoms for their thresholds");
            return Err(ConfigError::range("model.layers", self.layers, range));
        }
        if let Response::Last(k) = self.gradient.response
            && !(1..=self.layers).contains(&k)
        {
            let range = "truncated to between 1 and `model.layers` layers";
            return Err(ConfigError::range("model.gradient", self.gradient, range));
        }
        if self.threshold.is_signed() && !matches!(self.prox, Proximal::Soft | Proximal::Relu) {
            let range = format!("false for the operator \"{}\"", self.prox);
            return Err(ConfigError::range("model.threshold.signed", true, range));
        }
        self.validate_forms()?;
        self.validate_gradients()?;
        self.validate_kernels()
    }

    /// What forms codes and atoms can have.
    fn validate_forms(&self) -> Result<(), ConfigError> {
        if self.shared && !matches!(self.prox, Proximal::Soft | Proximal::Relu | Proximal::Hard) {
            let range = format!("false for the operator \"{}\"", self.prox);
            return Err(ConfigError::range("model.shared", true, range));
        }
        if self.rank_one && !matches!(self.dictionary, DictionaryConfig::Conv1d(_)) {
            let range = format!("false for {} atoms", self.dictionary.kind());
            return Err(ConfigError::range("model.rank_one", true, range));
        }
        if self.rank_one && self.nonnegative {
            let range = "false if atoms are non-negative";
            return Err(ConfigError::range("model.rank_one", true, range));
        }
        Ok(())
    }

    /// What the fused pass does not know, if anything.
    pub(crate) fn without_kernel(&self) -> Option<String> {
        match self {
            _ if !self.observation.is_gaussian() => Some(format!("{} data", self.observation)),
            _ if self.baseline => Some("baselines that are inferred".into()),
            _ if self.shared => Some("codes of one number for each atom".into()),
            _ => None,
        }
    }

    /// Every weight that is learned must have a gradient.
    fn validate_gradients(&self) -> Result<(), ConfigError> {
        let response = self.gradient.response;
        if matches!(self.step, Step::Learned(_))
            && matches!(response, Response::Dropped | Response::Implicit)
        {
            let range = "a number or \"auto\" if the gradient does not go through the layers";
            return Err(ConfigError::range("model.step", "learned", range));
        }
        if !self.observation.is_gaussian() && response == Response::Implicit {
            let range = "gaussian for an implicit gradient, which is that of squared error";
            return Err(ConfigError::range("model.observation", self.observation, range));
        }
        if (self.baseline || self.shared) && response == Response::Implicit {
            let field = if self.baseline { "model.baseline" } else { "model.shared" };
            return Err(ConfigError::range(field, true, "false for an implicit gradient"));
        }
        if self.tying != WeightTying::Tied && response == Response::Implicit {
            let range =
                "\"tied\" for an implicit gradient, which is that of one dictionary's fixed point";
            return Err(ConfigError::range("model.tying", self.tying, range));
        }
        if self.tying == WeightTying::Untied && response == Response::Dropped {
            let range = "\"tied\", \"gain\" or \"decoder\" if the gradient drops the code's response: other weights have no gradient then";
            return Err(ConfigError::range("model.tying", self.tying, range));
        }
        if self.threshold.is_learned() && !self.prox.learns_level() {
            let range = format!(
                "a schedule without learned weights: the operator \"{}\" has no gradient in its level",
                self.prox
            );
            return Err(ConfigError::range("model.threshold.kind", "learned", range));
        }
        if self.threshold.is_learned() && response == Response::Dropped {
            let range =
                "a schedule without learned weights if the gradient drops the code's response";
            return Err(ConfigError::range("model.threshold.kind", "learned", range));
        }
        Ok(())
    }

    /// The wanted implementation of the pass must know the settings.
    fn validate_kernels(&self) -> Result<(), ConfigError> {
        if self.recompute && self.kernels == Kernels::Composed {
            let range = "false if `model.kernels` is \"composed\"";
            return Err(ConfigError::range("model.recompute", true, range));
        }
        if self.kernels == Kernels::Half && !matches!(self.dictionary, DictionaryConfig::Conv2d(_))
        {
            let range = "auto, fused or composed for a dictionary other than conv2d";
            return Err(ConfigError::range("model.kernels", self.kernels, range));
        }
        if self.kernels.requires_fused()
            && let Some(what) = self.without_kernel()
        {
            let range = format!("auto or composed for {what}, which have no fused pass");
            return Err(ConfigError::range("model.kernels", self.kernels, range));
        }
        if self.kernels.requires_fused() && self.prox.kernel().is_none() {
            let range = format!("auto or composed for the operator \"{}\"", self.prox);
            return Err(ConfigError::range("model.kernels", self.kernels, range));
        }
        if self.kernels == Kernels::Fused
            && self.threshold.is_signed()
            && self.prox == Proximal::Soft
        {
            let range =
                "auto or composed for thresholds of any sign, which have no fused backward pass";
            return Err(ConfigError::range("model.kernels", self.kernels, range));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
