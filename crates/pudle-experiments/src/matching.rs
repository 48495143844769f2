//! Which learned atom is which true one.

use burn::tensor::Tensor;
use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::problem::values;

/// A learned atom that a true one was matched with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Number of the learned atom.
    pub atom: usize,
    /// Inner product of the two, in [−1, 1] for unit atoms; negative where the sign is turned round.
    pub inner: f64,
}

/// The assignment of learned atoms, `[m, q]`, to true ones, `[m, p]` with `p ≤ q`, that has the largest sum
/// of absolute inner products: a match for every true atom, no learned one used twice. By the Hungarian
/// method.
///
/// # Panics
/// Panics if `p > q`, or if the dimensions differ.
pub fn match_atoms(truth: &Tensor<2>, learned: &Tensor<2>) -> Vec<Match> {
    let ([m, p], [n, q]) = (truth.dims(), learned.dims());
    assert!(m == n && p <= q, "atoms {m}×{p} cannot be matched with {n}×{q}");
    let inner = values(truth.clone().transpose().matmul(learned.clone()));
    // The method wants numbers in order; a billionth is far below what single precision tells apart.
    let weight = |x: &f64| if x.is_finite() { (x.abs() * 1e9).round() as i64 } else { 0 };
    let weights = Matrix::from_vec(p, q, inner.iter().map(weight).collect());
    let (_, matched) = kuhn_munkres(&weights.expect("p × q inner products"));
    let of = |(row, atom): (usize, usize)| Match { atom, inner: inner[row * q + atom] };
    matched.into_iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn permutation_and_signs_are_found() {
        let device = Device::flex();
        let tensor = |rows: [[f64; 3]; 2]| Tensor::<2>::from_data(TensorData::from(rows), &device);
        let truth = tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]]);
        let learned = tensor([[0.0, -0.6, 1.0], [-1.0, -0.8, 0.0]]);
        let matched = match_atoms(&truth, &learned);
        assert_eq!(matched.iter().map(|m| m.atom).collect::<Vec<_>>(), [2, 0, 1]);
        for (found, expected) in matched.iter().zip([1.0, -1.0, -1.0]) {
            assert!((found.inner - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn the_whole_assignment_counts() {
        // Greedily the first true atom would take the learned one that the second needs more.
        let device = Device::flex();
        let tensor = |rows: [[f64; 2]; 2]| Tensor::<2>::from_data(TensorData::from(rows), &device);
        let truth = tensor([[0.9, 1.0], [0.85, 0.0]]);
        let learned = tensor([[1.0, 0.0], [0.0, 1.0]]);
        let atoms: Vec<usize> = match_atoms(&truth, &learned).iter().map(|m| m.atom).collect();
        assert_eq!(atoms, [1, 0]);
    }
}
