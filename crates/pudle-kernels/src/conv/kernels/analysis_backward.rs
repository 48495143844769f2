//! The backward pass of an analysis.

use pulp::{Simd, WithSimd};

use crate::conv::filters::Filters;
use crate::conv::kernels::patches::{TILE, TileCodes};
use crate::conv::kernels::scratch::BackwardScratch;
use crate::real::Real;
use crate::sparse::Sparse;

/// `D u` of a strip's values `u` on a support, added up in a window, while the filters' gradient gains
/// `c r_k u_j` with the patches `r_k` of a residual.
pub(crate) struct AnalysisBackward<'a, T> {
    pub filters: &'a Filters<T>,
    /// Where the patch of each position starts in the window.
    pub bases: &'a [usize],
    /// The code whose support is that of `u`.
    pub code: &'a Sparse<T>,
    /// `u`, `[positions, padded atoms]`.
    pub u: &'a [T],
    /// Residual `r`, from the strip's first row on.
    pub residual: &'a [T],
    /// Factor `c`.
    pub factor: T,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// Receives `D u`. What it holds is overwritten.
    pub window: &'a mut [T],
    pub scratch: &'a mut BackwardScratch<T>,
}

impl<T: Real> WithSimd for AnalysisBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, bases, code, u, residual, factor, gradient, window, scratch } = self;
        let BackwardScratch { patches, tile, index, .. } = scratch;
        window.fill(T::ZERO);
        for (number, bases) in bases.chunks(TILE).enumerate() {
            let first = number * TILE;
            let u = &u[first * filters.padded_atoms..][..bases.len() * filters.padded_atoms];
            tile.clear();
            tile.values[..u.len()].copy_from_slice(u);
            tile.values[u.len()..].fill(T::ZERO);
            tile.mark(u);
            for i in 0..bases.len() {
                tile.active |= u32::from(code.size(first + i) > 0) << i;
            }
            patches.gather(simd, filters, bases, tile.active, residual, factor);
            tile.add_outer(simd, filters, patches, gradient);
            let codes = TileCodes { codes: u, support: code, number };
            patches.synthesize(simd, filters, codes, index, false);
            patches.scatter(simd, filters, bases, tile.active, window);
        }
    }
}
