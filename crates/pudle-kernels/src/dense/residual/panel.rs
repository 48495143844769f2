//! Products of a panel of dimensions with codes that are in lists.

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::dense::residual::lists::Lists;
use crate::dense::residual::matrix::width;
use crate::real::Real;

/// Vectors of a row that are worked on together. Every row has a whole multiple of them.
const VECTORS: usize = 4;

/// A panel of dimensions of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, T> {
    /// `[p, width]`.
    pub numbers: &'a [T],
    /// The first dimension.
    pub first: usize,
    /// Dimension `m` of the data.
    pub dim: usize,
}

impl<T: Real> Panel<'_, T> {
    /// The panel's part of data `[group, m]`: `[group, width]`, padded with zeros.
    pub fn part(&self, data: &[T]) -> Aligned<T> {
        let width = width::<T>();
        let mut part = zeros(data.len() / self.dim * width);
        for (to, from) in part.chunks_exact_mut(width).zip(data.chunks_exact(self.dim)) {
            to.iter_mut().zip(&from[self.first..]).for_each(|(to, from)| *to = *from);
        }
        part
    }

    /// Writes `⟨d_j, h⟩` for the rows of `h`, `[group, width]`, to `out`, in the order of lists by atom.
    #[inline(always)]
    pub fn write_images<S: Simd>(self, simd: S, codes: &Lists<T>, h: &[T], out: &mut Vec<T>) {
        out.clear();
        out.resize(codes.len(), T::ZERO);
        for start in starts::<T, S>() {
            for list in codes.iter() {
                let atom = read::<T, S>(self.numbers, list.head, start);
                for ((i, _), out) in list.entries.iter().zip(&mut out[list.start..]) {
                    let h = read::<T, S>(h, *i as usize, start);
                    let mut sum = T::splat(simd, T::ZERO);
                    for v in 0..VECTORS {
                        sum = T::mul_add(simd, atom[v], h[v], sum);
                    }
                    *out += T::total(simd, sum);
                }
            }
        }
    }
}

/// Adds `scale Σ z row` over each list to the row of `out` that it belongs to. With lists by datum, and the
/// atoms of a panel as rows, these are syntheses. With lists by atom, and a row for each datum, they are
/// outer products.
#[inline(always)]
pub(super) fn add_lists<T: Real, S: Simd>(
    simd: S,
    lists: &Lists<T>,
    rows: &[T],
    scale: T,
    out: &mut [T],
) {
    for start in starts::<T, S>() {
        for list in lists.iter() {
            let mut sums = read::<T, S>(out, list.head, start);
            for (k, z) in list.entries {
                let factor = T::splat(simd, scale * *z);
                let row = read::<T, S>(rows, *k as usize, start);
                for v in 0..VECTORS {
                    sums[v] = T::mul_add(simd, row[v], factor, sums[v]);
                }
            }
            write::<T, S>(out, list.head, start, sums);
        }
    }
}

/// Where the parts of a row start.
fn starts<T: Real, S: Simd>() -> impl Iterator<Item = usize> {
    (0..width::<T>()).step_by(VECTORS * T::lanes::<S>())
}

/// The part of row `i` that starts at `start`.
#[inline(always)]
fn read<T: Real, S: Simd>(rows: &[T], i: usize, start: usize) -> [T::Lanes<S>; VECTORS] {
    let row = &rows[i * width::<T>() + start..][..VECTORS * T::lanes::<S>()];
    T::vectors::<S>(row).first_chunk().copied().expect("a row has whole parts")
}

/// Writes a part of row `i`.
#[inline(always)]
fn write<T: Real, S: Simd>(rows: &mut [T], i: usize, start: usize, part: [T::Lanes<S>; VECTORS]) {
    let row = &mut rows[i * width::<T>() + start..][..VECTORS * T::lanes::<S>()];
    T::vectors_mut::<S>(row).copy_from_slice(&part);
}
