//! The step size `α` of a layer.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ConfigError, RangeError};
use crate::level::Level;

/// The setting of the step size: a number in TOML, `"auto"`, or `"learned:A"`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Step {
    /// `α`, > 0. The layers descend if it is at most `1/‖D‖²`.
    Given(f64),
    /// `1/‖D‖²` as [`squared_norm`](crate::Dictionary::squared_norm) estimates it at every encoding. The estimate can be
    /// some tenths of a percent too low, which makes `α` too large by the same factor. It stays far below `2/‖D‖²`, from
    /// which on ISTA diverges. It is constant in the backward pass.
    #[default]
    Auto,
    /// Learned, with this initial value, > 0. It stays > 0.
    Learned(f64),
}

impl Step {
    /// Returns an error if the number is not finite or not above 0.
    pub(crate) fn validate(self) -> Result<(), RangeError> {
        match self {
            Step::Given(step) | Step::Learned(step) if !(step > 0.0 && step.is_finite()) => {
                let range = "a number > 0, \"auto\", or \"learned:\" and a number > 0";
                Err(RangeError::new("model.step", step, range))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Given(step) => write!(f, "{step}"),
            Step::Auto => f.write_str("auto"),
            Step::Learned(start) => write!(f, "learned:{start}"),
        }
    }
}

impl FromStr for Step {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = |text: &str| text.parse().ok();
        let step = match text.strip_prefix("learned:") {
            _ if text == "auto" => Some(Step::Auto),
            Some(start) => number(start).map(Step::Learned),
            None => number(text).map(Step::Given),
        };
        step.ok_or_else(|| ConfigError::Unknown {
            field: "model.step",
            value: text.to_owned(),
            known: "a number, auto, learned: and a number",
        })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Step::Given(step) => serializer.serialize_f64(*step),
            word => serializer.collect_str(word),
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
                match value.parse() {
                    Ok(step @ (Step::Auto | Step::Learned(_))) => Ok(step),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(StepVisitor)
    }
}

/// The step size `α` of the layers of one encoding.
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

    /// `αλ`, the level at which a soft threshold is the proximal operator of `αλ‖z‖₁`.
    pub fn times_level(&self, lambda: Level) -> Level {
        match (lambda, self) {
            (Level::Scalar(lambda), StepSize::Given(step)) => Level::Scalar(lambda * step),
            (Level::Scalar(lambda), StepSize::Learned(step)) => {
                Level::PerAtom(step.clone().reshape([1, 1]) * lambda)
            }
            (Level::PerAtom(lambda), step) => Level::PerAtom(step.times(lambda)),
        }
    }

    /// `α` as a number. Reads it from the device if it is learned.
    pub fn value(&self) -> f64 {
        match self {
            StepSize::Given(step) => *step,
            StepSize::Learned(step) => step.clone().into_scalar::<f64>(),
        }
    }

    /// The same, outside any graph.
    pub(crate) fn constant(&self) -> Self {
        match self {
            StepSize::Given(step) => StepSize::Given(*step),
            StepSize::Learned(step) => StepSize::Learned(step.clone().inner()),
        }
    }
}
