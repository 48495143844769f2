//! The settings of a model, as they stand in a TOML file.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoder::Algorithm;
use crate::error::ConfigError;
use crate::fused::Kernels;
use crate::gradient::{GradientEstimator, Response};
use crate::proximal::Proximal;
use crate::threshold::ThresholdConfig;

/// More weights than this (1 GiB in f32) are taken for a slip of the finger.
const MOST_WEIGHTS: usize = 1 << 28;

/// The model: a dictionary, `layers` unrolled layers over it, and the gradient estimator that
/// trains it.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `layers` | 15 | unrolled layers `T` | 1 to 100,000 |
/// | `step` | `"auto"` | step size `α`; `"auto"` is `1/‖D‖²`, `"learned:A"` learned from `A` on | > 0 |
/// | `prox` | `"soft"` | proximal operator `Φ` | `soft`, `relu`, `hard` |
/// | `algorithm` | `"ista"` | iteration of a layer | `ista`, `fista` |
/// | `gradient` | `"ae-ls"` | backward pass | see [`GradientEstimator`] |
/// | `threshold` | constant, λ = 0.1 | sparsity weight | see [`ThresholdConfig`] |
/// | `dictionary` | — | shape of the dictionary | see [`DictionaryConfig`] |
/// | `banks` | `"tied"` | which parts share the dictionary | see [`Banks`] |
/// | `offset` | 0 | taken off the data before they are encoded, and added to the reconstruction | finite |
/// | `kernels` | `"auto"` | implementation of the pass | `auto`, `fused`, `composed`: see [`Kernels`] |
/// | `recompute` | `false` | run layers again in the backward pass instead of storing them | |
///
/// The last two change how fast and in how much memory the model runs, not what it computes.
/// `recompute` keeps about `2√T` layers' codes rather than `T`; it is the fused pass's alone.
///
/// [`validate`](Self::validate) refuses anything else, and combinations without a meaning: a learned
/// `λ` under a hard threshold or with a dropped response, a learned step with a dropped or an implicit
/// one, and banks of their own with an implicit one, all of which have no gradient then.
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
    /// Which parts share the dictionary.
    #[serde(default)]
    pub banks: Banks,
    /// Taken off the data before they are encoded, and added to the reconstruction.
    #[serde(default)]
    pub offset: f64,
    /// Implementation of the pass.
    #[serde(default)]
    pub kernels: Kernels,
    /// Whether the backward pass runs layers again instead of storing them.
    #[serde(default)]
    pub recompute: bool,
    /// Shape of the dictionary.
    pub dictionary: DictionaryConfig,
}

/// Which parts of the network have atoms of their own. All start from the same ones; those of the
/// dictionary alone are kept at unit norm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Banks {
    /// One dictionary throughout, as the method has it.
    #[default]
    Tied,
    /// One dictionary throughout, of which the decoder takes each atom times a gain of its own, learned from 1 on:
    /// `x̂ = D diag(g) z`. Makes up for what a soft threshold takes off every code.
    Gain,
    /// The layers share the dictionary, the decoder has atoms of its own.
    Decoder,
    /// The layers' analysis, their synthesis (the dictionary), and the decoder each have their own: a
    /// departure from the method, to see what tying costs. A code then solves no lasso of any one
    /// dictionary.
    Untied,
}

/// Shape of a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum DictionaryConfig {
    /// A matrix.
    Dense(DenseConfig),
    /// Filters along a signal.
    Conv1d(Conv1dConfig),
    /// Filters over an image.
    Conv2d(Conv2dConfig),
}

/// A matrix of `atoms` columns of `dim` entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Dimension `m` of a datum, ≥ 1.
    pub dim: usize,
    /// Number of atoms `p`, ≥ 1.
    pub atoms: usize,
}

/// Filters along a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1dConfig {
    /// Number of filters `p`, ≥ 1.
    pub atoms: usize,
    /// Channels `C` of the signal, ≥ 1.
    pub channels: usize,
    /// Length `k` of a filter in samples, ≥ 1.
    pub size: usize,
    /// Samples between positions of a filter, 1 to `size`.
    pub stride: usize,
}

/// Square filters over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Number of filters `p`, ≥ 1.
    pub atoms: usize,
    /// Channels `C` of the image, ≥ 1.
    pub channels: usize,
    /// Side `k` of a filter in pixels, ≥ 1.
    pub size: usize,
    /// Pixels between positions of a filter along both axes, 1 to `size`.
    pub stride: usize,
}

