//! A datum of a group in the backward pass.

use crate::dense::adjoint::Adjoint;
use crate::real::Real;
use crate::sparse::Sparse;

/// The state of a datum, and its own sums.
pub(super) struct Datum<T> {
    pub adjoint: Adjoint<T>,
    /// Where its products with the atoms start in the list of a panel.
    pub place: usize,
    /// The gradient of the levels, `[T or 1, padded p]`, or empty.
    pub levels: Vec<T>,
}

impl<T: Real> Datum<T> {
    /// A datum in the decoder, with the last code `code` and `rows` rows of levels.
    pub fn new(code: &Sparse<T>, padded: usize, rows: usize) -> Self {
        let mut adjoint = Adjoint::new(&[], padded);
        adjoint.enter_decoder(code);
        Self { adjoint, place: 0, levels: vec![T::ZERO; rows * padded] }
    }

    /// Adds up the products of the panels, in order.
    pub fn gather<'a>(&mut self, images: impl Iterator<Item = &'a [T]>)
    where
        T: 'a,
    {
        let Adjoint { image, union, .. } = &mut self.adjoint;
        for j in union.get() {
            image[*j as usize] = T::ZERO;
        }
        for part in images {
            for (j, part) in union.get().iter().zip(&part[self.place..]) {
                image[*j as usize] += *part;
            }
        }
    }
}
