use burn::tensor::Tensor;
use pudle_kernels::Shrinkage;

use super::operator::Operator;
use crate::level::{Level, along_atoms};
use crate::step::StepSize;

/// Two-sided hard threshold, `v` if `|v| > θ` and 0 otherwise, at the fixed level `θ = λ`: the proximal operator of
/// `θ²/2 ‖z‖₀`. The penalty beside `½‖x − D z‖²` is therefore `λ²/(2α) ‖z‖₀`, which has no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hard;

impl Operator for Hard {
    fn name(&self) -> String {
        "hard".into()
    }

    fn parse(name: &str) -> Option<Self> {
        (name == "hard").then_some(Self)
    }

    fn apply<const D: usize>(&self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        let small = match level {
            Level::Scalar(theta) => v.clone().abs().lower_equal_elem(*theta),
            Level::PerAtom(theta) => {
                v.clone().abs().lower_equal(along_atoms::<D>(theta).expand(v.dims()))
            }
        };
        v.mask_fill(small, 0.0)
    }

    fn penalty<const D: usize>(
        &self,
        code: Tensor<D>,
        lambda: &Level,
        step: &StepSize,
    ) -> Tensor<1> {
        let weight = 0.5 / step.constant().value();
        // 1 on the support, 0 elsewhere; the count is constant almost everywhere.
        let support = code.detach().sign().abs();
        match lambda {
            Level::Scalar(lambda) => support.sum() * (lambda * lambda * weight),
            Level::PerAtom(lambda) => {
                (support * along_atoms(&lambda.clone().square())).sum() * weight
            }
        }
    }

    fn penalty_gradient<const D: usize>(&self, code: Tensor<D>, _: &Level) -> Tensor<D> {
        code.zeros_like()
    }

    fn level_is_lambda(&self) -> bool {
        true
    }

    fn learns_level(&self) -> bool {
        false
    }

    fn kernel(&self) -> Option<Shrinkage> {
        Some(Shrinkage::Hard)
    }
}
