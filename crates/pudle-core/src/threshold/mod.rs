//! The sparsity weight `λ` over layers, atoms and noise levels: a schedule a file, and the enum that names them.

mod constant;
mod continuation;
mod decaying;
mod learned;
mod schedule;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;
use crate::proximal::Proximal;
use crate::step::StepSize;
use crate::weight::Constraint;
pub use constant::Constant;
pub use continuation::Continuation;
pub use decaying::Decaying;
pub use learned::Learned;
use schedule::{LearnedWeights, Schedule};

/// How `λ` depends on the layer, the atom and the noise.
///
/// | `kind` | schedule | `λ` |
/// | --- | --- | --- |
/// | `constant` | [`Constant`] | the same in every layer |
/// | `decaying` | [`Decaying`] | `λ βᵗ` in layer `t` |
/// | `continuation` | [`Continuation`] | `max(first βᵗ, λ)` in layer `t` |
/// | `learned` | [`Learned`] | learned per atom, perhaps per layer and noise level |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ThresholdConfig {
    /// The same in every layer.
    Constant(Constant),
    /// Smaller from layer to layer.
    Decaying(Decaying),
    /// From a large weight down to `λ`.
    Continuation(Continuation),
    /// Learned per atom.
    Learned(Learned),
}

/// Runs the same expression on whichever schedule it is.
macro_rules! with_schedule {
    ($config:expr, $schedule:ident => $body:expr) => {
        match $config {
            ThresholdConfig::Constant($schedule) => $body,
            ThresholdConfig::Decaying($schedule) => $body,
            ThresholdConfig::Continuation($schedule) => $body,
            ThresholdConfig::Learned($schedule) => $body,
        }
    };
}

impl ThresholdConfig {
    /// The same `λ ≥ 0` in every layer.
    pub fn constant(lambda: f64) -> Self {
        ThresholdConfig::Constant(Constant { lambda })
    }

    /// `λ βᵗ` in layer `t`, `β` in (0, 1].
    pub fn decaying(lambda: f64, beta: f64) -> Self {
        ThresholdConfig::Decaying(Decaying { lambda, beta })
    }

    /// One learned weight per atom, the same in every layer and at every noise level.
    pub fn learned(lambda: f64) -> Self {
        ThresholdConfig::Learned(Learned { lambda, per_layer: false, sigma: None, signed: false })
    }

    /// The sparsity weight `λ` of the settings; where learned weights start.
    pub fn lambda(&self) -> f64 {
        with_schedule!(self, schedule => schedule.start())
    }

    /// The same schedule with another `λ`.
    pub fn with_lambda(self, lambda: f64) -> Self {
        let mut config = self;
        with_schedule!(&mut config, schedule => *schedule.start_mut() = lambda);
        config
    }

    /// Whether weights are learned.
    pub fn is_learned(&self) -> bool {
        with_schedule!(self, schedule => schedule.is_learned())
    }

    /// Whether `λ` may be below zero.
    pub fn is_signed(&self) -> bool {
        matches!(self, ThresholdConfig::Learned(Learned { signed: true, .. }))
    }

    /// Whether `λ` depends on the noise of the data.
    pub fn depends_on_noise(&self) -> bool {
        with_schedule!(self, schedule => schedule.depends_on_noise())
    }

    /// Whether `λ` changes from layer to layer.
    pub fn varies_over_layers(&self) -> bool {
        with_schedule!(self, schedule => schedule.varies_over_layers())
    }

    /// Whether weights that are learned with this schedule and `layers` layers have the same shape and meaning with
    /// `other` and `other_layers` layers. The initial values of the schedules may differ.
    pub fn learns_alike(&self, layers: usize, other: &Self, other_layers: usize) -> bool {
        self.is_learned()
            && self.with_lambda(0.0) == other.with_lambda(0.0)
            && (layers == other_layers || !self.varies_over_layers())
    }

    /// A description of the schedule, for example `0.2 · 0.9^t in layer t`.
    pub fn describe(&self) -> String {
        with_schedule!(self, schedule => schedule.describe())
    }

    pub(crate) fn validate(&self) -> Result<(), RangeError> {
        let lambda = self.lambda();
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return Err(RangeError::new("model.threshold.lambda", lambda, "a number ≥ 0"));
        }
        with_schedule!(self, schedule => schedule.validate())
    }
}

/// `λ` of every layer. Holds the learned weights, if there are any.
#[derive(Module, Debug)]
pub struct Threshold {
    /// Learned `λ`, `[1 or T, p]`, ≥ 0; or the part `a` of `λ = max(a + b σ/sigma, 0)`, of any sign.
    lambda: Option<Param<Tensor<2>>>,
    /// `b` of `λ = max(a + b σ/sigma, 0)`, in the same shape.
    slope: Option<Param<Tensor<2>>>,
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
        let full = |value: f64| {
            let rows = if config.varies_over_layers() { layers } else { 1 };
            Param::from_tensor(Tensor::full([rows, atoms], value, (device, dtype)))
        };
        let start = with_schedule!(&config, schedule => schedule.learned_start());
        Self { lambda: start.lambda.map(full), slope: start.slope.map(full), config }
    }

    /// `λ` of layer `t = 0, 1, …` for data of this noise.
    pub fn lambda(&self, layer: usize, noise: &Noise) -> Level {
        let row = |weights: &Param<Tensor<2>>| {
            let weights = weights.val();
            if weights.dims()[0] == 1 { weights } else { weights.narrow(0, layer, 1) }
        };
        let learned = LearnedWeights {
            lambda: self.lambda.as_ref().map(row),
            slope: self.slope.as_ref().map(row),
        };
        with_schedule!(&self.config, schedule => schedule.lambda(layer, learned, noise))
    }

    /// The level `θ` of `proximal` in layer `t = 0, 1, …` at step size `step`.
    pub fn level(&self, layer: usize, proximal: Proximal, step: &StepSize, noise: &Noise) -> Level {
        proximal.level(self.lambda(layer, noise), step)
    }

    /// The settings.
    pub fn config(&self) -> &ThresholdConfig {
        &self.config
    }

    /// What the learned `λ` is projected onto.
    pub(crate) fn constraint(&self) -> Constraint {
        with_schedule!(&self.config, schedule => schedule.constraint())
    }
}
