//! The levels of sparsity of a pass.

use crate::real::Real;

/// The levels `θ` of a pass, `[T or 1, batch or 1, p or 1]`. An axis of 1 stands for all.
#[derive(Clone, Debug)]
pub(crate) struct Levels<T> {
    /// `[T or 1, batch or 1, padded p]`.
    values: Vec<T>,
    shape: [usize; 3],
    atoms: usize,
    padded: usize,
}

impl<T: Real> Levels<T> {
    /// Lays out levels of shape `shape` for `atoms` atoms, padded with zeros to `padded`.
    pub fn new(values: &[T], shape: [usize; 3], atoms: usize, padded: usize) -> Self {
        let mut rows = vec![T::ZERO; shape[0] * shape[1] * padded];
        for (row, given) in rows.chunks_exact_mut(padded).zip(values.chunks_exact(shape[2])) {
            match given {
                [one] => row[..atoms].fill(*one),
                each => row[..atoms].copy_from_slice(each),
            }
        }
        Self { values: rows, shape, atoms, padded }
    }

    /// The levels of all atoms, padded, in layer `t` for datum `i`.
    pub fn of(&self, t: usize, i: usize) -> &[T] {
        let row = t.min(self.shape[0] - 1) * self.shape[1] + i.min(self.shape[1] - 1);
        &self.values[row * self.padded..][..self.padded]
    }

    /// Adds the gradient of datum `i`, `[T or 1, padded p]`, to `total`, which has the shape of the
    /// levels.
    pub fn reduce(&self, gradient: &[T], i: usize, total: &mut [T]) {
        for (t, row) in gradient.chunks_exact(self.padded).enumerate() {
            let start = (t * self.shape[1] + i.min(self.shape[1] - 1)) * self.shape[2];
            let total = &mut total[start..][..self.shape[2]];
            match total {
                [one] => *one += row[..self.atoms].iter().copied().sum(),
                each => each.iter_mut().zip(row).for_each(|(total, part)| *total += *part),
            }
        }
    }

    /// Rows of the gradient of a datum: `T` or 1.
    pub fn layers(&self) -> usize {
        self.shape[0]
    }

    /// The row of the gradient of a datum that belongs to layer `t`.
    pub fn row(&self, t: usize) -> usize {
        t.min(self.shape[0] - 1)
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}
