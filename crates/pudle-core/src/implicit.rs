//! The response of the layers' fixed point, by the implicit function theorem.
//!
//! At a fixed point `z` with support `S`, `F(z, θ) = D_Sᵀ(x − D z) − ∇h(z)_S` vanishes, `h` being the operator's penalty,
//! and `∂F/∂z_S = −(D_SᵀD_S + ∇²h)`. So `dz_S = (D_SᵀD_S + ∇²h)⁻¹ ∂F/∂θ dθ`, and a loss with gradient `g` in `z` responds by
//! `uᵀ ∂F/∂θ dθ` with `(D_SᵀD_S + ∇²h) u = g_S`. For `λ‖z‖₁` the gradient is `λ sign(z)` and the second derivative is zero.

use burn::module::Module;
use burn::tensor::{DType, Tensor};

use crate::dictionary::Dictionary;
use crate::given::masked;
use crate::gradient::Loss;
use crate::level::Level;
use crate::model::Pudle;
use crate::noise::Noise;

/// The fixed point at which the response is computed.
pub(crate) struct FixedPoint<'a, const D: usize> {
    /// The data, without the offset.
    pub x: Tensor<D>,
    /// The target of the reconstruction, without the offset.
    pub target: Tensor<D>,
    /// 1 where an entry of both is known, and 0 where it is missing; `None` if all are known.
    pub mask: Option<&'a Tensor<D>>,
    /// The code of `x`, a constant.
    pub code: Tensor<D>,
    /// Noise of the data.
    pub noise: &'a Noise,
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// A term of value zero whose gradient is the response of the fixed point.
    pub(crate) fn implicit_response(&self, point: FixedPoint<'_, D>) -> Tensor<1> {
        let FixedPoint { x, target, mask, code, noise } = point;
        let plain = mask.map(|mask| mask.clone().inner());
        let plain = plain.as_ref();
        let prox = self.config().prox;
        let extent = x.dims();
        let constant = self.valid();
        let z = code.inner();
        let lambda = self.threshold().lambda(self.config().layers - 1, noise);
        let weights = lambda.clone().inner();
        let support = z.clone().sign().abs();
        let error = constant.dictionary().synthesize(z.clone(), extent) - target.inner();
        let mut g = constant.dictionary().analyze(masked(error, plain));
        if self.config().gradient.loss == Loss::Lasso {
            g = g + prox.penalty_gradient(z.clone(), &weights);
        }
        let curvature = |v: Tensor<D>| prox.penalty_curvature(z.clone(), &weights, v);
        let u = solve_on_support(constant.dictionary(), g, &support, extent, plain, curvature);
        // ⟨u, F⟩ with u and z constant: its gradient is uᵀ ∂F/∂θ.
        let (u, z) = (u.autodiff(), z.autodiff());
        let synthesize = |code| self.dictionary().synthesize(code, extent);
        let residual = masked(x - synthesize(z.clone()), mask);
        let mut term = (synthesize(u.clone()) * residual).sum();
        if prox.learns_level()
            && let Level::PerAtom(_) = lambda
        {
            term = term - (u * prox.penalty_gradient(z, &lambda)).sum();
        }
        let term = term / extent[0] as f64;
        term.clone() - term.detach()
    }
}

/// Solves `(D_SᵀD_S + C) u = g_S` for each datum of a batch by conjugate gradients; `u` and `g` have code
/// shape, `support` is 1 on `S` and 0 elsewhere, `extent` is the data's shape, `mask` is 0 on entries of the data without a
/// residual, and `curvature` multiplies by `C` (`None` for zero).
///
/// Stops when the residual of every datum is below `1e-13` (f64; `1e-6` in f32) times the norm of its `g`, or after
/// as many iterations as the largest support has entries, at most 500. If `D_S` has
/// dependent columns, this is the solution of least norm.
fn solve_on_support<const D: usize, A: Dictionary<D>>(
    dictionary: &A,
    g: Tensor<D>,
    support: &Tensor<D>,
    extent: [usize; D],
    mask: Option<&Tensor<D>>,
    curvature: impl Fn(Tensor<D>) -> Option<Tensor<D>>,
) -> Tensor<D> {
    let tolerance = match g.dtype() {
        DType::F64 => 1e-13,
        _ => 1e-6,
    };
    let apply = |v: Tensor<D>| {
        let image = masked(dictionary.synthesize(v.clone(), extent), mask);
        let image = dictionary.analyze(image);
        let image = match curvature(v) {
            Some(more) => image + more,
            None => image,
        };
        image * support.clone()
    };
    let mut residual = g * support.clone();
    let mut solution = residual.zeros_like();
    let mut direction = residual.clone();
    let mut energy = per_datum(residual.clone().square());
    let limit = energy.clone() * (tolerance * tolerance);
    let most = per_datum(support.clone()).max().into_scalar::<f64>();
    for _ in 0..(most as usize).min(500) {
        let image = apply(direction.clone());
        let curvature = per_datum(direction.clone() * image.clone());
        // A datum does not change if it has converged or its direction lies in the null space.
        let still = curvature
            .clone()
            .lower_equal(energy.clone() * f64::from(f32::EPSILON).powi(2))
            .bool_or(energy.clone().lower_equal(limit.clone()));
        let length = (energy.clone() / curvature.mask_fill(still.clone(), 1.0))
            .mask_fill(still.clone(), 0.0);
        solution = solution + direction.clone() * length.clone();
        residual = residual - image * length;
        let next = per_datum(residual.clone().square());
        if next
            .clone()
            .lower_equal(limit.clone())
            .bool_or(still.clone())
            .all()
            .into_scalar::<bool>()
        {
            break;
        }
        let ratio = (next.clone() / energy.mask_fill(still.clone(), 1.0)).mask_fill(still, 0.0);
        direction = residual.clone() + direction * ratio;
        energy = next;
    }
    solution
}

/// Sum over all axes but the batch's.
fn per_datum<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    (1..D).fold(tensor, |sum, axis| sum.sum_dim(axis))
}
