//! Real numbers with white noise.

use burn::tensor::Tensor;

use super::model::Model;

/// Real numbers with white noise: the mean is `u`, and the loss `½(u − x)²`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaussian;

impl Model for Gaussian {
    fn name(&self) -> String {
        "gaussian".into()
    }

    fn parse(text: &str) -> Option<Self> {
        (text == "gaussian").then_some(Self)
    }

    fn mean<const D: usize>(&self, u: Tensor<D>) -> Tensor<D> {
        u
    }

    fn link<const D: usize>(&self, mean: Tensor<D>) -> Tensor<D> {
        mean
    }

    fn within<const D: usize>(&self, mean: Tensor<D>, _: f64) -> Tensor<D> {
        mean
    }

    fn loss<const D: usize>(&self, u: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
        (u - x).square() * 0.5
    }

    fn curvature(&self) -> f64 {
        1.0
    }
}
