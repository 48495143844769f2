//! What an exported file says about its network, so that others can run it.

use std::path::Path;

use pudle_core::{Algorithm, Configured, DictionaryConfig};
use pudle_core::{AnyPudle, Kernels, ModelVisitor, Noise, Pudle, PudleConfig, Step};
use pudle_data::{Normalization, Sigma};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};

/// Name of the text in a file.
pub(crate) const KEY: &str = "pudle";

/// The newest version of the format. Files of newer versions are refused. A file has the oldest version that says all:
/// 2 with a normalisation, otherwise 1.
const FORMAT: u32 = 2;

/// The description of a network in a file: one JSON object. See `checkpoints/README.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkFile {
    /// Version of the format.
    pub format: u32,
    /// The program that wrote the file.
    pub program: String,
    /// All settings of the model.
    pub model: PudleConfig,
    /// Noise of the training, on the scale 0 … 255, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<Sigma>,
    /// How data are normalised before they are encoded, if they are.
    #[serde(default, skip_serializing_if = "Normalization::is_none")]
    pub normalization: Normalization,
    /// The step size `α` as a number; none if it is `1/‖D‖²` of data of any size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// `λ` of each layer; none if it is among the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<Vec<f64>>,
    /// FISTA's weight `m_t` of each layer `t`, which starts from `z_t + m_t (z_t − z_{t−1})`; all 0 for ISTA.
    pub extrapolation: Vec<f64>,
}

/// The part of a description that all versions have.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl NetworkFile {
    /// The description of a checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let model = checkpoint.config.clone().with_kernels(Kernels::Auto).with_recompute(false);
        let layers = model.layers;
        let lambda =
            (!model.threshold.is_learned() && model.prox.level_name().is_some()).then(|| {
                let lambda = |layer| checkpoint.model.lambda(layer, &Noise::Unknown)[0];
                // The shortest number in decimal that is this f32.
                (0..layers).map(|layer| shortest(lambda(layer))).collect()
            });
        Self {
            format: if checkpoint.normalization.is_none() { 1 } else { FORMAT },
            program: format!("pudle {}", env!("CARGO_PKG_VERSION")),
            sigma: checkpoint.sigma,
            normalization: checkpoint.normalization.clone(),
            step: step(&checkpoint.model),
            lambda,
            extrapolation: extrapolation(model.algorithm, layers),
            model,
        }
    }

    /// Reads the description in the file `path`.
    ///
    /// # Errors
    /// Returns an error if it is damaged or of a newer version, or describes an impossible model.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            TrainError::weights(path, format!("the description of the network is damaged: {error}"))
        };
        let Version { format } = serde_json::from_slice(text).map_err(damaged)?;
        if format > FORMAT {
            let reason = format!(
                "is of format {format}, of a newer version of Pudle; this one reads formats up to {FORMAT}"
            );
            return Err(TrainError::weights(path, reason));
        }
        let network: Self = serde_json::from_slice(text).map_err(damaged)?;
        network.model.validate().map_err(|error| TrainError::in_file(path, error.into()))?;
        if let Some(width) = network.normalization.width()
            && !matches!(network.model.dictionary, DictionaryConfig::Dense(dense) if dense.dim == width)
        {
            let reason =
                format!("has a normalisation of {width} numbers, which does not fit its atoms");
            return Err(TrainError::weights(path, reason));
        }
        Ok(network)
    }

    /// The description as one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("settings are plain numbers and words")
    }
}

/// The number of the fewest decimals that is this f32.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// The step size as a number, if it does not depend on the size of the data.
pub(crate) fn step(model: &AnyPudle) -> Option<f64> {
    struct StepOf;
    impl ModelVisitor for StepOf {
        type Output = Option<f64>;

        fn visit<const D: usize, A: Configured<D>>(
            self,
            model: Option<Pudle<D, A>>,
            _: fn(Pudle<D, A>) -> AnyPudle,
        ) -> Option<f64> {
            let model = model?;
            let config = model.config();
            let mut extent = [1; D];
            if let DictionaryConfig::Dense(dense) = config.dictionary {
                extent[D - 1] = dense.dim;
            } else if config.step == Step::Auto {
                return None;
            }
            Some(model.step(extent))
        }
    }
    model.clone().visit(StepOf)
}

/// FISTA's weights of the layers: `m_0 = 0`, `m_t = (s_t − 1)/s_{t+1}` with `s_1 = 1` and
/// `s_{t+1} = (1 + √(1 + 4 s_t²))/2` (Beck & Teboulle, 2009).
pub(crate) fn extrapolation(algorithm: Algorithm, layers: usize) -> Vec<f64> {
    match algorithm {
        Algorithm::Ista => vec![0.0; layers],
        Algorithm::Fista => {
            let mut s: f64 = 1.0;
            (0..layers)
                .map(|t| {
                    let next = if t == 0 { s } else { (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0 };
                    let weight = (s - 1.0) / next;
                    s = next;
                    weight
                })
                .collect()
        }
    }
}
