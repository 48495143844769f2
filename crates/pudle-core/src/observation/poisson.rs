//! Counts without a bound.

use burn::tensor::Tensor;

use super::model::Model;

/// Counts without a bound, with the exponential link: the mean is `eᵘ`, and the loss `eᵘ − x u`.
///
/// The curvature of this loss grows with the mean, so that no step size is safe. Above a mean of `most`, the mean is continued
/// along its tangent, `most (1 + u − log most)`, and the loss to match. Set it above every mean that data can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisson {
    /// The mean from which on the link is a line, above 0.
    pub most: f64,
}

impl Model for Poisson {
    fn name(&self) -> String {
        format!("poisson:{}", self.most)
    }

    fn parse(text: &str) -> Option<Self> {
        let most: f64 = text.strip_prefix("poisson:")?.parse().ok()?;
        (most > 0.0 && most.is_finite()).then_some(Self { most })
    }

    fn mean<const D: usize>(&self, u: Tensor<D>) -> Tensor<D> {
        let edge = self.most.ln();
        // What lies beyond the edge is 0 below it.
        let beyond = (u.clone() - edge).clamp_min(0.0);
        u.clamp_max(edge).exp() + beyond * self.most
    }

    fn link<const D: usize>(&self, mean: Tensor<D>) -> Tensor<D> {
        let beyond = (mean.clone() / self.most - 1.0).clamp_min(0.0);
        mean.clamp_max(self.most).log() + beyond
    }

    fn within<const D: usize>(&self, mean: Tensor<D>, least: f64) -> Tensor<D> {
        mean.clamp_min(least)
    }

    fn loss<const D: usize>(&self, u: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        let edge = self.most.ln();
        let beyond = (u.clone() - edge).clamp_min(0.0);
        let integral = u.clone().clamp_max(edge).exp()
            + beyond.clone() * self.most
            + beyond.square() * (0.5 * self.most);
        integral - x * u
    }

    fn curvature(&self) -> f64 {
        self.most
    }
}
