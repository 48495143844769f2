//! Operations on whole vectors.

use pulp::{Arch, Simd, WithSimd};

use crate::real::Real;
use crate::settings::Shrinkage;

/// `Φ(v)` at the levels `theta`. Zeros are exact, and NaN stays NaN.
#[inline(always)]
pub(crate) fn shrink<T: Real, S: Simd>(
    simd: S,
    shrinkage: Shrinkage,
    v: T::Lanes<S>,
    theta: T::Lanes<S>,
) -> T::Lanes<S> {
    match shrinkage {
        Shrinkage::Soft => T::minus(simd, v, T::clamp(simd, v, theta)),
        Shrinkage::SignedSoft => {
            let minus = T::minus(simd, T::splat(simd, T::ZERO), v);
            let above = T::zero_where_le(simd, v, theta, T::minus(simd, v, theta));
            let below = T::zero_where_le(simd, minus, theta, T::minus(simd, minus, theta));
            T::minus(simd, above, below)
        }
        Shrinkage::Relu => T::zero_where_le(simd, v, theta, T::minus(simd, v, theta)),
        Shrinkage::Hard => T::zero_where_le(simd, T::magnitude(simd, v), theta, v),
    }
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

/// `to = −from`.
pub(crate) struct Negate<'a, T> {
    pub from: &'a [T],
    pub to: &'a mut [T],
}

impl<T: Real> WithSimd for Negate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = T::splat(simd, T::ZERO);
        let whole = self.to.len().min(self.from.len()) / T::lanes::<S>() * T::lanes::<S>();
        let (to, to_rest) = self.to.split_at_mut(whole);
        let (from, from_rest) = self.from.split_at(whole);
        for (to, from) in T::vectors_mut::<S>(to).iter_mut().zip(T::vectors::<S>(from)) {
            *to = T::minus(simd, zero, *from);
        }
        for (to, from) in to_rest.iter_mut().zip(from_rest) {
            *to = -*from;
        }
    }
}

/// `to += from`.
pub(crate) fn add<T: Real>(arch: Arch, from: &[T], to: &mut [T]) {
    arch.dispatch(AddScaled { factor: T::ONE, from, to });
}

/// `⟨a, b⟩`, summed in double precision, in eight sums side by side.
pub(crate) fn inner<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a.to_f64() * b.to_f64();
        }
    }
    sums.iter().sum()
}
