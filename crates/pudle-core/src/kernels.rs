//! Which implementation runs the unrolled pass.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::RangeError;

/// Which implementation runs the unrolled pass. All compute the same numbers, up to rounding: `Half` to about three digits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub enum Kernels {
    /// The fused pass if the backend has one that can run the model, and the composed one otherwise.
    #[default]
    Auto,
    /// One operation with its own backward pass. On the CPU, it uses that most codes are zero.
    Fused,
    /// The fused pass of filters over pictures on a GPU, with codes, residuals and atoms of 16 bits between layers. Sums have 32 bits, and a pass
    /// with gradients stores 32 bits, too. A layer reads and writes about half the bytes. Numbers beyond 65,504 do not fit, and those
    /// below 6e-5 lose digits or become zero: it is for pictures on the scale 0 … 1.
    Half,
    /// Operations of Burn, on any backend: the specification of the fused pass.
    Composed,
}

impl Kernels {
    /// Returns an error if a fused pass is asked for and the backend of `atoms` has none.
    pub(crate) fn check<const D: usize>(self, atoms: &Tensor<D>) -> Result<(), RangeError> {
        match self {
            Kernels::Fused if !pudle_kernels::supports(atoms) => {
                let range = "\"auto\" or \"composed\" on a backend without a fused pass";
                Err(RangeError::new("model.kernels", self, range))
            }
            Kernels::Half if !pudle_kernels::supports_half(atoms) => {
                let range = "\"auto\", \"fused\" or \"composed\" on the CPU, on a worker, and on a GPU without numbers of 16 bits";
                Err(RangeError::new("model.kernels", self, range))
            }
            _ => Ok(()),
        }
    }

    /// Whether only a fused pass will do.
    pub(crate) fn requires_fused(self) -> bool {
        matches!(self, Kernels::Fused | Kernels::Half)
    }

    /// Whether the fused pass is to run on data like `x`.
    pub(crate) fn takes_fused<const D: usize>(self, x: &Tensor<D>) -> bool {
        match self {
            Kernels::Auto | Kernels::Fused | Kernels::Half => pudle_kernels::supports(x),
            Kernels::Composed => false,
        }
    }
}
