//! How far atoms are from smooth.

use burn::tensor::Tensor;

use crate::dictionary::Dictionary;
use crate::model::Pudle;

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The roughness of filters at the size at which they occur: `½ Σ_j a_j² ‖Δ²d_j‖²`, `[1]`, with the second differences `Δ²` of
    /// atom `j`, with zeros before and after it, along each of its axes after the channels, and the mean square `a_j²` of the entries of its code that are not
    /// zero. The code is a constant. Half a squared norm of second differences is the penalty of Whittaker (1923).
    pub fn roughness(&self, code: &Tensor<D>) -> Tensor<1> {
        let atoms = self.dictionary().atoms();
        let mut total: Option<Tensor<D>> = None;
        for axis in 2..D {
            let length = atoms.dims()[axis];
            let zero = atoms.clone().narrow(axis, 0, 1).zeros_like();
            let padded = Tensor::cat(vec![zero.clone(), atoms.clone(), zero], axis);
            let part = |first: usize| padded.clone().narrow(axis, first, length);
            let square = (part(0) + part(2) - part(1) * 2.0).square();
            let sum = (1..D).fold(square, |sum, axis| sum.sum_dim(axis));
            total = Some(match total {
                Some(before) => before + sum,
                None => sum,
            });
        }
        let Some(total) = total else { return atoms.sum() * 0.0 };
        let code = code.clone().inner();
        let over = |values: Tensor<D>| {
            (0..D).filter(|axis| *axis != 1).fold(values, |sum, axis| sum.sum_dim(axis))
        };
        let count = over(code.clone().sign().abs()).clamp_min(1.0);
        let mut by_atom = [1; D];
        by_atom[A::ATOM_AXIS] = self.dictionary().count();
        let size = (over(code.square()) / count).reshape(by_atom);
        let size = if total.is_autodiff() { size.autodiff() } else { size };
        (total * size).sum() * 0.5
    }
}
