use serde::{Deserialize, Serialize};

use super::schedule::{LearnedWeights, Schedule};
use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;

/// `λ_t = max(first βᵗ, λ)` in layer `t = 0, 1, …`: continuation from a large weight down to `λ` (Hale, Yin & Zhang, 2008).
/// The first layers find the largest codes, and the last ones solve the lasso of `λ`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuation {
    /// Sparsity weight of the last layers, ≥ 0.
    pub lambda: f64,
    /// Sparsity weight of the first layer, at least `lambda`.
    pub first: f64,
    /// Factor from one layer to the next, in (0, 1).
    pub beta: f64,
}

impl Schedule for Continuation {
    fn start(&self) -> f64 {
        self.lambda
    }

    fn start_mut(&mut self) -> &mut f64 {
        &mut self.lambda
    }

    fn validate(&self) -> Result<(), RangeError> {
        if !(self.beta > 0.0 && self.beta < 1.0) {
            return Err(RangeError::new("model.threshold.beta", self.beta, "in (0, 1)"));
        }
        if !(self.first >= self.lambda && self.first.is_finite()) {
            let range = "a number of at least `model.threshold.lambda`";
            return Err(RangeError::new("model.threshold.first", self.first, range));
        }
        Ok(())
    }

    fn lambda(&self, layer: usize, _: LearnedWeights, _: &Noise) -> Level {
        Level::Scalar((self.first * self.beta.powf(layer as f64)).max(self.lambda))
    }

    fn varies_over_layers(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("{} · {}^t in layer t, down to {}", self.first, self.beta, self.lambda)
    }
}
