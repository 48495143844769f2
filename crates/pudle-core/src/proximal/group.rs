use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use pudle_kernels::Shrinkage;

use super::operator::Operator;
use crate::error::RangeError;
use crate::level::Level;
use crate::step::StepSize;

/// The smallest squared norm of a group. Zero would have no gradient.
const TINY: f64 = 1e-30;

/// Soft threshold of the ℓ₂ norms of groups of `size` neighbouring atoms, `z_g = max(1 − θ/‖v_g‖₂, 0) v_g` with `θ = αλ`,
/// for each datum, or each position of a filter bank: the proximal operator of `αλ Σ_g ‖z_g‖₂` (Yuan & Lin, 2006). Atoms of a
/// group are used together or not at all. If `λ` differs between atoms, a group has the mean of its atoms' `λ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Atoms of a group, ≥ 1; it divides the number of atoms.
    pub size: usize,
}

impl Group {
    /// `[b, p, …]` as `[b, groups, size, positions]`.
    fn split<const D: usize>(self, code: Tensor<D>) -> Tensor<4> {
        let dims = code.dims();
        let positions = dims[2..].iter().product();
        code.reshape([dims[0], dims[1] / self.size, self.size, positions])
    }

    /// `‖v_g‖₂`, `[b, groups, 1, positions]`, at least a tiny number.
    fn norms(groups: Tensor<4>) -> Tensor<4> {
        groups.square().sum_dim(2).clamp_min(TINY).sqrt()
    }

    /// A number per group, for each datum or for all, times `numbers`, `[b, groups, 1, positions]`.
    fn times(self, level: &Level, numbers: Tensor<4>) -> Tensor<4> {
        match level {
            Level::Scalar(level) => numbers * *level,
            Level::PerAtom(levels) => {
                let [batch, atoms] = levels.dims();
                let levels = match atoms {
                    // One number for all atoms.
                    1 => levels.clone().reshape([batch, 1, 1, 1]),
                    _ => {
                        let groups = [batch, atoms / self.size, self.size, 1];
                        levels.clone().reshape(groups).mean_dim(2)
                    }
                };
                numbers * levels
            }
        }
    }
}

impl Operator for Group {
    fn name(&self) -> String {
        format!("group:{}", self.size)
    }

    fn parse(name: &str) -> Option<Self> {
        let size = name.strip_prefix("group:")?.parse().ok()?;
        (size > 0).then_some(Self { size })
    }

    fn apply<const D: usize>(&self, v: Tensor<D>, level: &Level) -> Tensor<D> {
        let shape = v.dims();
        let groups = self.split(v);
        let inverse = Self::norms(groups.clone()).recip();
        let scale = relu(-self.times(level, inverse) + 1.0);
        (groups * scale).reshape(shape)
    }

    fn penalty<const D: usize>(&self, code: Tensor<D>, lambda: &Level, _: &StepSize) -> Tensor<1> {
        self.times(lambda, Self::norms(self.split(code))).sum()
    }

    fn penalty_gradient<const D: usize>(&self, code: Tensor<D>, lambda: &Level) -> Tensor<D> {
        let shape = code.dims();
        let groups = self.split(code);
        let inverse = Self::norms(groups.clone()).recip();
        (groups * self.times(lambda, inverse)).reshape(shape)
    }

    fn penalty_curvature<const D: usize>(
        &self,
        code: Tensor<D>,
        lambda: &Level,
        v: Tensor<D>,
    ) -> Option<Tensor<D>> {
        // λ (v_g − u ⟨u, v_g⟩)/‖z_g‖ with u = z_g/‖z_g‖.
        let shape = code.dims();
        let (groups, v) = (self.split(code), self.split(v));
        let inverse = Self::norms(groups.clone()).recip();
        let unit = groups * inverse.clone();
        let along = (unit.clone() * v.clone()).sum_dim(2);
        Some(((v - unit * along) * self.times(lambda, inverse)).reshape(shape))
    }

    fn learns_level(&self) -> bool {
        true
    }

    fn kernel(&self) -> Option<Shrinkage> {
        None
    }

    fn validate(&self, atoms: usize) -> Result<(), RangeError> {
        match atoms.is_multiple_of(self.size) {
            true => Ok(()),
            false => {
                let range = format!("group with a size that divides {atoms}, the number of atoms");
                Err(RangeError::new("model.prox", self.name(), range))
            }
        }
    }
}
