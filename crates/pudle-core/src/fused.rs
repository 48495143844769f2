//! The pass as one operation, where the backend has it; composed operations elsewhere.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
#[cfg(feature = "flex")]
use burn::tensor::TensorData;
#[cfg(feature = "flex")]
use pudle_kernels::{Problem, Schedule, Shrinkage};
use serde::{Deserialize, Serialize};

#[cfg(feature = "flex")]
use crate::config::Banks;
use crate::dictionary::ConvDictionary2d;
#[cfg(feature = "flex")]
use crate::dictionary::Dictionary;
#[cfg(feature = "flex")]
use crate::encoder::{Algorithm, Encoder, StepSize};
use crate::error::ConfigError;
use crate::model::Pudle;
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
    /// Refuses the fused pass on a backend, that of `atoms`, which does not have it.
    pub(crate) fn check<const D: usize>(self, atoms: &Tensor<D>) -> Result<(), ConfigError> {
        #[cfg(feature = "flex")]
        let has = pudle_kernels::supports(atoms);
        #[cfg(not(feature = "flex"))]
        let has = {
            let _ = atoms;
            false
        };
        match self {
            Kernels::Fused if !has => Err(ConfigError::range(
                "model.kernels",
                self,
                "auto or composed on any backend but flex",
            )),
            _ => Ok(()),
        }
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

/// What the fused pass is told: how to run, the step size, and the levels.
#[cfg(feature = "flex")]
fn prepare<const D: usize>(
    encoder: &Encoder,
    threshold: &Threshold,
    x: &Tensor<D>,
    (layers, recorded, recompute): (usize, usize, bool),
) -> (Schedule, Tensor<1>, Tensor<3>) {
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
    let step = match &encoder.step {
        StepSize::Given(step) => Tensor::from_data(TensorData::from([*step]), options),
        StepSize::Learned(step) => step.clone(),
    };
    let rows = if threshold.is_constant() { 1 } else { layers };
    let levels = (0..rows)
        .map(|t| match threshold.level(t, encoder.proximal, &encoder.step) {
            Level::PerAtom(level) => level.unsqueeze(),
            Level::Scalar(level) => Tensor::from_data(TensorData::from([[[level]]]), options),
        })
        .collect();
    (schedule, step, Tensor::cat(levels, 0))
}

/// The atoms of all banks, as the operation takes them; `None` where it cannot.
#[cfg(feature = "flex")]
fn banks<const D: usize, A: Dictionary<D>>(
    model: &Pudle<D, A>,
    problem: &Problem,
) -> Option<Tensor<D>> {
    let [analysis, layers, decoder] =
        [model.analysis(), model.dictionary(), model.decoder()].map(Dictionary::atoms);
    match (model.config().banks, problem) {
        (Banks::Tied, _) => Some(layers),
        // A matrix works in Gram form, which needs one dictionary.
        (_, Problem::Dense { .. }) => None,
        (Banks::Gain, _) => {
            let gain = model.gain().expect("the banks have gains");
            let mut shape = [1; D];
            shape[0] = gain.dims()[0];
            Some(Tensor::cat(vec![layers.clone(), layers * gain.reshape(shape)], 0))
        }
        (Banks::Decoder, _) => Some(Tensor::cat(vec![layers, decoder], 0)),
        (Banks::Untied, _) => Some(Tensor::cat(vec![analysis, layers, decoder], 0)),
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
    model: &Pudle<D, A>,
    x: &Tensor<D>,
    layers: (usize, usize, bool),
) -> Option<(Tensor<D>, Tensor<D>)> {
    let dictionary = model.dictionary();
    if !pudle_kernels::supports(&dictionary.atoms()) {
        return None;
    }
    let extent = x.dims();
    let code = dictionary.code_shape(extent).unwrap_or_else(|| {
        let atoms = dictionary.atoms().dims();
        panic!("data of shape {extent:?} do not fit atoms of shape {atoms:?}")
    });
    let problem = dictionary.problem(extent)?;
    let atoms = banks(model, &problem)?;
    let (schedule, step, levels) = prepare(encoder, model.threshold(), x, layers);
    let (code, reconstruction) =
        pudle_kernels::unrolled(problem, schedule, x.clone(), atoms, step, levels, code);
    // A code that no layer was recorded for is a constant, as the composed one is.
    let code = if layers.1 == 0 { code.detach() } else { code };
    Some((code, reconstruction))
}

#[cfg(feature = "flex")]
impl Pudle<4, ConvDictionary2d> {
    /// The mean of the reconstructions of the parts of `x` of shape `part` that start at `starts`, each
    /// moved back, in a window of `x`: first pixel and size. `None` where the fused pass is not to be
    /// used.
    pub(crate) fn fused_shifts(
        &self,
        x: &Tensor<4>,
        part: [usize; 4],
        starts: &[[usize; 2]],
        window: ([usize; 2], [usize; 2]),
    ) -> Option<Tensor<4>> {
        if self.config().kernels == Kernels::Composed
            || !pudle_kernels::supports(&self.dictionary().atoms())
        {
            return None;
        }
        let problem = self.dictionary().problem(part)?;
        let atoms = banks(self, &problem)?;
        let Problem::Conv(geometry) = problem else { return None };
        let encoder = self.encoder(part);
        let layers = (self.config().layers, 0, false);
        let (schedule, step, levels) = prepare(&encoder, self.threshold(), x, layers);
        if levels.dims()[1] > 1 {
            // The operation runs image by image, with the same levels for each.
            return None;
        }
        let x = self.centred(x.clone());
        let mean =
            pudle_kernels::shifted(geometry, schedule, x, starts, window, (atoms, step, levels));
        Some(self.restored(mean))
    }
}

#[cfg(not(feature = "flex"))]
impl Pudle<4, ConvDictionary2d> {
    pub(crate) fn fused_shifts(
        &self,
        _x: &Tensor<4>,
        _part: [usize; 4],
        _starts: &[[usize; 2]],
        _window: ([usize; 2], [usize; 2]),
    ) -> Option<Tensor<4>> {
        None
    }
}
