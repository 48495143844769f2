//! The analysis of a residual, and the proximal gradient step.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::conv::filters::Filters;
use crate::product::{AT_ONCE, panel, sums};
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::vector::shrink;

/// The analysis of a residual and the step `z ← Φ(y − α Dᵀ r)` with `y = z + m (z − z₋)`, at every
/// position of a strip.
pub(crate) struct ProximalStep<'a, T> {
    pub filters: &'a Filters<T>,
    /// The atoms that take the step: whole blocks. The others keep their codes.
    pub atoms: Range<usize>,
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
    /// The code `z₋` before `z`, `[positions, padded atoms]`; empty if no layer extrapolates.
    pub previous: &'a mut [T],
    /// The code `z`, `[positions, padded atoms]`.
    pub code: &'a mut [T],
}

/// The vectors of a panel that are worked on.
#[derive(Clone, Copy)]
struct Taps<'a, V> {
    /// The panel, `width` vectors for each tap.
    vectors: &'a [V],
    width: usize,
    /// The first vector.
    start: usize,
}

impl<T: Real> WithSimd for ProximalStep<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = T::lanes::<S>();
        let (mut start, end) = (self.atoms.start / lanes, self.atoms.end / lanes);
        while start < end {
            // No more than to the end of the panel.
            let rest = panel::<S>() - start % panel::<S>();
            start += match (end - start).min(rest) {
                4 => self.panel::<S, 4>(simd, start),
                3 => self.panel::<S, 3>(simd, start),
                2 => self.panel::<S, 2>(simd, start),
                _ => self.panel::<S, 1>(simd, start),
            };
        }
    }
}

impl<T: Real> ProximalStep<'_, T> {
    /// `V` vectors of atoms of a panel, from vector `start` on, at all positions. Returns `V`.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, start: usize) -> usize {
        let (lanes, Filters { taps, padded_atoms, panels, .. }) = (T::lanes::<S>(), self.filters);
        let first = start / panel::<S>() * panel::<S>();
        let width = panel::<S>().min(padded_atoms / lanes - first);
        let panel = T::vectors::<S>(&panels[first * lanes * taps..][..width * lanes * taps]);
        let taps = Taps { vectors: panel, width, start: start - first };
        let first = start * lanes;
        let (tiles, rest) = self.bases.as_chunks::<AT_ONCE>();
        for (k, bases) in tiles.iter().enumerate() {
            self.block::<S, V, AT_ONCE>(simd, first, k * AT_ONCE, bases, taps);
        }
        let done = tiles.len() * AT_ONCE;
        let (threes, ones) = rest.as_chunks::<3>();
        for bases in threes {
            self.block::<S, V, 3>(simd, first, done, bases, taps);
        }
        for (k, base) in ones.iter().enumerate() {
            self.block::<S, V, 1>(simd, first, done + threes.len() * 3 + k, &[*base], taps);
        }
        V
    }

    /// `V` vectors of atoms from atom `first` on, at `N` positions from `position` on.
    #[inline(always)]
    fn block<S: Simd, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        first: usize,
        position: usize,
        bases: &[usize; N],
        taps: Taps<'_, T::Lanes<S>>,
    ) {
        let Filters { offsets, reach, .. } = self.filters;
        let rows = taps.vectors.chunks_exact(taps.width).map(|row| &row[taps.start..]);
        let terms = offsets.iter().copied().zip(rows);
        let mut patches = [self.window; N];
        for (patch, base) in patches.iter_mut().zip(bases) {
            *patch = &self.window[*base..];
        }
        let width = V * T::lanes::<S>();
        let sums = sums::<T, S, V, N>(simd, patches, terms, *reach);
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
