use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::schedule::{LearnedStart, LearnedWeights, Schedule};
use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;
use crate::weight::Constraint;

/// Learned weights per atom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Initial value of every weight, ≥ 0.
    pub lambda: f64,
    /// Whether every layer has weights of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_layer: bool,
    /// Noise level at which the weights start at `lambda`, > 0, in any unit. If it is given, each weight is affine in the
    /// noise `σ` of the data, `λ = max(a + b σ/sigma, 0)`. It starts in proportion to the noise (`a = 0`, `b = lambda`),
    /// and `a` and `b` are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Whether weights may be below zero, as a few are in some published networks. The level `θ` is then below zero, too, and
    /// the operator is no proximal one: `relu` is `max(v − θ, 0)`, a bias, and `soft` is
    /// `max(v − θ, 0) − max(−v − θ, 0)`, which doubles codes below `|θ|` and adds `|θ|` to the magnitude of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

impl Schedule for Learned {
    fn start(&self) -> f64 {
        self.lambda
    }

    fn start_mut(&mut self) -> &mut f64 {
        &mut self.lambda
    }

    fn validate(&self) -> Result<(), RangeError> {
        match self.sigma {
            Some(sigma) if !(sigma > 0.0 && sigma.is_finite()) => {
                Err(RangeError::new("model.threshold.sigma", sigma, "a number > 0"))
            }
            Some(_) if self.signed => Err(RangeError::new(
                "model.threshold.signed",
                true,
                "false if weights follow the noise",
            )),
            _ => Ok(()),
        }
    }

    fn lambda(&self, _: usize, learned: LearnedWeights, noise: &Noise) -> Level {
        let LearnedWeights { lambda, slope } = learned;
        let lambda = lambda.expect("a learned schedule has weights");
        let (Some(slope), Some(sigma)) = (slope, self.sigma) else {
            return Level::PerAtom(lambda);
        };
        Level::PerAtom(relu(match noise.levels() {
            None => lambda + slope,
            Some(levels) => {
                let ratio: Vec<f64> = levels.iter().map(|level| level / sigma).collect();
                let shape = [ratio.len(), 1];
                let options = (&lambda.device(), lambda.dtype());
                let ratio = Tensor::from_data(TensorData::new(ratio, shape), options);
                lambda + slope * ratio
            }
        }))
    }

    fn varies_over_layers(&self) -> bool {
        self.per_layer
    }

    fn describe(&self) -> String {
        let layers = if self.per_layer { " and layer" } else { "" };
        let noise = self.sigma.map_or(String::new(), |sigma| format!(", affine in noise/{sigma}"));
        let sign = if self.signed { ", of any sign" } else { "" };
        format!("learned per atom{layers}{noise}{sign}")
    }

    fn learned_start(&self) -> LearnedStart {
        match self.sigma {
            None => LearnedStart { lambda: Some(self.lambda), slope: None },
            Some(_) => LearnedStart { lambda: Some(0.0), slope: Some(self.lambda) },
        }
    }

    fn depends_on_noise(&self) -> bool {
        self.sigma.is_some()
    }

    fn constraint(&self) -> Constraint {
        match self.sigma {
            None if self.signed => Constraint::None,
            None => Constraint::NonNegative,
            // The sum is made ≥ 0, whatever sign its parts have.
            Some(_) => Constraint::None,
        }
    }
}
