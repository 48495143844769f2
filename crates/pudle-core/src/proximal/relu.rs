use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use pudle_kernels::Shrinkage;

use super::operator::Operator;
use super::soft::l1;
use crate::level::{Level, along_atoms};
use crate::step::StepSize;

/// Non-negative soft threshold, `max(v − θ, 0)` with `θ = αλ`: a ReLU with bias `−αλ`, the proximal operator of
/// `αλ‖z‖₁` on `z ≥ 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relu;

impl Operator for Relu {
    fn name(&self) -> String {
        "relu".into()
    }

    fn parse(name: &str) -> Option<Self> {
        (name == "relu").then_some(Self)
    }

    fn apply<const D: usize>(&self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        match level {
            Level::Scalar(theta) => relu(v - *theta),
            Level::PerAtom(theta) => relu(v - along_atoms(theta)),
        }
    }

    fn penalty<const D: usize>(&self, code: Tensor<D>, lambda: &Level, _: &StepSize) -> Tensor<1> {
        l1(code, lambda)
    }

    fn penalty_gradient<const D: usize>(&self, code: Tensor<D>, lambda: &Level) -> Tensor<D> {
        lambda.times(code.sign())
    }

    fn learns_level(&self) -> bool {
        true
    }

    fn kernel(&self) -> Option<Shrinkage> {
        Some(Shrinkage::Relu)
    }
}