/// Step size of a layer: a number in TOML, or `"auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Step {
    /// `α`, > 0. Descent is guaranteed below `1/‖D‖²`.
    Given(f64),
    /// `1/‖D‖²` as [`squared_norm`](crate::Dictionary::squared_norm) estimates it at every encoding,
    /// hence at most some tenths of a percent above it, far below the `2/‖D‖²` at which ISTA
    /// diverges; constant in the backward pass.
    #[default]
    Auto,
    /// Learned from this start on, > 0; kept > 0.
    Learned(f64),
}

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
    ThresholdConfig::Constant { lambda: 0.1 }
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
            banks: Banks::default(),
            offset: 0.0,
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
    pub fn conv1d(config: Conv1dConfig) -> Self {
        Self::new(DictionaryConfig::Conv1d(config))
    }

    /// The defaults for filters over an image.
    pub fn conv2d(config: Conv2dConfig) -> Self {
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

    /// With a step size that is learned from `start` on.
    pub fn with_learned_step(mut self, start: f64) -> Self {
        self.step = Step::Learned(start);
        self
    }

    /// With parts that have atoms of their own.
    pub fn with_banks(mut self, banks: Banks) -> Self {
        self.banks = banks;
        self
    }

    /// With a number that is taken off the data.
    pub fn with_offset(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }

    /// With another `λ`, the schedule kept.
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

    /// With layers run again in the backward pass, or stored.
    pub fn with_recompute(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field out of its range, with the value and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=100_000).contains(&self.layers) {
            return Err(ConfigError::range("model.layers", self.layers, "between 1 and 100000"));
        }
        if let Step::Given(step) | Step::Learned(step) = self.step
            && !(step > 0.0 && step.is_finite())
        {
            let range = "a number > 0, \"auto\", or \"learned:\" and a number > 0";
            return Err(ConfigError::range("model.step", step, range));
        }
        if !self.offset.is_finite() {
            return Err(ConfigError::range("model.offset", self.offset, "a finite number"));
        }
        let response = self.gradient.response;
        if matches!(self.step, Step::Learned(_))
            && matches!(response, Response::Dropped | Response::Implicit)
        {
            return Err(ConfigError::range(
                "model.step",
                "learned",
                "a number or \"auto\" where the gradient does not go through the layers",
            ));
        }
        if self.banks != Banks::Tied && response == Response::Implicit {
            return Err(ConfigError::range(
                "model.banks",
                self.banks,
                "\"tied\" under an implicit gradient: there is no fixed point of one dictionary",
            ));
        }
        if self.banks == Banks::Untied && response == Response::Dropped {
            return Err(ConfigError::range(
                "model.banks",
                self.banks,
                "\"tied\" or \"decoder\" where the gradient drops the code's response: no other bank has one",
            ));
        }
        self.threshold.validate()?;
        self.dictionary.validate()?;
        if self.recompute && self.kernels == Kernels::Composed {
            return Err(ConfigError::range(
                "model.recompute",
                true,
                "false where `model.kernels` is \"composed\"",
            ));
        }
        if let Response::Last(k) = self.gradient.response
            && !(1..=self.layers).contains(&k)
        {
            return Err(ConfigError::range(
                "model.gradient",
                self.gradient,
                "truncated to between 1 and `model.layers` layers",
            ));
        }
        if let ThresholdConfig::Learned { .. } = self.threshold {
            if self.prox == Proximal::Hard {
                return Err(ConfigError::range(
                    "model.threshold.kind",
                    "learned",
                    "constant or decaying under a hard threshold, which has no gradient in its level",
                ));
            }
            if self.gradient.response == Response::Dropped {
                return Err(ConfigError::range(
                    "model.threshold.kind",
                    "learned",
                    "constant or decaying where the gradient drops the code's response",
                ));
            }
        }
        Ok(())
    }
}

impl DictionaryConfig {
    /// Number of atoms `p`.
    pub fn atoms(&self) -> usize {
        match self {
            DictionaryConfig::Dense(config) => config.atoms,
            DictionaryConfig::Conv1d(config) => config.atoms,
            DictionaryConfig::Conv2d(config) => config.atoms,
        }
    }

