//! The Gram matrix and the correlations of a batch.

use crate::aligned::{Aligned, zeros};
use crate::matrix::{Matrix, gram, multiply};
use crate::product::AT_ONCE;
use crate::real::Real;

/// How many data a task takes through the layers together: as many as share a row of the Gram matrix
/// if it is read as a whole.
pub(super) const GROUP: usize = AT_ONCE;

/// The products of a matrix with itself and with the data.
pub(super) struct Gram<T> {
    /// `DᵀD`, `[p, padded p]`.
    pub products: Aligned<T>,
    /// `Dᵀx`, `[b, padded p]`.
    pub correlations: Aligned<T>,
    /// Number of atoms, padded to whole blocks.
    padded: usize,
}

impl<T: Real> Gram<T> {
    /// Multiplies out the products of the matrix `bank`, `[m, p]`, for the data `x`, `[b, m]`.
    pub fn new(dim: usize, x: &[T], bank: &[T]) -> Self {
        let (batch, atoms) = (x.len() / dim, bank.len() / dim);
        let padded = atoms.next_multiple_of(T::BLOCK);
        let d = Matrix::rows(bank, atoms);
        let mut correlations = zeros(batch * padded);
        multiply(&mut correlations, padded, Matrix::rows(x, dim), d, T::ONE, false, true);
        let mut products = zeros(atoms * padded);
        gram(d, &mut products, padded);
        Self { products, correlations, padded }
    }

    /// Row `j` of the Gram matrix, padded.
    #[inline(always)]
    pub fn row(&self, j: usize) -> &[T] {
        &self.products[j * self.padded..][..self.padded]
    }

    /// Correlations of datum `i` with all atoms, padded.
    #[inline(always)]
    pub fn correlations_of(&self, i: usize) -> &[T] {
        &self.correlations[i * self.padded..][..self.padded]
    }
}
