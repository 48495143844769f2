use serde::{Deserialize, Serialize};

use super::schedule::{LearnedWeights, Schedule};
use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;

/// The same `λ` in every layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Sparsity weight, ≥ 0. For a hard threshold it is the level itself.
    pub lambda: f64,
}

impl Schedule for Constant {
    fn start(&self) -> f64 {
        self.lambda
    }

    fn start_mut(&mut self) -> &mut f64 {
        &mut self.lambda
    }

    fn validate(&self) -> Result<(), RangeError> {
        Ok(())
    }

    fn lambda(&self, _: usize, _: LearnedWeights, _: &Noise) -> Level {
        Level::Scalar(self.lambda)
    }

    fn varies_over_layers(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        self.lambda.to_string()
    }
}
