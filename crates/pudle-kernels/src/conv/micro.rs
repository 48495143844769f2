//! The inner loops, a strip at a time.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use crate::conv::filters::{AT_ONCE, Aligned, Filters, panel, zeros};
use crate::conv::geometry::Run;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::support::Sparse;

/// Positions whose patches are gathered, or put back, in one go.
pub(crate) const TILE: usize = 8;

/// The analysis of a residual and the step that follows it,
/// `z ← Φ(y − α Dᵀ r)` with `y = z + m (z − z₋)`, at every position of a strip.
pub(crate) struct Descend<'a, T> {
    pub filters: &'a Filters<T>,
    pub runs: &'a [Run],
    /// Where the patch of each position starts in the window.
    pub bases: &'a [usize],
    /// Residual `r`.
    pub window: &'a [T],
    /// Step size `α`.
    pub step: T,
    /// Level of each atom, padded.
    pub levels: &'a [T],
    pub shrinkage: Shrinkage,
    /// Weight `m` of the extrapolation.
    pub momentum: T,
    /// The code before, `[positions, padded atoms]`; nothing where no layer extrapolates.
    pub previous: &'a mut [T],
    /// The code, `[positions, padded atoms]`.
    pub code: &'a mut [T],
}

impl<T: Real> WithSimd for Descend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = T::lanes::<S>();
        let all = self.filters.padded_atoms / lanes;
        let mut start = 0;
        while start < all {
            match (all - start).min(panel::<S>()) {
                4 => self.panel::<S, 4>(simd, start * lanes),
                3 => self.panel::<S, 3>(simd, start * lanes),
                2 => self.panel::<S, 2>(simd, start * lanes),
                _ => self.panel::<S, 1>(simd, start * lanes),
            }
            start += panel::<S>();
        }
    }
}

impl<T: Real> Descend<'_, T> {
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let width = V * T::lanes::<S>();
        let taps = &self.filters.panels[first * self.filters.taps..][..width * self.filters.taps];
        let taps = T::vectors::<S>(taps).as_chunks::<V>().0;
        let (tiles, rest) = self.bases.as_chunks::<AT_ONCE>();
        for (k, bases) in tiles.iter().enumerate() {
            self.tile(simd, first, k * AT_ONCE, bases, taps);
        }
        let done = tiles.len() * AT_ONCE;
        let (threes, ones) = rest.as_chunks::<3>();
        for bases in threes {
            self.tile(simd, first, done, bases, taps);
        }
        for (k, base) in ones.iter().enumerate() {
            self.tile(simd, first, done + threes.len() * 3 + k, &[*base], taps);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        first: usize,
        position: usize,
        bases: &[usize; N],
        taps: &[[T::Lanes<S>; V]],
    ) {
        let mut sums = [[T::splat(simd, T::ZERO); V]; N];
        for run in self.runs {
            let rows: [&[T]; N] = from_fn(|i| &self.window[bases[i] + run.offset..][..run.length]);
            for (k, tap) in taps[run.tap..][..run.length].iter().enumerate() {
                for i in 0..N {
                    let pixel = T::splat(simd, rows[i][k]);
                    for v in 0..V {
                        sums[i][v] = T::mul_add(simd, tap[v], pixel, sums[i][v]);
                    }
                }
            }
        }
        let width = V * T::lanes::<S>();
        let descent = T::splat(simd, -self.step);
        let momentum = T::splat(simd, self.momentum);
        let levels = T::vectors::<S>(&self.levels[first..][..width]);
        for (i, sums) in sums.iter().enumerate() {
            let start = (position + i) * self.filters.padded_atoms + first;
            let code = T::vectors_mut::<S>(&mut self.code[start..][..width]);
            let mut ascents = [T::splat(simd, T::ZERO); V];
            if self.previous.is_empty() {
                for v in 0..V {
                    ascents[v] = T::mul_add(simd, sums[v], descent, code[v]);
                }
            } else {
                let previous = T::vectors_mut::<S>(&mut self.previous[start..][..width]);
                for v in 0..V {
                    let change = T::minus(simd, code[v], previous[v]);
                    let point = T::mul_add(simd, change, momentum, code[v]);
                    ascents[v] = T::mul_add(simd, sums[v], descent, point);
                    previous[v] = code[v];
                }
            }
            for v in 0..V {
                code[v] = shrink::<T, S>(simd, self.shrinkage, ascents[v], levels[v]);
            }
        }
    }
}

/// `Φ(v)` at the levels `theta`; exact zeros, and NaN where `v` is.
#[inline(always)]
pub(crate) fn shrink<T: Real, S: Simd>(
    simd: S,
    shrinkage: Shrinkage,
    v: T::Lanes<S>,
    theta: T::Lanes<S>,
) -> T::Lanes<S> {
    match shrinkage {
        Shrinkage::Soft => T::minus(simd, v, T::clamp(simd, v, theta)),
        Shrinkage::Relu => T::zero_where_le(simd, v, theta, T::minus(simd, v, theta)),
        Shrinkage::Hard => T::zero_where_le(simd, T::magnitude(simd, v), theta, v),
    }
}

