//! How the gradient of the loss reaches the dictionary.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ConfigError;

/// The loss whose gradient is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `½‖x − D z‖²`.
    Fit,
    /// `½‖x − D z‖²` plus the penalty of the proximal operator: `λ‖z‖₁` for a soft threshold.
    Lasso,
}

/// How the response of the code, `∂z_T/∂D`, enters the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Dropped: `z_T` is a constant, and the encoder records no graph.
    Dropped,
    /// Through the last `k` layers; the code before them is a constant.
    Last(usize),
    /// Through all layers.
    All,
    /// The response of the layers' fixed point, by the implicit function theorem. It solves a linear system on
    /// the support of `z_T`.
    Implicit,
}

/// The estimator of the gradient in the backward pass: a loss and a response, chosen independently. The forward
/// pass is bit for bit the same with every estimator.
///
/// | name | loss | response |
/// | --- | --- | --- |
/// | `dec` | fit | dropped |
/// | `ae-lasso` | fit + penalty | all layers |
/// | `ae-ls` | fit | all layers |
/// | `truncated:K` | fit | last `K` layers |
/// | `implicit` | fit | of the fixed point |
///
/// Any other combination is written `LOSS/RESPONSE`, with `fit` or `lasso` and `dropped`, `last:K`,
/// `all` or `implicit`, for example `lasso/last:5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GradientEstimator {
    /// The loss.
    pub loss: Loss,
    /// The response.
    pub response: Response,
}

impl GradientEstimator {
    /// Decoder only: the direct part of the gradient, `(D z_T − x) z_Tᵀ`.
    pub const DEC: Self = Self { loss: Loss::Fit, response: Response::Dropped };
    /// Backpropagation of the lasso loss.
    pub const AE_LASSO: Self = Self { loss: Loss::Lasso, response: Response::All };
    /// Backpropagation of the least-squares loss.
    pub const AE_LS: Self = Self { loss: Loss::Fit, response: Response::All };
    /// The limit of [`AE_LS`](Self::AE_LS) for many layers.
    pub const IMPLICIT: Self = Self { loss: Loss::Fit, response: Response::Implicit };

    /// [`AE_LS`](Self::AE_LS) through the last `layers` layers only.
    pub const fn truncated(layers: usize) -> Self {
        Self { loss: Loss::Fit, response: Response::Last(layers) }
    }
}

impl fmt::Display for GradientEstimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.loss, self.response) {
            (Loss::Fit, Response::Dropped) => f.write_str("dec"),
            (Loss::Lasso, Response::All) => f.write_str("ae-lasso"),
            (Loss::Fit, Response::All) => f.write_str("ae-ls"),
            (Loss::Fit, Response::Last(k)) => write!(f, "truncated:{k}"),
            (Loss::Fit, Response::Implicit) => f.write_str("implicit"),
            (Loss::Lasso, Response::Dropped) => f.write_str("lasso/dropped"),
            (Loss::Lasso, Response::Last(k)) => write!(f, "lasso/last:{k}"),
            (Loss::Lasso, Response::Implicit) => f.write_str("lasso/implicit"),
        }
    }
}

impl FromStr for GradientEstimator {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let unknown = || ConfigError::Unknown {
            field: "model.gradient",
            value: text.to_owned(),
            known: "dec, ae-lasso, ae-ls, truncated:K, implicit, \
                    {fit|lasso}/{dropped|last:K|all|implicit}",
        };
        let last = |k: &str| match k.parse() {
            Ok(0) | Err(_) => {
                Err(ConfigError::range("model.gradient", text, "truncated to K ≥ 1 layers"))
            }
            Ok(k) => Ok(Response::Last(k)),
        };
        if let Some((loss, response)) = text.split_once('/') {
            let loss = match loss {
                "fit" => Loss::Fit,
                "lasso" => Loss::Lasso,
                _ => return Err(unknown()),
            };
            let response = match response {
                "dropped" => Response::Dropped,
                "all" => Response::All,
                "implicit" => Response::Implicit,
                other => last(other.strip_prefix("last:").ok_or_else(unknown)?)?,
            };
            return Ok(Self { loss, response });
        }
        match text {
            "dec" => Ok(Self::DEC),
            "ae-lasso" => Ok(Self::AE_LASSO),
            "ae-ls" => Ok(Self::AE_LS),
            "implicit" => Ok(Self::IMPLICIT),
            other => {
                let k = other.strip_prefix("truncated:").ok_or_else(unknown)?;
                Ok(Self { loss: Loss::Fit, response: last(k)? })
            }
        }
    }
}

impl Serialize for GradientEstimator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GradientEstimator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for loss in [Loss::Fit, Loss::Lasso] {
            for response in
                [Response::Dropped, Response::Last(3), Response::All, Response::Implicit]
            {
                let estimator = GradientEstimator { loss, response };
                assert_eq!(estimator.to_string().parse(), Ok(estimator));
            }
        }
        assert_eq!("fit/last:2".parse(), Ok(GradientEstimator::truncated(2)));
    }

    #[test]
    fn wrong_names_are_refused() {
        for text in ["", "ae", "truncated", "truncated:0", "truncated:-1", "fit/", "lasso/last:x"] {
            assert!(text.parse::<GradientEstimator>().is_err(), "{text}");
        }
    }
}
