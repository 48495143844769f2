//! Proximal operators `Φ` of the encoder's layers: an operator a file, and the enum that names them.

mod group;
mod hard;
mod operator;
mod relu;
mod soft;
mod top_k;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use pudle_kernels::Shrinkage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ConfigError, RangeError};
use crate::level::Level;
use crate::step::StepSize;
pub use group::Group;
pub use hard::Hard;
use operator::Operator;
pub use relu::Relu;
pub use soft::Soft;
pub use top_k::TopK;

/// The non-linearity of a layer, at a level `θ ≥ 0`.
///
/// | name | operator | level | penalty |
/// | --- | --- | --- | --- |
/// | `soft` | [`Soft`] | `θ = αλ` | `λ‖z‖₁` |
/// | `relu` | [`Relu`] | `θ = αλ` | `λ‖z‖₁`, `z ≥ 0` |
/// | `hard` | [`Hard`] | `θ = λ` | `λ²/(2α) ‖z‖₀` |
/// | `top-k:K` | [`TopK`] | — | 0 on codes of at most `K` non-zeros |
/// | `group:N` | [`Group`] | `θ = αλ` | `λ Σ_g ‖z_g‖₂` |
///
/// In a file it is the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proximal {
    /// Two-sided soft threshold.
    Soft,
    /// Non-negative soft threshold.
    Relu,
    /// Two-sided hard threshold.
    Hard,
    /// The `k` codes of largest magnitude.
    TopK(TopK),
    /// Soft threshold of the norms of groups of codes.
    Group(Group),
}

/// The operators' names, for errors.
const KNOWN: &str = "soft, relu, hard, top-k:K, group:N";

/// Runs the same expression on whichever operator it is.
macro_rules! with_operator {
    ($proximal:expr, $operator:ident => $body:expr) => {
        match $proximal {
            Proximal::Soft => {
                let $operator = Soft;
                $body
            }
            Proximal::Relu => {
                let $operator = Relu;
                $body
            }
            Proximal::Hard => {
                let $operator = Hard;
                $body
            }
            Proximal::TopK($operator) => $body,
            Proximal::Group($operator) => $body,
        }
    };
}

impl FromStr for Proximal {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parsed = (Soft::parse(text).map(|_| Proximal::Soft))
            .or_else(|| Relu::parse(text).map(|_| Proximal::Relu))
            .or_else(|| Hard::parse(text).map(|_| Proximal::Hard))
            .or_else(|| TopK::parse(text).map(Proximal::TopK))
            .or_else(|| Group::parse(text).map(Proximal::Group));
        let value = text.to_owned();
        parsed.ok_or(ConfigError::Unknown { field: "model.prox", value, known: KNOWN })
    }
}

impl fmt::Display for Proximal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_operator!(self, operator => f.write_str(&operator.name()))
    }
}

impl Proximal {
    /// `Φ(v)` at the level `θ`, for `v` of code shape (atoms along axis 1).
    pub fn apply<const D: usize>(self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        with_operator!(self, operator => operator.apply(v, level))
    }

    /// The function `h` whose proximal operator this is, summed over a batch of codes, `[1]`: `αh` has the operator `Φ`
    /// at the sparsity weight `λ` and the step size `α`.
    pub fn penalty<const D: usize>(
        self,
        code: Tensor<D>,
        lambda: &Level,
        step: &StepSize,
    ) -> Tensor<1> {
        with_operator!(self, operator => operator.penalty(code, lambda, step))
    }

    /// The gradient of the penalty in the code, on the code's support, in code shape. It may be anything off the
    /// support.
    pub fn penalty_gradient<const D: usize>(self, code: Tensor<D>, lambda: &Level) -> Tensor<D> {
        with_operator!(self, operator => operator.penalty_gradient(code, lambda))
    }

    /// The second derivative of the penalty in the code, times `v`, in code shape; `None` if it is zero on the support.
    pub fn penalty_curvature<const D: usize>(
        self,
        code: Tensor<D>,
        lambda: &Level,
        v: Tensor<D>,
    ) -> Option<Tensor<D>> {
        with_operator!(self, operator => operator.penalty_curvature(code, lambda, v))
    }

    /// The level `θ` at the sparsity weight `λ` and the step size `α`.
    pub fn level(self, lambda: Level, step: &StepSize) -> Level {
        with_operator!(self, operator => operator.level(lambda, step))
    }

    /// What users call the sparsity weight under this operator: `lambda`, or `level` if `λ` is the level itself. `None` if the
    /// operator has no sparsity weight.
    pub fn level_name(self) -> Option<&'static str> {
        with_operator!(self, operator => operator.level_name())
    }

    /// Whether `Φ` has a gradient in its level, so that `λ` can be learned.
    pub fn learns_level(self) -> bool {
        with_operator!(self, operator => operator.learns_level())
    }

    /// The operator in the fused pass; `None` if the fused pass does not support it.
    pub fn kernel(self) -> Option<Shrinkage> {
        with_operator!(self, operator => operator.kernel())
    }

    /// Checks the operator's own settings against the number of atoms.
    pub(crate) fn validate(self, atoms: usize) -> Result<(), RangeError> {
        with_operator!(self, operator => operator.validate(atoms))
    }
}

impl Serialize for Proximal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Proximal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in KNOWN.split(", ") {
            let name = name.replace('K', "3").replace('N', "2");
            assert_eq!(name.parse::<Proximal>().unwrap().to_string(), name);
        }
        for wrong in ["", "Soft", "soft:2", "relu6"] {
            assert!(wrong.parse::<Proximal>().is_err(), "{wrong}");
        }
    }
}
