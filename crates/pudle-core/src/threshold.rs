//! The sparsity weight `λ` over layers and atoms.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::dictionary::map_value;
use crate::error::ConfigError;
use crate::proximal::{Level, Proximal};

/// How `λ` depends on the layer and the atom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ThresholdConfig {
    /// The same `λ ≥ 0` in every layer.
    Constant {
        /// Sparsity weight, ≥ 0; for a hard threshold the level itself.
        lambda: f64,
    },
    /// `λ_t = λ βᵗ` in layer `t = 0, 1, …`.
    Decaying {
        /// Sparsity weight of the first layer, ≥ 0.
        lambda: f64,
        /// Decay from one layer to the next, in (0, 1].
        beta: f64,
    },
    /// One learned weight per atom, the same in every layer, kept ≥ 0 by projection.
    Learned {
        /// Where every weight starts, ≥ 0.
        lambda: f64,
    },
}

impl ThresholdConfig {
    /// `λ` of the first layer, before any learning.
    pub fn lambda(&self) -> f64 {
        match *self {
            ThresholdConfig::Constant { lambda }
            | ThresholdConfig::Decaying { lambda, .. }
            | ThresholdConfig::Learned { lambda } => lambda,
        }
    }

    /// The same schedule starting from another `λ`.
    pub fn with_lambda(self, lambda: f64) -> Self {
        match self {
            ThresholdConfig::Constant { .. } => ThresholdConfig::Constant { lambda },
            ThresholdConfig::Decaying { beta, .. } => ThresholdConfig::Decaying { lambda, beta },
            ThresholdConfig::Learned { .. } => ThresholdConfig::Learned { lambda },
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let lambda = self.lambda();
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return Err(ConfigError::range("model.threshold.lambda", lambda, "a number ≥ 0"));
        }
        match *self {
            ThresholdConfig::Decaying { beta, .. } if !(beta > 0.0 && beta <= 1.0) => {
                Err(ConfigError::range("model.threshold.beta", beta, "in (0, 1]"))
            }
            _ => Ok(()),
        }
    }
}

/// `λ` of every layer and atom; holds the learned weights where there are any.
#[derive(Module, Debug)]
pub struct Threshold {
    /// Learned `λ` per atom, `[p]`, ≥ 0.
    lambda: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: ThresholdConfig,
}

impl Threshold {
    /// Thresholds for `atoms` atoms, as `config` describes them.
    pub fn new(config: ThresholdConfig, atoms: usize, dtype: DType, device: &Device) -> Self {
        let lambda = match config {
            ThresholdConfig::Learned { lambda } => {
                Some(Param::from_tensor(Tensor::full([atoms], lambda, (device, dtype))))
            }
            _ => None,
        };
        Self { lambda, config }
    }

    /// `λ` of layer `t = 0, 1, …`.
    pub fn lambda(&self, layer: usize) -> Level {
        match (&self.lambda, self.config) {
            (Some(learned), _) => Level::PerAtom(learned.val()),
            (None, ThresholdConfig::Decaying { lambda, beta }) => {
                Level::Scalar(lambda * beta.powf(layer as f64))
            }
            (None, config) => Level::Scalar(config.lambda()),
        }
    }

    /// The level `θ` of `proximal` in layer `t = 0, 1, …` at step size `step`.
    pub fn level(&self, layer: usize, proximal: Proximal, step: f64) -> Level {
        let scale = proximal.scale(step);
        match self.lambda(layer) {
            Level::Scalar(lambda) => Level::Scalar(scale * lambda),
            Level::PerAtom(lambda) => Level::PerAtom(lambda * scale),
        }
    }

    /// Whether the weights are learned.
    pub(crate) fn is_learned(&self) -> bool {
        self.lambda.is_some()
    }

    /// Whether `λ` is the same in every layer.
    pub(crate) fn is_constant(&self) -> bool {
        !matches!(self.config, ThresholdConfig::Decaying { .. })
    }

    /// Projection of learned weights onto `λ ≥ 0`.
    pub fn project(self) -> Self {
        Self {
            lambda: self.lambda.map(|lambda| map_value(lambda, |lambda| lambda.clamp_min(0.0))),
            config: self.config,
        }
    }
}
