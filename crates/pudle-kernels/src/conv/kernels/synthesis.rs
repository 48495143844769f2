//! The synthesis of a residual or a reconstruction from codes.

use pulp::{Arch, Simd, WithSimd};

use crate::conv::filters::Filters;
use crate::conv::kernels::patches::{TILE, TileCodes};
use crate::conv::kernels::scratch::Scratch;
use crate::real::Real;
use crate::sparse::Sparse;

/// Atoms that are linear so far, and have no codes: their part of a synthesis is `factor · M r`.
pub(crate) struct LinearAtoms<'a, T> {
    /// `M`, a filter for each tap of a patch.
    pub square: &'a Filters<T>,
    /// `r`, as a window.
    pub total: &'a [T],
    pub factor: T,
}

/// The synthesis `D z` of a strip's code, added up in a window. It also writes the code's support.
pub(crate) struct Synthesis<'a, T> {
    pub arch: Arch,
    pub filters: &'a Filters<T>,
    /// Where the patch of each position starts in the window.
    pub bases: &'a [usize],
    /// `z`, `[positions, padded atoms]`.
    pub code: &'a [T],
    /// Receives the support of the code.
    pub sparse: &'a mut Sparse<T>,
    /// Whether `sparse` receives the values of the code too.
    pub values: bool,
    /// Atoms without codes that are added.
    pub linear: Option<LinearAtoms<'a, T>>,
    /// Receives `D z`. What it holds is overwritten.
    pub window: &'a mut [T],
    pub scratch: &'a mut Scratch<T>,
}

impl<T: Real> WithSimd for Synthesis<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { arch, filters, bases, code, sparse, values, linear, window, scratch } = self;
        let Scratch { patches, index, values: buffer } = scratch;
        window.fill(T::ZERO);
        sparse.clear();
        for (number, bases) in bases.chunks(TILE).enumerate() {
            let codes = &code[number * TILE * filters.padded_atoms..];
            let codes = &codes[..bases.len() * filters.padded_atoms];
            let mut active = 0;
            for (i, row) in codes.chunks_exact(filters.padded_atoms).enumerate() {
                // Behind the atoms, numbers that overflowed times the padding's zeros may have left NaN.
                let count = sparse.push_support(&row[..filters.atoms()]);
                active |= u32::from(count > 0) << i;
                if values {
                    sparse.push_values(arch, number * TILE + i, row, buffer);
                }
            }
            if let Some(LinearAtoms { square, total, factor }) = &linear {
                patches.transform(simd, square, bases, total, *factor);
                active = u32::MAX;
            }
            let tile = TileCodes { codes, support: sparse, number };
            patches.synthesize(simd, filters, tile, index, linear.is_some());
            patches.scatter(simd, filters, bases, active, window);
        }
    }
}
