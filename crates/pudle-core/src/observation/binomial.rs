//! Counts of successes.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};

use super::model::Model;

/// Counts from 0 to `n`, with the logistic link: the mean is `n/(1 + e⁻ᵘ)`, and the loss `n log(1 + eᵘ) − x u`. With `n = 1`, data are
/// spikes that are there or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binomial {
    /// The number of trials behind a count, at least 1.
    pub n: u32,
}

impl Model for Binomial {
    fn name(&self) -> String {
        format!("binomial:{}", self.n)
    }

    fn parse(text: &str) -> Option<Self> {
        let n = match text {
            "bernoulli" => 1,
            _ => text.strip_prefix("binomial:")?.parse().ok()?,
        };
        (n > 0).then_some(Self { n })
    }

    fn mean<const D: usize>(&self, u: Tensor<D>) -> Tensor<D> {
        sigmoid(u) * f64::from(self.n)
    }

    fn link<const D: usize>(&self, mean: Tensor<D>) -> Tensor<D> {
        let share = mean / f64::from(self.n);
        share.clone().log() - (share.neg() + 1.0).log()
    }

    fn within<const D: usize>(&self, mean: Tensor<D>, least: f64) -> Tensor<D> {
        mean.clamp(least, f64::from(self.n) - least)
    }

    fn loss<const D: usize>(&self, u: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        // log(1 + eᵘ) = u − log σ(u), which does not overflow.
        (u.clone() - log_sigmoid(u.clone())) * f64::from(self.n) - x * u
    }

    fn curvature(&self) -> f64 {
        0.25 * f64::from(self.n)
    }
}
