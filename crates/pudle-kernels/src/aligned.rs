//! Numbers that start on a cache line, and sums of them.

use aligned_vec::{AVec, ConstAlign};
use pulp::{Simd, WithSimd};

use crate::real::Real;

/// Numbers that start on a cache line.
pub(crate) type Aligned<T> = AVec<T, ConstAlign<64>>;

/// `length` zeros.
pub(crate) fn zeros<T: Real>(length: usize) -> Aligned<T> {
    aligned_vec::avec![[64]| T::ZERO; length]
}

/// `to += factor · from`.
pub(crate) struct AddScaled<'a, T> {
    pub factor: T,
    pub from: &'a [T],
    pub to: &'a mut [T],
}

impl<T: Real> WithSimd for AddScaled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factor = T::splat(simd, self.factor);
        let whole = self.to.len().min(self.from.len()) / T::lanes::<S>() * T::lanes::<S>();
        let (to, to_rest) = self.to.split_at_mut(whole);
        let (from, from_rest) = self.from.split_at(whole);
        for (to, from) in T::vectors_mut::<S>(to).iter_mut().zip(T::vectors::<S>(from)) {
            *to = T::mul_add(simd, *from, factor, *to);
        }
        for (to, from) in to_rest.iter_mut().zip(from_rest) {
            *to += self.factor * *from;
        }
    }
}
