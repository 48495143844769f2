//! Codes as lists, and what atoms at the entries of a list add up to.

use pulp::{Simd, WithSimd};

use super::layout::Layout;
use crate::real::Real;

/// The entries of a code that are not zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Support<T> {
    /// Place of each in the code `[p, n']`.
    pub places: Vec<u32>,
    pub values: Vec<T>,
}

impl<T: Real> Support<T> {
    pub fn clear(&mut self) {
        self.places.clear();
        self.values.clear();
    }

    pub fn push(&mut self, place: usize, value: T) {
        self.places.push(place as u32);
        self.values.push(value);
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, T)> {
        self.places.iter().map(|place| *place as usize).zip(self.values.iter().copied())
    }

    /// How many bytes this holds.
    pub fn bytes(&self) -> usize {
        size_of_val(self.places.as_slice()) + size_of_val(self.values.as_slice())
    }
}

/// `to += factor · from`, over the shorter of the two.
#[inline(always)]
pub(super) fn add_scaled<T: Real, S: Simd>(simd: S, factor: T, from: &[T], to: &mut [T]) {
    let length = to.len().min(from.len());
    let whole = length / T::lanes::<S>() * T::lanes::<S>();
    let (to, to_rest) = to[..length].split_at_mut(whole);
    let (from, from_rest) = from[..length].split_at(whole);
    let factors = T::splat(simd, factor);
    for (to, from) in T::vectors_mut::<S>(to).iter_mut().zip(T::vectors::<S>(from)) {
        *to = T::mul_add(simd, *from, factors, *to);
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to += factor * *from;
    }
}

/// `⟨a, b⟩`, over the shorter of the two.
#[inline(always)]
fn inner<T: Real, S: Simd>(simd: S, a: &[T], b: &[T]) -> T {
    let length = a.len().min(b.len());
    let whole = length / T::lanes::<S>() * T::lanes::<S>();
    let mut sum = T::splat(simd, T::ZERO);
    for (a, b) in T::vectors::<S>(&a[..whole]).iter().zip(T::vectors::<S>(&b[..whole])) {
        sum = T::mul_add(simd, *a, *b, sum);
    }
    let rest = a[whole..length].iter().zip(&b[whole..length]);
    T::total(simd, sum) + rest.map(|(a, b)| *a * *b).sum()
}

/// Adds the atoms of a bank, times the code, to a signal `[C, n]`.
pub(super) struct Synthesis<'a, T> {
    pub layout: Layout,
    pub bank: &'a [T],
    pub code: &'a Support<T>,
    pub signal: &'a mut [T],
}

impl<T: Real> WithSimd for Synthesis<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout { channels, samples, taps, positions, .. } = self.layout;
        for (place, value) in self.code.iter() {
            let (atom, start) = (place / positions, place % positions);
            let filter = &self.bank[atom * channels * taps..][..channels * taps];
            let rows = self.signal.chunks_exact_mut(samples);
            for (row, filter) in rows.zip(filter.chunks_exact(taps)) {
                add_scaled(simd, value, filter, &mut row[start..start + taps]);
            }
        }
    }
}

/// Writes the inner products of a signal with the atoms at some places.
pub(super) struct Products<'a, T> {
    pub layout: Layout,
    pub bank: &'a [T],
    pub places: &'a [u32],
    pub signal: &'a [T],
    pub products: &'a mut Vec<T>,
}

impl<T: Real> WithSimd for Products<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout { channels, samples, taps, positions, .. } = self.layout;
        self.products.clear();
        for place in self.places {
            let (atom, start) = (*place as usize / positions, *place as usize % positions);
            let filter = &self.bank[atom * channels * taps..][..channels * taps];
            let rows = self.signal.chunks_exact(samples).zip(filter.chunks_exact(taps));
            let product = rows.map(|(row, filter)| inner(simd, &row[start..start + taps], filter));
            self.products.push(product.sum());
        }
    }
}

/// Adds the outer products of a signal and a code, times `factor`, to the gradient of a bank.
pub(super) struct Outer<'a, T> {
    pub layout: Layout,
    pub factor: T,
    pub code: &'a Support<T>,
    pub signal: &'a [T],
    pub gradient: &'a mut [T],
}

impl<T: Real> WithSimd for Outer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout { channels, samples, taps, positions, .. } = self.layout;
        for (place, value) in self.code.iter() {
            let (atom, start) = (place / positions, place % positions);
            let filter = &mut self.gradient[atom * channels * taps..][..channels * taps];
            let rows = self.signal.chunks_exact(samples).zip(filter.chunks_exact_mut(taps));
            for (row, filter) in rows {
                add_scaled(simd, self.factor * value, &row[start..start + taps], filter);
            }
        }
    }
}
