//! The pass as one operation, where the backend has it; composed operations elsewhere.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::tensor::TensorData;
#[cfg(feature = "flex")]
use pudle_kernels::{Schedule, Shrinkage};
use serde::{Deserialize, Serialize};

#[cfg(feature = "flex")]
use crate::dictionary::Dictionary;
#[cfg(feature = "flex")]
use crate::encoder::{Algorithm, Encoder};
use crate::error::ConfigError;
#[cfg(feature = "flex")]
use crate::proximal::{Level, Proximal};
#[cfg(feature = "flex")]
use crate::threshold::Threshold;

/// Which implementation runs the unrolled pass. Both compute the same numbers, up to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// The fused one where the backend has it, the composed one elsewhere.
    #[default]
    Auto,
    /// One operation with its own backward pass, which uses the sparsity of the codes; on the `flex`
    /// backend.
    Fused,
    /// Operations of Burn, on any backend: the specification that the fused pass is held to.
    Composed,
}

impl Kernels {
    /// Whether the fused pass runs on the backend of `atoms`.
    pub(crate) fn are_fused_on<const D: usize>(atoms: &Tensor<D>) -> bool {
        #[cfg(feature = "flex")]
        return pudle_kernels::supports(atoms);
        #[cfg(not(feature = "flex"))]
        return {
            let _ = atoms;
            false
        };
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernels::Auto => "auto",
            Kernels::Fused => "fused",
            Kernels::Composed => "composed",
        })
    }
}

impl FromStr for Kernels {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Kernels::Auto),
            "fused" => Ok(Kernels::Fused),
            "composed" => Ok(Kernels::Composed),
            _ => Err(ConfigError::Unknown {
                field: "model.kernels",
                value: text.to_owned(),
                known: "auto, fused, composed",
            }),
        }
    }
}

/// Code and reconstruction of `x`, by one operation that records the last `recorded` layers; `None`
/// where the dictionary or the backend has no such operation.
///
/// # Panics
/// Where the data do not fit the atoms.
#[cfg(feature = "flex")]
pub(crate) fn run<const D: usize, A: Dictionary<D>>(
    encoder: &Encoder,
    dictionary: &A,
    threshold: &Threshold,
    x: &Tensor<D>,
    (layers, recorded, recompute): (usize, usize, bool),
) -> Option<(Tensor<D>, Tensor<D>)> {
    let atoms = dictionary.atoms();
    if !pudle_kernels::supports(&atoms) {
        return None;
    }
    let extent = x.dims();
    let code = dictionary.code_shape(extent).unwrap_or_else(|| {
        panic!("data of shape {extent:?} do not fit atoms of shape {:?}", atoms.dims())
    });
    let problem = dictionary.problem(extent)?;
    let schedule = Schedule {
        layers,
        shrinkage: match encoder.proximal {
            Proximal::Soft => Shrinkage::Soft,
            Proximal::Relu => Shrinkage::Relu,
            Proximal::Hard => Shrinkage::Hard,
        },
        momentum: match encoder.algorithm {
            Algorithm::Ista => Vec::new(),
            Algorithm::Fista => encoder.momentum(layers),
        },
        recorded,
        recompute,
    };
    let options = (&x.device(), x.dtype());
    let step = Tensor::from_data(TensorData::from([encoder.step]), options);
    let rows = if threshold.is_constant() { 1 } else { layers };
    let levels = (0..rows)
        .map(|t| match threshold.level(t, encoder.proximal, encoder.step) {
            Level::PerAtom(level) => level.reshape([1, 1, -1]),
            Level::Scalar(level) => Tensor::from_data(TensorData::from([[[level]]]), options),
        })
        .collect();
    let levels = Tensor::<3>::cat(levels, 0);
    let (code, reconstruction) =
        pudle_kernels::unrolled(problem, schedule, x.clone(), atoms, step, levels, code);
    // A code that no layer was recorded for is a constant, as the composed one is.
    let code = if recorded == 0 { code.detach() } else { code };
    Some((code, reconstruction))
}
