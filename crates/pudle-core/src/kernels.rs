//! Which implementation runs the unrolled pass.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::RangeError;

/// Which implementation runs the unrolled pass. Both compute the same numbers, up to rounding.
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
    /// Operations of Burn, on any backend: the specification of the fused pass.
    Composed,
}

impl Kernels {
    /// Returns an error if the fused pass is asked for and the backend of `atoms` has none.
    pub(crate) fn check<const D: usize>(self, atoms: &Tensor<D>) -> Result<(), RangeError> {
        match self {
            Kernels::Fused if !pudle_kernels::supports(atoms) => {
                let range = "\"auto\" or \"composed\" on a backend without a fused pass";
                Err(RangeError::new("model.kernels", self, range))
            }
            _ => Ok(()),
        }
    }

    /// Whether the fused pass is to run on data like `x`.
    pub(crate) fn takes_fused<const D: usize>(self, x: &Tensor<D>) -> bool {
        match self {
            Kernels::Auto | Kernels::Fused => pudle_kernels::supports(x),
            Kernels::Composed => false,
        }
    }
}
