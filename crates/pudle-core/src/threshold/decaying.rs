use serde::{Deserialize, Serialize};

use super::schedule::{LearnedWeights, Schedule};
use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;

/// `λ_t = λ βᵗ` in layer `t = 0, 1, …`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decaying {
    /// Sparsity weight of the first layer, ≥ 0.
    pub lambda: f64,
    /// Factor from one layer to the next, in (0, 1].
    pub beta: f64,
}

impl Schedule for Decaying {
    fn start(&self) -> f64 {
        self.lambda
    }

    fn start_mut(&mut self) -> &mut f64 {
        &mut self.lambda
    }

    fn validate(&self) -> Result<(), RangeError> {
        match self.beta > 0.0 && self.beta <= 1.0 {
            true => Ok(()),
            false => Err(RangeError::new("model.threshold.beta", self.beta, "in (0, 1]")),
        }
    }

    fn lambda(&self, layer: usize, _: LearnedWeights, _: &Noise) -> Level {
        Level::Scalar(self.lambda * self.beta.powf(layer as f64))
    }

    fn varies_over_layers(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("{} · {}^t in layer t", self.lambda, self.beta)
    }
}
