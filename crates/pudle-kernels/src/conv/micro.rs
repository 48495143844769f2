//! The inner loops, a strip at a time.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use crate::conv::filters::{AT_ONCE, Aligned, Filters, panel, zeros};
use crate::conv::geometry::Run;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::support::Sparse;

/// Positions whose patches are gathered, or put back, in one go.
pub(crate) const TILE: usize = 32;

/// Positions of a tile that are written one after the other lie this far apart, so that none waits
/// for the pixels of the one before.
const APART: usize = 4;

/// The analysis of a residual and the step that follows it,
/// `z ← Φ(y − α Dᵀ r)` with `y = z + m (z − z₋)`, at every position of a strip.
pub(crate) struct Descend<'a, T> {
    pub filters: &'a Filters<T>,
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
    /// Numbers from the first pixel of a patch to its last; found when the kernel starts.
    pub reach: usize,
}

/// The number at `index`, which must be below the slice's length: the check would cost as much as the
/// arithmetic of the innermost loop.
#[inline(always)]
#[expect(unsafe_code, reason = "checked once per patch, see `Descend::tile`")]
fn at<T: Real>(numbers: &[T], index: usize) -> T {
    debug_assert!(index < numbers.len());
    // SAFETY: the only caller cuts each slice to `reach` numbers, more than the largest offset of a
    // tap by construction of `reach`.
    unsafe { *numbers.get_unchecked(index) }
}

impl<T: Real> WithSimd for Descend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.reach = self.filters.offsets.iter().max().map_or(0, |last| last + 1);
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
        let patches: [&[T]; N] = from_fn(|i| &self.window[bases[i]..][..self.reach]);
        for (tap, offset) in taps.iter().zip(&self.filters.offsets) {
            for i in 0..N {
                let pixel = T::splat(simd, at(patches[i], *offset));
                for v in 0..V {
                    sums[i][v] = T::mul_add(simd, tap[v], pixel, sums[i][v]);
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
        let mut index = sparse.room();
        for (tile, bases) in bases.chunks(TILE).enumerate() {
            let mut active = 0;
            for i in 0..bases.len() {
                let row = &code[(tile * TILE + i) * filters.padded_atoms..][..filters.padded_atoms];
                let first = sparse.values.len();
                let count = sparse.push_row(row, &mut index);
                if count > 0 {
                    active |= 1 << i;
                    let patch = &mut patches.numbers[i * padded..][..padded];
                    combine(simd, filters, &index[..count], &sparse.values[first..], patch);
                }
            }
            patches.scatter(simd, runs, bases, active, window);
        }
    }
}

/// The response of one layer, or of the decoder, in the backward pass at every position of a strip.
/// With the patches `w` of a window and the support of a code `z`: the filters' gradient gains
/// `c w_k z_j`, and `a (u_j − b w_k · D_j)` is written for each entry of the support.
pub(crate) struct Respond<'a, T> {
    pub filters: &'a Filters<T>,
    pub runs: &'a [Run],
    pub bases: &'a [usize],
    pub window: &'a [T],
    /// Factor `c`.
    pub factor: T,
    pub code: &'a Sparse<T>,
    /// Support and values of `u`; nothing where it is zero.
    pub u: Option<(&'a Sparse<T>, &'a [T])>,
    /// Factors `a` and `b`.
    pub scales: [T; 2],
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// Receives the products, in the order of the code's values; nothing where none are asked for.
    pub products: &'a mut [T],
}

