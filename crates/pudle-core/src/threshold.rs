//! The sparsity weight `λ` over layers and atoms.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::dictionary::map_value;
use crate::encoder::StepSize;
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
    /// Learned weights per atom, kept ≥ 0 by projection.
    Learned {
        /// Where every weight starts, ≥ 0.
        lambda: f64,
        /// Whether every layer has weights of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        per_layer: bool,
        /// Noise level σ at which weights start at `lambda`, > 0, in any unit. With one, each weight is affine in
        /// the noise that [`Pudle::at_noise`](crate::Pudle::at_noise) tells of, `λ = max(a + b σ/sigma, 0)`, starts
        /// in proportion to it (`a = 0`, `b = lambda`), and `a` and `b` are learned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sigma: Option<f64>,
    },
}

impl ThresholdConfig {
    /// One learned weight per atom, the same in every layer and at every noise level.
    pub fn learned(lambda: f64) -> Self {
        ThresholdConfig::Learned { lambda, per_layer: false, sigma: None }
    }

    /// `λ` of the first layer, before any learning.
    pub fn lambda(&self) -> f64 {
        match *self {
            ThresholdConfig::Constant { lambda }
            | ThresholdConfig::Decaying { lambda, .. }
            | ThresholdConfig::Learned { lambda, .. } => lambda,
        }
    }

    /// The same schedule starting from another `λ`.
    pub fn with_lambda(self, lambda: f64) -> Self {
        match self {
            ThresholdConfig::Constant { .. } => ThresholdConfig::Constant { lambda },
            ThresholdConfig::Decaying { beta, .. } => ThresholdConfig::Decaying { lambda, beta },
            ThresholdConfig::Learned { per_layer, sigma, .. } => {
                ThresholdConfig::Learned { lambda, per_layer, sigma }
            }
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
            ThresholdConfig::Learned { sigma: Some(sigma), .. }
                if !(sigma > 0.0 && sigma.is_finite()) =>
            {
                Err(ConfigError::range("model.threshold.sigma", sigma, "a number > 0"))
            }
            _ => Ok(()),
        }
    }
}

/// `λ` of every layer and atom; holds the learned weights where there are any.
#[derive(Module, Debug)]
pub struct Threshold {
    /// Learned `λ`, `[1 or T, p]`, ≥ 0; its part `a` that does not depend on the noise, of any sign, where
    /// another does.
    lambda: Option<Param<Tensor<2>>>,
    /// `b` of `λ = max(a + b σ/sigma, 0)`, in the same shape.
    slope: Option<Param<Tensor<2>>>,
    /// Noise of each datum, or of all, in the unit of the configured `sigma`; empty for that very one.
    #[module(skip)]
    noise: Vec<f64>,
    #[module(skip)]
    config: ThresholdConfig,
}

impl Threshold {
    /// Thresholds for `atoms` atoms in `layers` layers, as `config` describes them.
    pub fn new(
        config: ThresholdConfig,
        layers: usize,
        atoms: usize,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let (mut lambda, mut slope) = (None, None);
        if let ThresholdConfig::Learned { lambda: start, per_layer, sigma } = config {
            let shape = [if per_layer { layers } else { 1 }, atoms];
            let full =
                |value: f64| Some(Param::from_tensor(Tensor::full(shape, value, (device, dtype))));
            (lambda, slope) = match sigma {
                None => (full(start), None),
                Some(_) => (full(0.0), full(start)),
            };
        }
        Self { lambda, slope, noise: Vec::new(), config }
    }

    /// The same thresholds for data of this noise, a level for each datum of a batch or one for all.
    pub(crate) fn at_noise(self, noise: &[f64]) -> Self {
        Self { noise: noise.to_vec(), ..self }
    }

    /// Whether `λ` depends on the noise.
    pub fn is_adaptive(&self) -> bool {
        self.slope.is_some()
    }

    /// `λ` of layer `t = 0, 1, …`.
    pub fn lambda(&self, layer: usize) -> Level {
        let Some(learned) = &self.lambda else {
            return Level::Scalar(match self.config {
                ThresholdConfig::Decaying { lambda, beta } => lambda * beta.powf(layer as f64),
                config => config.lambda(),
            });
        };
        let row = |weights: &Param<Tensor<2>>| {
            let weights = weights.val();
            if weights.dims()[0] == 1 { weights } else { weights.narrow(0, layer, 1) }
        };
        Level::PerAtom(match (&self.slope, self.config) {
            (Some(slope), ThresholdConfig::Learned { sigma: Some(sigma), .. }) => {
                let (offset, slope) = (row(learned), row(slope));
                relu(match self.noise.is_empty() {
                    true => offset + slope,
                    false => {
                        let ratio: Vec<f64> = self.noise.iter().map(|s| s / sigma).collect();
                        let shape = [ratio.len(), 1];
                        let options = (&offset.device(), offset.dtype());
                        let ratio = Tensor::from_data(TensorData::new(ratio, shape), options);
                        offset + slope * ratio
                    }
                })
            }
            _ => row(learned),
        })
    }

    /// The level `θ` of `proximal` in layer `t = 0, 1, …` at step size `step`.
    pub fn level(&self, layer: usize, proximal: Proximal, step: &StepSize) -> Level {
        let lambda = self.lambda(layer);
        match (proximal, lambda, step) {
            // A hard threshold's level is λ itself.
            (Proximal::Hard, lambda, _) => lambda,
            (_, Level::Scalar(lambda), StepSize::Given(step)) => Level::Scalar(lambda * step),
            (_, Level::Scalar(lambda), StepSize::Learned(step)) => {
                Level::PerAtom(step.clone().reshape([1, 1]) * lambda)
            }
            (_, Level::PerAtom(lambda), step) => Level::PerAtom(step.times(lambda)),
        }
    }

    /// Whether any weight is learned.
    pub(crate) fn is_learned(&self) -> bool {
        self.lambda.is_some()
    }

    /// Whether `λ` is the same in every layer.
    pub(crate) fn is_constant(&self) -> bool {
        !matches!(
            self.config,
            ThresholdConfig::Decaying { .. } | ThresholdConfig::Learned { per_layer: true, .. }
        )
    }

    /// The learned weights, `[1 or T, p]` each: `λ`, or `a` and `b` of `max(a + b σ/sigma, 0)`.
    pub fn weights(&self) -> Vec<Tensor<2>> {
        self.lambda.iter().chain(&self.slope).map(Param::val).collect()
    }

    /// Projection of learned weights onto `λ ≥ 0`; where they depend on the noise, any will do.
    pub fn project(self) -> Self {
        if self.slope.is_some() {
            return self;
        }
        let clamp = |lambda: Param<Tensor<2>>| map_value(lambda, |lambda| lambda.clamp_min(0.0));
        Self { lambda: self.lambda.map(clamp), ..self }
    }
}
