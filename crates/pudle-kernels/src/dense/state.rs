//! The codes of a group of data between two layers.

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::real::Real;
use crate::sparse::Sparse;

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
