//! A pass in Gram form, without its codes.

use pulp::Arch;

use crate::aligned::{Aligned, zeros};
use crate::encoder::Encoder;
use crate::levels::Levels;
use crate::matrix::{Matrix, gram, multiply};
use crate::product::AT_ONCE;
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::Unrolling;
use crate::sparse::Sparse;

/// How many data a task takes through the layers together: as many as share a row of the Gram matrix
/// if it is read as a whole.
pub(super) const GROUP: usize = AT_ONCE;

/// A matrix in Gram form, for a batch of data, and the settings of the layers.
pub(super) struct Pass<T> {
    /// Dimension `m` of the data.
    pub dim: usize,
    /// Number of atoms `p`.
    pub atoms: usize,
    /// Number of atoms, padded to whole blocks.
    pub padded: usize,
    /// `DᵀD`, `[p, padded p]`.
    pub gram: Aligned<T>,
    /// `Dᵀx`, `[b, padded p]`.
    pub correlations: Aligned<T>,
    /// Step size `α`.
    pub step: T,
    pub levels: Levels<T>,
    pub schedule: Schedule,
    pub arch: Arch,
}

/// What the forward pass of a datum stores for its backward pass.
pub(super) struct DatumTape<T> {
    /// `z_T`.
    pub code: Sparse<T>,
    /// For each segment of layers `a … b`, rows of codes: `z_{a−1}` and `z_a` and, if layers are
    /// stored, all codes after these.
    pub segments: Vec<Sparse<T>>,
}

impl<T: Real> Pass<T> {
    /// Multiplies out the Gram matrix and the correlations for the data `x`, `[b, m]`. `dim` is `m`.
    pub fn new(dim: usize, x: &[T], encoder: Encoder<'_, T>, unrolling: Unrolling) -> Self {
        let bank = encoder.banks.synthesis;
        let (batch, atoms) = (x.len() / dim, bank.len() / dim);
        let padded = atoms.next_multiple_of(T::BLOCK);
        let d = Matrix::rows(bank, atoms);
        let mut correlations = zeros(batch * padded);
        multiply(&mut correlations, padded, Matrix::rows(x, dim), d, T::ONE, false, true);
        let mut products = zeros(atoms * padded);
        gram(d, &mut products, padded);
        Self {
            dim,
            atoms,
            padded,
            gram: products,
            correlations,
            step: encoder.step,
            levels: Levels::new(encoder.levels, encoder.level_shape, atoms, padded),
            schedule: Schedule::new(unrolling),
            arch: Arch::new(),
        }
    }

    /// Row `j` of the Gram matrix, padded.
    #[inline(always)]
    pub fn gram_row(&self, j: usize) -> &[T] {
        &self.gram[j * self.padded..][..self.padded]
    }

    /// Correlations of datum `i` with all atoms, padded.
    #[inline(always)]
    pub fn correlations_of(&self, i: usize) -> &[T] {
        &self.correlations[i * self.padded..][..self.padded]
    }
}