impl<T: Real> WithSimd for Respond<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, runs, bases, window, factor, code, gradient, products, .. } = self;
        let [scale, step] = self.scales;
        let mut patches = Patches::new(filters);
        let mut tile = Tile::new(filters);
        let mut dense = vec![T::ZERO; filters.padded_atoms * TILE];
        let mut index = code.room();
        let (mut cursor, mut u_cursor) = (0, 0);
        for (number, bases) in bases.chunks(TILE).enumerate() {
            let first = cursor;
            for i in 0..bases.len() {
                let count = code.row(number * TILE + i, &mut index);
                tile.set(i, &index[..count], &code.values[cursor..][..count], factor);
                cursor += count;
            }
            patches.gather::<S>(runs, bases, tile.active, window);
            tile.outer(simd, filters, &patches, gradient, !products.is_empty());
            if products.is_empty() {
                continue;
            }
            let u_first = u_cursor;
            for i in 0..bases.len() {
                let Some((support, values)) = self.u else { break };
                let count = support.row(number * TILE + i, &mut index);
                for (j, u) in index[..count].iter().zip(&values[u_cursor..][..count]) {
                    dense[*j as usize * TILE + i] = *u;
                }
                u_cursor += count;
            }
            let mut out = products[first..cursor].iter_mut();
            for i in 0..bases.len() {
                let count = code.row(number * TILE + i, &mut index);
                for (j, out) in index[..count].iter().zip(&mut out) {
                    let k = *j as usize * TILE + i;
                    *out = scale * (dense[k] - step * tile.values[k]);
                }
            }
            u_cursor = u_first;
            for i in 0..bases.len() {
                let Some((support, _)) = self.u else { break };
                let count = support.row(number * TILE + i, &mut index);
                for j in &index[..count] {
                    dense[*j as usize * TILE + i] = T::ZERO;
                }
                u_cursor += count;
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
        let mut patches = Patches::new(filters);
        let mut tile = Tile::new(filters);
        let mut index = support.room();
        let mut cursor = 0;
        for (number, bases) in bases.chunks(TILE).enumerate() {
            let first = cursor;
            for i in 0..bases.len() {
                let count = support.row(number * TILE + i, &mut index);
                tile.set(i, &index[..count], &values[cursor..][..count], factor);
                cursor += count;
            }
            let active = tile.active;
            patches.gather::<S>(runs, bases, active, residual);
            tile.outer(simd, filters, &patches, gradient, false);
            cursor = first;
            for i in 0..bases.len() {
                let count = support.row(number * TILE + i, &mut index);
                if count > 0 {
                    let patch = &mut patches.numbers[i * padded..][..padded];
                    combine(simd, filters, &index[..count], &values[cursor..][..count], patch);
                    cursor += count;
                }
            }
            patches.scatter(simd, runs, bases, active, window);
        }
    }
}

/// Codes of a tile of positions, sorted by atom.
struct Tile<T> {
    /// `[padded atoms, TILE]`: first the codes, then the products.
    values: Vec<T>,
    /// For each atom, a bit per position where it has a code.
    support: Vec<u32>,
    /// A bit per position with any code.
    active: u32,
}

impl<T: Real> Tile<T> {
    fn new(filters: &Filters<T>) -> Self {
        Self {
            values: vec![T::ZERO; filters.padded_atoms * TILE],
            support: vec![0; filters.padded_atoms],
            active: 0,
        }
    }

    /// Sets the codes of position `i`, times `factor`; the positions are set from 0 on.
    #[inline(always)]
    fn set(&mut self, i: usize, index: &[u32], values: &[T], factor: T) {
        if i == 0 {
            self.active = 0;
        }
        self.active |= u32::from(!index.is_empty()) << i;
        for (j, value) in index.iter().zip(values) {
            let j = *j as usize;
            self.support[j] |= 1 << i;
            self.values[j * TILE + i] = factor * *value;
        }
    }

    /// Adds code times patch to the gradient of every atom, and if asked to, puts the product of atom
    /// and patch in the code's place. Atom by atom, so that sums stay in registers. Leaves no codes.
    #[inline(always)]
    fn outer<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        patches: &Patches<T>,
        gradient: &mut [T],
        products: bool,
    ) {
        let padded = filters.padded_taps;
        let vectors = padded / T::lanes::<S>();
        let rows = filters.rows.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
        for ((support, values), (atom, gradient)) in
            self.support.iter_mut().zip(self.values.chunks_exact_mut(TILE)).zip(rows)
        {
            let bits = std::mem::take(support);
            if bits == 0 {
                continue;
            }
            let values: &mut [T; TILE] = values.try_into().expect("a tile's values");
            let codes = *values;
            if products {
                values.fill(T::ZERO);
            }
            let atom = T::vectors::<S>(atom);
            let gradient = T::vectors_mut::<S>(gradient);
            let mut start = 0;
            while start < vectors {
                let part = Part { simd, bits, codes: &codes, patches, start, products };
                start += match vectors - start {
                    1 => part.add::<1>(atom, gradient, values),
                    2 => part.add::<2>(atom, gradient, values),
                    3 => part.add::<3>(atom, gradient, values),
                    4 => part.add::<4>(atom, gradient, values),
                    5 => part.add::<5>(atom, gradient, values),
                    6 => part.add::<6>(atom, gradient, values),
                    7 => part.add::<7>(atom, gradient, values),
                    _ => part.add::<8>(atom, gradient, values),
                }
            }
        }
    }
}

/// Some of the taps of an atom, at the positions of a tile where it has codes.
struct Part<'a, S, T> {
    simd: S,
    bits: u32,
    codes: &'a [T; TILE],
    patches: &'a Patches<T>,
    start: usize,
    products: bool,
}

