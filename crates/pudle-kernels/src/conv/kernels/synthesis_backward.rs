//! The backward pass of a synthesis, and of the layer's point that it starts from.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::conv::filters::Filters;
use crate::conv::kernels::patches::TILE;
use crate::conv::kernels::scratch::BackwardScratch;
use crate::real::Real;
use crate::sparse::Sparse;

/// From the gradient in `z_{t+1}` to that in `z_t`, at every position of a strip. With the patches
/// `w_k` of `w = D u` and `y = (1 + m) z_t − m z_{t−1}`, the filters' gradient gains `c w_k y_j`, and
///
/// ```text
/// u_j ← v_j + (1 + m) (u_j − b w_k · D_j) on the support of z_t, 0 elsewhere
/// v_j ← −m (u_j − b w_k · D_j)            on the support of z_{t−1}, 0 elsewhere
/// ```
pub(crate) struct SynthesisBackward<'a, T> {
    pub arch: Arch,
    pub filters: &'a Filters<T>,
    /// Where the patch of each position starts in the window.
    pub bases: &'a [usize],
    /// `w`.
    pub window: &'a [T],
    /// Factor `c`.
    pub factor: T,
    /// Factor `b`.
    pub step: T,
    /// Weight `m` of the extrapolation.
    pub momentum: T,
    /// `z_t`.
    pub code: &'a Sparse<T>,
    /// `z_{t−1}`, if `m` is not 0.
    pub previous: Option<&'a Sparse<T>>,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// `u`, `[positions, padded atoms]`; empty if it is not wanted.
    pub u: &'a mut [T],
    /// `v`, `[positions, padded atoms]`; empty if no layer extrapolates.
    pub v: &'a mut [T],
    /// Loses `Σ u sign(z_t)` with the new `u` of each atom: receives the gradient in the level that made
    /// `z_t`. Empty if it is not wanted.
    pub levels: &'a mut [T],
    pub scratch: &'a mut BackwardScratch<T>,
}

impl<T: Real> WithSimd for SynthesisBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (filters, padded) = (self.filters, self.filters.padded_atoms);
        let wanted = !self.u.is_empty();
        // Where the values of the tile start in the codes.
        let mut starts = [0, 0];
        self.scratch.chosen.choose([Some(self.code), self.previous]);
        for (number, bases) in self.bases.chunks(TILE).enumerate() {
            self.read_codes(simd, number * TILE..number * TILE + bases.len(), &mut starts);
            let BackwardScratch { patches, tile, chosen, products, .. } = &mut *self.scratch;
            let dense = filters.dense(tile.count(), bases.len());
            patches.gather(simd, filters, bases, tile.active, self.window, T::ONE);
            if dense || !wanted {
                tile.add_outer(simd, filters, patches, self.gradient);
            } else {
                let products = Some(&mut *products);
                tile.add_outer_on_support(simd, filters, patches, self.gradient, products);
            }
            if !wanted {
                continue;
            }
            if dense {
                chosen.analyze(simd, self.arch, filters, patches, bases.len(), products);
            }
            let first = number * TILE * padded;
            self.update(simd, first..first + bases.len() * padded);
        }
    }
}

