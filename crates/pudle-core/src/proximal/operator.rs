//! What an operator must tell of itself.

use burn::tensor::Tensor;
use pudle_kernels::Shrinkage;

use crate::error::RangeError;
use crate::level::Level;
use crate::step::StepSize;

/// A proximal operator: everything that the rest of the crate asks of one.
pub(super) trait Operator: Copy {
    /// Its name in a file, with its settings.
    fn name(&self) -> String;

    /// The operator of this name; `None` if the name is another's, or a setting in it is not a number in its range.
    fn parse(name: &str) -> Option<Self>;

    /// `Φ(v)` at the level `θ`, for `v` of code shape.
    fn apply<const D: usize>(&self, v: Tensor<D>, level: &Level) -> Tensor<D>;

    /// The penalty `h`, summed over a batch of codes, `[1]`.
    fn penalty<const D: usize>(
        &self,
        code: Tensor<D>,
        lambda: &Level,
        step: &StepSize,
    ) -> Tensor<1>;

    /// The gradient of `h` on the support of the code.
    fn penalty_gradient<const D: usize>(&self, code: Tensor<D>, lambda: &Level) -> Tensor<D>;

    /// The second derivative of `h` times `v`; `None` if it is zero on the support.
    fn penalty_curvature<const D: usize>(
        &self,
        code: Tensor<D>,
        lambda: &Level,
        v: Tensor<D>,
    ) -> Option<Tensor<D>> {
        let _ = (code, lambda, v);
        None
    }

    /// The level `θ`. The default is `αλ`.
    fn level(&self, lambda: Level, step: &StepSize) -> Level {
        if self.level_is_lambda() { lambda } else { step.times_level(lambda) }
    }

    /// Whether the level is `λ` itself.
    fn level_is_lambda(&self) -> bool {
        false
    }

    /// What users call the sparsity weight under this operator; `None` if it has none.
    fn level_name(&self) -> Option<&'static str> {
        Some(if self.level_is_lambda() { "level" } else { "lambda" })
    }

    /// Whether `Φ` has a gradient in its level.
    fn learns_level(&self) -> bool;

    /// The operator in the fused pass.
    fn kernel(&self) -> Option<Shrinkage>;

    /// Returns an error if a setting does not fit a dictionary of `atoms` atoms.
    fn validate(&self, atoms: usize) -> Result<(), RangeError> {
        let _ = atoms;
        Ok(())
    }
}