    /// Shape of the tensor of atoms: `[m, p]`, `[p, C, k]` or `[p, C, k, k]`.
    pub fn shape(&self) -> Vec<usize> {
        match *self {
            DictionaryConfig::Dense(DenseConfig { dim, atoms }) => vec![dim, atoms],
            DictionaryConfig::Conv1d(Conv1dConfig { atoms, channels, size, .. }) => {
                vec![atoms, channels, size]
            }
            DictionaryConfig::Conv2d(Conv2dConfig { atoms, channels, size, .. }) => {
                vec![atoms, channels, size, size]
            }
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = |field, value: usize| match value {
            0 => Err(ConfigError::range(field, value, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("model.dictionary.atoms", self.atoms())?;
        match *self {
            DictionaryConfig::Dense(DenseConfig { dim, .. }) => {
                at_least_one("model.dictionary.dim", dim)?;
            }
            DictionaryConfig::Conv1d(Conv1dConfig { channels, size, stride, .. })
            | DictionaryConfig::Conv2d(Conv2dConfig { channels, size, stride, .. }) => {
                at_least_one("model.dictionary.channels", channels)?;
                at_least_one("model.dictionary.size", size)?;
                if !(1..=size).contains(&stride) {
                    return Err(ConfigError::range(
                        "model.dictionary.stride",
                        stride,
                        "between 1 and `model.dictionary.size`, or atoms leave gaps",
                    ));
                }
            }
        }
        let weights = self.shape().iter().try_fold(1usize, |n, axis| n.checked_mul(*axis));
        if weights.is_none_or(|weights| weights > MOST_WEIGHTS) {
            return Err(ConfigError::range(
                "model.dictionary",
                format!("{:?}", self.shape()),
                "at most 2^28 weights",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Banks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Banks::Tied => "tied",
            Banks::Gain => "gain",
            Banks::Decoder => "decoder",
            Banks::Untied => "untied",
        })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Step::Given(step) => serializer.serialize_f64(*step),
            Step::Auto => serializer.serialize_str("auto"),
            Step::Learned(start) => serializer.serialize_str(&format!("learned:{start}")),
        }
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StepVisitor;
        impl Visitor<'_> for StepVisitor {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step size, \"auto\", or \"learned:\" and a step size")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Step, E> {
                Ok(Step::Given(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Step, E> {
                Ok(Step::Given(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Step, E> {
                Ok(Step::Given(value as f64))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Step, E> {
                let start = value.strip_prefix("learned:").and_then(|start| start.parse().ok());
                match value {
                    "auto" => Ok(Step::Auto),
                    _ if start.is_some() => Ok(start.map_or(Step::Auto, Step::Learned)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(StepVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PudleConfig {
        PudleConfig::conv2d(Conv2dConfig { atoms: 4, channels: 1, size: 5, stride: 2 })
    }

    #[test]
    fn toml_round_trip_is_the_same_configuration() {
        for config in [
            config().with_step(0.1).with_gradient(GradientEstimator::truncated(3)),
            PudleConfig::dense(DenseConfig { dim: 3, atoms: 4 })
                .with_threshold(ThresholdConfig::Decaying { lambda: 0.2, beta: 0.9 }),
            config().with_threshold(ThresholdConfig::learned(0.0)),
        ] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<PudleConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "lamda = 1.0\ndictionary = { kind = \"dense\", dim = 2, atoms = 2 }",
            "dictionary = { kind = \"dense\", dim = 2, atoms = 2, stride = 1 }",
            "threshold = { kind = \"constant\", lambda = 1.0, beta = 0.5 }\n\
             dictionary = { kind = \"dense\", dim = 2, atoms = 2 }",
        ] {
            assert!(toml::from_str::<PudleConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_error_names_field_value_and_range() {
        let cases: [(PudleConfig, &str, &str); 13] = [
            (
                config().with_kernels(Kernels::Composed).with_recompute(true),
                "model.recompute",
                "true",
            ),
            (config().with_layers(0), "model.layers", "0"),
            (config().with_step(0.0), "model.step", "0"),
            (config().with_step(f64::NAN), "model.step", "NaN"),
            (config().with_lambda(-1.0), "model.threshold.lambda", "-1"),
            (config().with_lambda(f64::NAN), "model.threshold.lambda", "NaN"),
            (
                config().with_threshold(ThresholdConfig::Decaying { lambda: 0.1, beta: 1.5 }),
                "model.threshold.beta",
                "1.5",
            ),
            (
                config().with_gradient(GradientEstimator::truncated(16)),
                "model.gradient",
                "truncated:16",
            ),
            (
                config()
                    .with_threshold(ThresholdConfig::learned(0.1))
                    .with_gradient(GradientEstimator::DEC),
                "model.threshold.kind",
                "learned",
            ),
            (
                config().with_threshold(ThresholdConfig::learned(0.1)).with_prox(Proximal::Hard),
                "model.threshold.kind",
                "learned",
            ),
            (
                PudleConfig::conv2d(Conv2dConfig { atoms: 4, channels: 1, size: 5, stride: 6 }),
                "model.dictionary.stride",
                "6",
            ),
            (PudleConfig::dense(DenseConfig { dim: 0, atoms: 4 }), "model.dictionary.dim", "0"),
            (
                PudleConfig::dense(DenseConfig { dim: usize::MAX, atoms: 4 }),
                "model.dictionary",
                "18446744073709551615",
            ),
        ];
        for (config, field, value) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(field) && message.contains(value), "{message}");
            assert!(message.contains("must be"), "{message}");
        }
        config().validate().unwrap();
    }
}