impl<T: Real> SynthesisBackward<'_, T> {
    /// Reads the codes of these positions, a tile, into the scratch memory: `z_t`, `z_{t−1}`, and
    /// `c y` on the union of their supports. `starts` are the places of the tile's first values in the
    /// two codes; afterwards, those of the next tile.
    #[inline(always)]
    fn read_codes<S: Simd>(&mut self, simd: S, positions: Range<usize>, starts: &mut [usize; 2]) {
        let padded = self.filters.padded_atoms;
        let BackwardScratch { tile, codes, previous: previous_codes, .. } = &mut *self.scratch;
        let zero = T::splat(simd, T::ZERO);
        let factor = T::splat(simd, self.factor * (T::ONE + self.momentum));
        let length = positions.len() * padded;
        tile.clear();
        let place = (positions.start, starts[0]);
        (tile.active, starts[0]) =
            unpack(self.arch, self.code, place, &mut codes[..length], padded);
        tile.mark(&codes[..length]);
        let points = T::vectors_mut::<S>(&mut tile.values[..length]);
        for (point, z) in points.iter_mut().zip(T::vectors::<S>(codes)) {
            *point = T::mul_add(simd, *z, factor, zero);
        }
        let Some(previous) = self.previous else { return };
        let (place, rows) = ((positions.start, starts[1]), &mut previous_codes[..length]);
        let (active, end) = unpack(self.arch, previous, place, rows, padded);
        tile.active |= active;
        starts[1] = end;
        tile.mark(rows);
        let points = T::vectors_mut::<S>(&mut tile.values[..length]);
        let factor = T::splat(simd, -(self.factor * self.momentum));
        for (point, z) in points.iter_mut().zip(T::vectors::<S>(previous_codes)) {
            *point = T::mul_add(simd, *z, factor, *point);
        }
    }

    /// The new `u` and `v` of a tile, in the range `entries` of both.
    #[inline(always)]
    fn update<S: Simd>(&mut self, simd: S, entries: Range<usize>) {
        let BackwardScratch { codes, previous, products, .. } = &*self.scratch;
        let u = T::vectors_mut::<S>(&mut self.u[entries.clone()]);
        let (step, one) = (T::splat(simd, -self.step), T::splat(simd, T::ONE + self.momentum));
        let zero = T::splat(simd, T::ZERO);
        let products = T::vectors::<S>(products).iter();
        let codes = T::vectors::<S>(codes).iter();
        if self.v.is_empty() {
            for ((u, product), z) in u.iter_mut().zip(products).zip(codes) {
                *u = T::zero_where_zero(simd, *z, T::mul_add(simd, *product, step, *u));
            }
        } else {
            let v = T::vectors_mut::<S>(&mut self.v[entries.clone()]);
            let momentum = T::splat(simd, -self.momentum);
            let previous = T::vectors::<S>(previous).iter();
            for ((((u, v), product), z), before) in
                u.iter_mut().zip(v).zip(products).zip(codes).zip(previous)
            {
                let base = T::mul_add(simd, *product, step, *u);
                *u = T::zero_where_zero(simd, *z, T::mul_add(simd, base, one, *v));
                *v = T::zero_where_zero(simd, *before, T::mul_add(simd, base, momentum, zero));
            }
        }
        self.add_levels(simd, entries);
    }

    /// Subtracts `Σ u sign(z_t)` over a tile from the gradient of the levels.
    #[inline(always)]
    fn add_levels<S: Simd>(&mut self, simd: S, entries: Range<usize>) {
        let padded = self.filters.padded_atoms;
        let zero = T::splat(simd, T::ZERO);
        let levels = T::vectors_mut::<S>(self.levels);
        let rows =
            self.u[entries].chunks_exact(padded).zip(self.scratch.codes.chunks_exact(padded));
        for (u, z) in rows {
            let entries = T::vectors::<S>(u).iter().zip(T::vectors::<S>(z));
            for (level, (u, z)) in levels.iter_mut().zip(entries) {
                let above = T::zero_where_le(simd, *z, zero, *u);
                let below = T::zero_where_le(simd, T::minus(simd, zero, *z), zero, *u);
                *level = T::minus(simd, T::plus(simd, *level, below), above);
            }
        }
    }
}

/// Writes some rows of a code, from row and value `place` on, to rows of `padded` numbers. Returns a bit per row
/// that is not empty, and the place of the first value behind these rows.
#[inline(always)]
fn unpack<T: Real>(
    arch: Arch,
    code: &Sparse<T>,
    (first, mut start): (usize, usize),
    rows: &mut [T],
    padded: usize,
) -> (u32, usize) {
    let mut active = 0;
    for (i, row) in rows.chunks_exact_mut(padded).enumerate() {
        let count = code.unpack_row(arch, first + i, start, row);
        active |= u32::from(count > 0) << i;
        start += count;
    }
    (active, start)
}
