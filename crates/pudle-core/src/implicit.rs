//! The response of the layers' fixed point, by the implicit function theorem.
//!
//! At a fixed point `z` with support `S` and signs `σ`, `F(z, θ) = D_Sᵀ(x − D z) − λσ` vanishes
//! (without the last term for a hard threshold), and `∂F/∂z_S = −D_SᵀD_S`. So
//! `dz_S = (D_SᵀD_S)⁻¹ ∂F/∂θ dθ`, and a loss with gradient `g` in `z` responds by `uᵀ ∂F/∂θ dθ` with
//! `D_SᵀD_S u = g_S`.

use burn::tensor::{DType, Tensor};

use crate::dictionary::Dictionary;

/// Solves `D_SᵀD_S u = g_S` for each datum of a batch by conjugate gradients; `u` and `g` have code
/// shape, `support` is 1 on `S` and 0 elsewhere, `extent` is the data's shape.
///
/// Ends when every datum's residual fell below `1e-13` (f64; `1e-6` in f32) of its `g`, or after as
/// many iterations as the support's entries in the largest system, at most 500. Where `D_S` has
/// dependent columns this is the solution of least norm.
pub(crate) fn solve_on_support<const D: usize, A: Dictionary<D>>(
    dictionary: &A,
    g: Tensor<D>,
    support: &Tensor<D>,
    extent: [usize; D],
) -> Tensor<D> {
    let tolerance = match g.dtype() {
        DType::F64 => 1e-13,
        _ => 1e-6,
    };
    let apply =
        |v: Tensor<D>| dictionary.analyze(dictionary.synthesize(v, extent)) * support.clone();
    let mut residual = g * support.clone();
    let mut solution = residual.zeros_like();
    let mut direction = residual.clone();
    let mut energy = per_datum(residual.clone().square());
    let limit = energy.clone() * (tolerance * tolerance);
    let most = per_datum(support.clone()).max().into_scalar::<f64>();
    for _ in 0..(most as usize).min(500) {
        let image = apply(direction.clone());
        let curvature = per_datum(direction.clone() * image.clone());
        // A datum that has converged, or whose direction lies in the null space, stands still.
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
