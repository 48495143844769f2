//! The codes of a group of data between two layers.

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::product::{Factors, Places, product};
use crate::real::Real;
use crate::sparse::Sparse;

/// The share of codes that are not zero from which on a group multiplies by a whole matrix: about where
/// the two ways took the same time, at p = 1500 in single precision on a Zen 4 core.
const DENSE: f64 = 0.3;

/// A group's codes between two layers, `[group, padded p]` each.
pub(super) struct State<T> {
    /// How many data the group has.
    pub count: usize,
    /// `z_t`.
    pub code: Aligned<T>,
    /// `z_{t−1}`.
    pub previous: Aligned<T>,
    /// `y_t`.
    pub point: Aligned<T>,
    /// What `y_t` is changed by: products with the dictionary, in the layout of the form.
    pub gradient: Aligned<T>,
    /// Support of each point.
    pub support: Sparse<T>,
    /// Memory for the support of a point.
    pub index: Vec<u32>,
    /// `x − D y_t`, in the layout of the form, or empty.
    pub residual: Aligned<T>,
}

impl<T: Real> State<T> {
    /// The state of `count` data before layer 0, `z_0 = 0`. A residual has `residual` numbers.
    pub fn new(count: usize, padded: usize, residual: usize) -> Self {
        let codes = || zeros(count * padded);
        let support = Sparse::new(padded);
        Self {
            count,
            code: codes(),
            previous: codes(),
            point: codes(),
            gradient: codes(),
            index: support.index_buffer(),
            support,
            residual: zeros(count * residual),
        }
    }
}

/// `y_t = z_t + m_t (z_t − z_{t−1})` of some rows. `z_t` takes the place of `z_{t−1}`.
#[inline(always)]
pub(super) fn extrapolate<T: Real, S: Simd>(
    simd: S,
    weight: f64,
    code: &[T],
    previous: &mut [T],
    point: &mut [T],
) {
    let weight = T::splat(simd, T::from_f64(weight));
    for ((point, code), previous) in T::vectors_mut::<S>(point)
        .iter_mut()
        .zip(T::vectors::<S>(code))
        .zip(T::vectors_mut::<S>(previous))
    {
        *point = T::mul_add(simd, T::minus(simd, *code, *previous), weight, *code);
        *previous = *code;
    }
}

/// Rows of codes with their supports.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub codes: &'a [T],
    /// Numbers from one row to the next.
    pub stride: usize,
    /// How many rows.
    pub count: usize,
    /// How many of the numbers of a row count.
    pub atoms: usize,
    pub support: &'a Sparse<T>,
    /// Whether so many codes are not zero that they are multiplied as if all were.
    pub dense: bool,
}

impl<'a, T: Real> Rows<'a, T> {
    /// Rows of `stride` numbers, the first `atoms` of which count. Their supports take the place of those
    /// in `support`.
    pub fn new(codes: &'a [T], stride: usize, atoms: usize, support: &'a mut Sparse<T>) -> Self {
        support.clear();
        // Behind the atoms, numbers that overflowed times the padding's zeros may have left NaN.
        let rows = codes.chunks_exact(stride);
        let (count, total) = (rows.len(), rows.map(|row| support.push_support(&row[..atoms])));
        let dense = total.sum::<usize>() as f64 > DENSE * (count * atoms) as f64;
        Self { codes, stride, count, atoms, support, dense }
    }

    /// Writes the sums of the rows of a matrix `[p, width]`, weighted by each code, to `out`,
    /// `[count, width]`. `index` is memory for a support. `width` is a whole number of vectors.
    #[inline(always)]
    pub fn weigh<S: Simd>(
        &self,
        simd: S,
        matrix: &[T],
        width: usize,
        out: &mut [T],
        index: &mut [u32],
    ) {
        if self.dense {
            let factors = Factors {
                a: self.codes,
                a_strides: [self.stride, 1],
                rows: Places::First(self.count),
                terms: Places::First(self.atoms),
                b: matrix,
                b_stride: width,
                width,
            };
            return product(simd, factors, out, width, false);
        }
        let rows = self.codes.chunks_exact(self.stride).zip(out.chunks_exact_mut(width));
        for (i, (code, out)) in rows.enumerate() {
            let size = self.support.row(i, index);
            combine(simd, matrix, &index[..size], code, out);
        }
    }
}
