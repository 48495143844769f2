//! Observation models: how data are distributed around `D z`. A model a file, and the enum that names it.

mod binomial;
mod gaussian;
mod model;
mod poisson;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use binomial::Binomial;
pub use gaussian::Gaussian;
use model::Model;
pub use poisson::Poisson;

use crate::error::ConfigError;

/// How data are distributed around `u = D z + offset`.
///
/// | name | data | mean | loss |
/// | --- | --- | --- | --- |
/// | `gaussian` | real numbers, see [`Gaussian`] | `u` | `½(u − x)²` |
/// | `binomial:N` (`bernoulli` for 1) | counts of at most `N`, see [`Binomial`] | `N/(1 + e⁻ᵘ)` | `N log(1 + eᵘ) − x u` |
/// | `poisson:M` | counts, see [`Poisson`] | `eᵘ`, a line above `M` | `eᵘ − x u` |
///
/// A layer is `z ← Φ(z + α Dᵀ(x − mean(u)))`, and its step size `"auto"` is `1/‖D‖²` divided by the largest curvature of the loss: 1,
/// `N/4` and `M`. In a file it is the name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// Real numbers with white noise.
    Gaussian(Gaussian),
    /// Counts with a bound.
    Binomial(Binomial),
    /// Counts without a bound.
    Poisson(Poisson),
}

/// The models' names, for errors.
const KNOWN: &str = "gaussian, bernoulli, binomial:N, poisson:M";

/// Runs the same expression on whichever model it is.
macro_rules! with_model {
    ($observation:expr, $model:ident => $body:expr) => {
        match $observation {
            Observation::Gaussian($model) => $body,
            Observation::Binomial($model) => $body,
            Observation::Poisson($model) => $body,
        }
    };
}

impl Default for Observation {
    fn default() -> Self {
        Self::Gaussian(Gaussian)
    }
}

impl Observation {
    /// Whether it is Gaussian, which is what the fused pass and some gradients know.
    pub fn is_gaussian(&self) -> bool {
        matches!(self, Self::Gaussian(_))
    }

    /// The mean of the data at `u`.
    pub fn mean<const D: usize>(&self, u: Tensor<D>) -> Tensor<D> {
        with_model!(self, model => model.mean(u))
    }

    /// The `u` of a mean.
    pub fn link<const D: usize>(&self, mean: Tensor<D>) -> Tensor<D> {
        with_model!(self, model => model.link(mean))
    }

    /// A mean that is at least `least` away from those that no finite `u` has, such as 0 for counts.
    pub fn within<const D: usize>(&self, mean: Tensor<D>, least: f64) -> Tensor<D> {
        with_model!(self, model => model.within(mean, least))
    }

    /// The loss of every entry: the negative log-likelihood without what does not depend on `u`. Its gradient in `u` is
    /// `mean(u) − x`.
    pub fn loss<const D: usize>(&self, u: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        with_model!(self, model => model.loss(u, x))
    }

    /// The largest second derivative of the loss in `u`.
    pub fn curvature(&self) -> f64 {
        with_model!(self, model => model.curvature())
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_model!(self, model => f.write_str(&model.name()))
    }
}

impl FromStr for Observation {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parsed = (Gaussian::parse(text).map(Self::Gaussian))
            .or_else(|| Binomial::parse(text).map(Self::Binomial))
            .or_else(|| Poisson::parse(text).map(Self::Poisson));
        let value = text.to_owned();
        parsed.ok_or(ConfigError::Unknown { field: "model.observation", value, known: KNOWN })
    }
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