impl<S: Simd, T: Real> Part<'_, S, T> {
    #[inline(always)]
    fn add<const V: usize>(
        &self,
        atom: &[T::Lanes<S>],
        gradient: &mut [T::Lanes<S>],
        products: &mut [T; TILE],
    ) -> usize {
        let (simd, padded) = (self.simd, self.patches.padded);
        let part = self.start..self.start + V;
        let atom: &[T::Lanes<S>; V] = atom[part.clone()].try_into().expect("V vectors");
        let gradient: &mut [T::Lanes<S>; V] =
            (&mut gradient[part]).try_into().expect("V vectors");
        let mut sums = *gradient;
        let mut bits = self.bits;
        while bits != 0 {
            let i = bits.trailing_zeros() as usize % TILE;
            bits &= bits - 1;
            let first = i * padded + self.start * T::lanes::<S>();
            let patch = T::vectors::<S>(&self.patches.numbers[first..][..V * T::lanes::<S>()]);
            let code = T::splat(simd, self.codes[i]);
            for (sum, w) in sums.iter_mut().zip(patch) {
                *sum = T::mul_add(simd, *w, code, *sum);
            }
            if self.products {
                let mut product = T::splat(simd, T::ZERO);
                for (d, w) in atom.iter().zip(patch) {
                    product = T::mul_add(simd, *w, *d, product);
                }
                products[i] += T::total(simd, product);
            }
        }
        *gradient = sums;
        V
    }
}

/// Patches of a tile of positions, `[TILE, padded taps]`.
struct Patches<T> {
    numbers: Aligned<T>,
    taps: usize,
    padded: usize,
}

impl<T: Real> Patches<T> {
    fn new(filters: &Filters<T>) -> Self {
        let padded = filters.padded_taps;
        Self { numbers: zeros(TILE * padded), taps: filters.taps, padded }
    }

    /// Reads the patches at the active positions from a window.
    #[inline(always)]
    fn gather<S: Simd>(
        &mut self,
        runs: &[Run],
        bases: &[usize],
        active: u32,
        window: &[T],
    ) {
        let lanes = T::lanes::<S>();
        let patches = self.numbers.chunks_exact_mut(self.padded).zip(bases).enumerate();
        for (_, (patch, base)) in patches.filter(|(i, _)| active & (1 << i) != 0) {
            for run in runs {
                for k in (0..run.length).step_by(lanes) {
                    let (from, to) = (base + run.offset + k, run.tap + k);
                    // A whole vector where there is one: the next run writes over what is too much.
                    match (T::vector_at::<S>(window, from), T::vector_at_mut::<S>(patch, to)) {
                        (Some(from), Some(to)) => *to = *from,
                        _ => {
                            let length = lanes.min(run.length - k);
                            patch[to..][..length].copy_from_slice(&window[from..][..length]);
                        }
                    }
                }
            }
            patch[self.taps..].fill(T::ZERO);
        }
    }

    /// Adds the patches at the active positions to a window.
    #[inline(always)]
    fn scatter<S: Simd>(
        &self,
        simd: S,
        runs: &[Run],
        bases: &[usize],
        active: u32,
        window: &mut [T],
    ) {
        let lanes = T::lanes::<S>();
        let whole = T::splat(simd, T::ONE);
        // All runs of a patch are equally long; the last vector of each belongs to it in part.
        let length = runs[0].length;
        let mut ones = [T::ZERO; 64];
        ones[..(length - 1) % lanes + 1].fill(T::ONE);
        let part = T::vectors::<S>(&ones)[0];
        let order = (0..APART).flat_map(|first| (first..bases.len()).step_by(APART));
        for i in order.filter(|i| active & (1 << i) != 0) {
            let (patch, base) = (&self.numbers[i * self.padded..][..self.padded], bases[i]);
            for run in runs {
                for k in (0..length).step_by(lanes) {
                    let (from, to) = (run.tap + k, base + run.offset + k);
                    let mask = if k + lanes <= length { whole } else { part };
                    match (T::vector_at::<S>(patch, from), T::vector_at_mut::<S>(window, to)) {
                        (Some(from), Some(to)) => *to = T::mul_add(simd, *from, mask, *to),
                        _ => {
                            let length = lanes.min(length - k);
                            let to = &mut window[to..][..length];
                            for (to, from) in to.iter_mut().zip(&patch[from..][..length]) {
                                *to += *from;
                            }
                        }
                    }
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