/// The synthesis `D z` of a strip's code, added up in a window; writes the code's support and values
/// on the way.
pub(crate) struct Synthesize<'a, T> {
    pub filters: &'a Filters<T>,
    pub runs: &'a [Run],
    pub bases: &'a [usize],
    /// `[positions, padded atoms]`.
    pub code: &'a [T],
    /// Receives the code's rows.
    pub sparse: &'a mut Sparse<T>,
    /// Receives the sum; zeroed first.
    pub window: &'a mut [T],
}

impl<T: Real> WithSimd for Synthesize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, runs, bases, code, sparse, window } = self;
        window.fill(T::ZERO);
        sparse.clear();
        let padded = filters.padded_taps;
        let mut patches = Patches::new(filters);
        let mut index = Vec::with_capacity(filters.padded_atoms);
        for (tile, bases) in bases.chunks(TILE).enumerate() {
            let mut active = [false; TILE];
            for i in 0..bases.len() {
                let row = &code[(tile * TILE + i) * filters.padded_atoms..][..filters.padded_atoms];
                let first = sparse.values.len();
                sparse.push_row(row, &mut index);
                active[i] = !index.is_empty();
                if active[i] {
                    let patch = &mut patches.numbers[i * padded..][..padded];
                    combine(simd, filters, &index, &sparse.values[first..], patch);
                }
            }
            patches.scatter(simd, runs, bases, &active, window);
        }
    }
}

/// The response of one layer, or of the decoder, in the backward pass at every position of a strip.
/// With the patches `w` of a window and the support of a code `z`:
/// the filters' gradient gains `c w_k z_j`, and `w_k · D_j` is written for each entry of the support.
pub(crate) struct Respond<'a, T> {
    pub filters: &'a Filters<T>,
    pub runs: &'a [Run],
    pub bases: &'a [usize],
    pub window: &'a [T],
    /// Factor `c`.
    pub factor: T,
    pub code: &'a Sparse<T>,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// Receives the products, in the order of the code's values; nothing where none are asked for.
    pub products: &'a mut [T],
}

impl<T: Real> WithSimd for Respond<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, runs, bases, window, factor, code, gradient, products } = self;
        let padded = filters.padded_taps;
        let mut patches = Patches::new(filters);
        let mut indices: [Vec<u32>; TILE] = from_fn(|_| Vec::with_capacity(filters.padded_atoms));
        let mut cursor = 0;
        for (tile, bases) in bases.chunks(TILE).enumerate() {
            for i in 0..bases.len() {
                code.row(tile * TILE + i, &mut indices[i]);
            }
            let active = from_fn(|i| i < bases.len() && !indices[i].is_empty());
            patches.gather(simd, runs, bases, &active, window);
            for i in 0..bases.len() {
                let patch = T::vectors::<S>(&patches.numbers[i * padded..][..padded]);
                for j in &indices[i] {
                    let start = *j as usize * padded;
                    let value = T::splat(simd, factor * code.values[cursor]);
                    let gradient = T::vectors_mut::<S>(&mut gradient[start..][..padded]);
                    if products.is_empty() {
                        for (gradient, w) in gradient.iter_mut().zip(patch) {
                            *gradient = T::mul_add(simd, *w, value, *gradient);
                        }
                    } else {
                        let atom = T::vectors::<S>(&filters.rows[start..][..padded]);
                        let mut sum = T::splat(simd, T::ZERO);
                        for ((gradient, w), d) in gradient.iter_mut().zip(patch).zip(atom) {
                            *gradient = T::mul_add(simd, *w, value, *gradient);
                            sum = T::mul_add(simd, *w, *d, sum);
                        }
                        products[cursor] = T::total(simd, sum);
                    }
                    cursor += 1;
                }
            }
        }
    }
}

/// `D u` of values on a support, added up in a window, while the filters' gradient gains
/// `c r_k u_j` with the patches `r` of a residual.
pub(crate) struct Carry<'a, T> {
    pub filters: &'a Filters<T>,
    pub runs: &'a [Run],
    pub bases: &'a [usize],
    /// Support of the code.
    pub support: &'a Sparse<T>,
    /// Values `u` on it.
    pub values: &'a [T],
    /// Residual `r`, from the strip's first row on.
    pub residual: &'a [T],
    /// Factor `c`.
    pub factor: T,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// Receives the sum `D u`; zeroed first.
    pub window: &'a mut [T],
}

