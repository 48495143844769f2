use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use pudle_kernels::Shrinkage;

use super::operator::Operator;
use crate::level::{Level, along_atoms};
use crate::step::StepSize;

/// Two-sided soft threshold, `sign(v) max(|v| − θ, 0)` with `θ = αλ`: the proximal operator of `αλ‖z‖₁`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft;

impl Operator for Soft {
    fn name(&self) -> String {
        "soft".into()
    }

    fn parse(name: &str) -> Option<Self> {
        (name == "soft").then_some(Self)
    }

    fn apply<const D: usize>(&self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        match level {
            // v − clamp(v, −θ, θ) is the soft threshold in two operations, with exact zeros.
            Level::Scalar(theta) => v.clone() - v.clamp(-theta, *theta),
            Level::PerAtom(theta) => {
                let theta = along_atoms(theta);
                relu(v.clone() - theta.clone()) - relu(-v - theta)
            }
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
        Some(Shrinkage::Soft)
    }
}

/// `λ‖z‖₁`, summed over a batch, `[1]`.
pub(super) fn l1<const D: usize>(code: Tensor<D>, lambda: &Level) -> Tensor<1> {
    match lambda {
        Level::Scalar(lambda) => code.abs().sum() * *lambda,
        Level::PerAtom(lambda) => (code.abs() * along_atoms(lambda)).sum(),
    }
}
