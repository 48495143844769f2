//! Proximal operators `Φ` of the encoder's layers.

use std::fmt;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

/// The non-linearity of a layer, applied entry by entry at a level `θ ≥ 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proximal {
    /// Two-sided soft threshold, `sign(v) max(|v| − θ, 0)` with `θ = αλ`: the proximal operator of
    /// `λ‖z‖₁`.
    Soft,
    /// Non-negative soft threshold, `max(v − θ, 0)` with `θ = αλ`: a ReLU with bias `−αλ`, the
    /// proximal operator of `λ‖z‖₁` on `z ≥ 0`.
    Relu,
    /// Two-sided hard threshold, `v` where `|v| > θ` and 0 elsewhere, at the fixed level `θ = λ`.
    Hard,
}

/// The level `θ` of a proximal operator.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, per layer")]
pub enum Level {
    /// One level for every atom.
    Scalar(f64),
    /// One level per atom, for each datum or for all, `[b or 1, p or 1]`.
    PerAtom(Tensor<2>),
}

impl Proximal {
    /// `Φ(v)` for `v` of code shape (atoms along axis 1).
    pub fn apply<const D: usize>(self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        match (self, level) {
            // v − clamp(v, −θ, θ) is the soft threshold in two operations, zeros exact.
            (Proximal::Soft, Level::Scalar(theta)) => v.clone() - v.clamp(-theta, *theta),
            (Proximal::Soft, Level::PerAtom(theta)) => {
                let theta = along_atoms(theta);
                relu(v.clone() - theta.clone()) - relu(-v - theta)
            }
            (Proximal::Relu, Level::Scalar(theta)) => relu(v - *theta),
            (Proximal::Relu, Level::PerAtom(theta)) => relu(v - along_atoms(theta)),
            (Proximal::Hard, Level::Scalar(theta)) => {
                let small = v.clone().abs().lower_equal_elem(*theta);
                v.mask_fill(small, 0.0)
            }
            (Proximal::Hard, Level::PerAtom(theta)) => {
                let small = v.clone().abs().lower_equal(along_atoms::<D>(theta).expand(v.dims()));
                v.mask_fill(small, 0.0)
            }
        }
    }
}

/// `[b, p]` as `[b, p, 1, …]`.
pub(crate) fn along_atoms<const D: usize>(values: &Tensor<2>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[..2].copy_from_slice(&values.dims());
    values.clone().reshape(shape)
}

impl fmt::Display for Proximal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proximal::Soft => "soft",
            Proximal::Relu => "relu",
            Proximal::Hard => "hard",
        })
    }
}