impl<T: Real> WithSimd for Carry<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, runs, bases, support, values, residual, factor, gradient, window } = self;
        window.fill(T::ZERO);
        let padded = filters.padded_taps;
        let (mut sums, mut patches) = (Patches::new(filters), Patches::new(filters));
        let mut indices: [Vec<u32>; TILE] = from_fn(|_| Vec::with_capacity(filters.padded_atoms));
        let mut cursor = 0;
        for (tile, bases) in bases.chunks(TILE).enumerate() {
            for i in 0..bases.len() {
                support.row(tile * TILE + i, &mut indices[i]);
            }
            let active = from_fn(|i| i < bases.len() && !indices[i].is_empty());
            patches.gather(simd, runs, bases, &active, residual);
            for i in (0..bases.len()).filter(|i| active[*i]) {
                let index = &indices[i];
                let values = &values[cursor..][..index.len()];
                cursor += index.len();
                let patch = T::vectors::<S>(&patches.numbers[i * padded..][..padded]);
                for (j, u) in index.iter().zip(values) {
                    let value = T::splat(simd, factor * *u);
                    let start = *j as usize * padded;
                    let gradient = T::vectors_mut::<S>(&mut gradient[start..][..padded]);
                    for (gradient, r) in gradient.iter_mut().zip(patch) {
                        *gradient = T::mul_add(simd, *r, value, *gradient);
                    }
                }
                combine(simd, filters, index, values, &mut sums.numbers[i * padded..][..padded]);
            }
            sums.scatter(simd, runs, bases, &active, window);
        }
    }
}

/// Patches of a tile of positions, `[TILE, padded taps]`.
struct Patches<T> {
    numbers: Aligned<T>,
    padded: usize,
}

impl<T: Real> Patches<T> {
    fn new(filters: &Filters<T>) -> Self {
        let padded = filters.padded_taps;
        Self { numbers: zeros(TILE * padded), padded }
    }

    /// Reads the patches at the active positions from a window.
    #[inline(always)]
    fn gather<S: Simd>(
        &mut self,
        simd: S,
        runs: &[Run],
        bases: &[usize],
        active: &[bool; TILE],
        window: &[T],
    ) {
        let lanes = T::lanes::<S>();
        for ((patch, base), _) in
            self.numbers.chunks_exact_mut(self.padded).zip(bases).zip(active).filter(|(_, on)| **on)
        {
            for run in runs {
                let from = window[base + run.offset..][..run.length].chunks(lanes);
                for (to, from) in patch[run.tap..][..run.length].chunks_mut(lanes).zip(from) {
                    T::store(simd, to, T::load(simd, from));
                }
            }
        }
    }

    /// Adds the patches at the active positions to a window.
    #[inline(always)]
    fn scatter<S: Simd>(
        &self,
        simd: S,
        runs: &[Run],
        bases: &[usize],
        active: &[bool; TILE],
        window: &mut [T],
    ) {
        let lanes = T::lanes::<S>();
        for ((patch, base), _) in
            self.numbers.chunks_exact(self.padded).zip(bases).zip(active).filter(|(_, on)| **on)
        {
            for run in runs {
                let to = window[base + run.offset..][..run.length].chunks_mut(lanes);
                for (to, from) in to.zip(patch[run.tap..][..run.length].chunks(lanes)) {
                    let sum = T::plus(simd, T::load(simd, to), T::load(simd, from));
                    T::store(simd, to, sum);
                }
            }
        }
    }
}

/// The combination of filters with these values, `Σ value_k D_{index_k}`.
#[inline(always)]
fn combine<T: Real, S: Simd>(
    simd: S,
    filters: &Filters<T>,
    index: &[u32],
    values: &[T],
    patch: &mut [T],
) {
    let patch = T::vectors_mut::<S>(patch);
    let mut start = 0;
    while start < patch.len() {
        start += match patch.len() - start {
            1 => combine_part::<T, S, 1>(simd, filters, index, values, start, patch),
            2 => combine_part::<T, S, 2>(simd, filters, index, values, start, patch),
            3 => combine_part::<T, S, 3>(simd, filters, index, values, start, patch),
            4 => combine_part::<T, S, 4>(simd, filters, index, values, start, patch),
            5 => combine_part::<T, S, 5>(simd, filters, index, values, start, patch),
            6 => combine_part::<T, S, 6>(simd, filters, index, values, start, patch),
            7 => combine_part::<T, S, 7>(simd, filters, index, values, start, patch),
            _ => combine_part::<T, S, 8>(simd, filters, index, values, start, patch),
        }
    }
}

#[inline(always)]
fn combine_part<T: Real, S: Simd, const V: usize>(
    simd: S,
    filters: &Filters<T>,
    index: &[u32],
    values: &[T],
    start: usize,
    patch: &mut [T::Lanes<S>],
) -> usize {
    let lanes = T::lanes::<S>();
    let mut sums = [T::splat(simd, T::ZERO); V];
    for (j, value) in index.iter().zip(values) {
        let row = &filters.rows[*j as usize * filters.padded_taps + start * lanes..][..V * lanes];
        let value = T::splat(simd, *value);
        for (sum, tap) in sums.iter_mut().zip(T::vectors::<S>(row)) {
            *sum = T::mul_add(simd, *tap, value, *sum);
        }
    }
    patch[start..][..V].copy_from_slice(&sums);
    V
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
        let lanes = T::lanes::<S>();
        for (to, from) in self.to.chunks_mut(lanes).zip(self.from.chunks(lanes)) {
            let sum = T::mul_add(simd, T::load(simd, from), factor, T::load(simd, to));
            T::store(simd, to, sum);
        }
    }
}

/// `⟨a, b⟩`, summed in double precision lane by lane.
pub(crate) fn inner<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a.to_f64() * b.to_f64();
        }
    }
    sums.iter().sum()
}
