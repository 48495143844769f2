//! Patches of an image, a tile of positions at a time.

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::conv::filters::{Filters, PatchVector};
use crate::product::{Factors, panel, product};
use crate::real::Real;
use crate::sparse::Sparse;

/// Positions of a tile: those whose patches are gathered, or scattered, together.
pub(crate) const TILE: usize = 32;

/// Distance between positions of a tile that are scattered one after the other. Neighbours share
/// pixels, and each would wait for the pixels of the one before.
const SCATTER_STRIDE: usize = 4;

/// Patches of a tile of positions, `[TILE, padded taps]`.
pub(super) struct Patches<T> {
    pub numbers: Aligned<T>,
    taps: usize,
    padded: usize,
}

/// Codes of a tile of positions that patches are synthesized from.
pub(super) struct TileCodes<'a, T> {
    /// `[positions, padded atoms]`.
    pub codes: &'a [T],
    /// A code with the support of `codes`.
    pub support: &'a Sparse<T>,
    /// Number of the tile: its first position is row `TILE · number` of `support`.
    pub number: usize,
    /// A bit per position with any code.
    pub active: u32,
    /// Whether all atoms are combined, rather than those of the support.
    pub dense: bool,
}

impl<T: Real> Patches<T> {
    /// Memory for patches as large as these filters.
    pub fn new(filters: &Filters<T>) -> Self {
        Self {
            numbers: zeros(TILE * filters.padded_taps),
            taps: filters.taps,
            padded: filters.padded_taps,
        }
    }

    /// Reads the patches at the active positions from a window, times `factor`.
    #[inline(always)]
    pub fn gather<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        bases: &[usize],
        active: u32,
        window: &[T],
        factor: T,
    ) {
        let (zero, factors) = (T::splat(simd, T::ZERO), T::splat(simd, factor));
        for (i, base) in bases.iter().enumerate() {
            if active & (1 << i) == 0 {
                continue;
            }
            let patch = &mut self.numbers[i * self.padded..][..self.padded];
            let window = &window[*base..];
            for PatchVector { offset, tap, length } in &filters.patch {
                // A whole vector if there is one: the next one overwrites what is too much.
                match (T::vector_at::<S>(window, *offset), T::vector_at_mut::<S>(patch, *tap)) {
                    (Some(from), Some(to)) => *to = T::mul_add(simd, *from, factors, zero),
                    _ => {
                        let from = &window[*offset..][..*length];
                        for (to, from) in patch[*tap..][..*length].iter_mut().zip(from) {
                            *to = factor * *from;
                        }
                    }
                }
            }
            patch[self.taps..].fill(T::ZERO);
        }
    }

    /// Adds the patches at the active positions to a window.
    #[inline(always)]
    pub fn scatter<S: Simd>(
        &self,
        simd: S,
        filters: &Filters<T>,
        bases: &[usize],
        active: u32,
        window: &mut [T],
    ) {
        let (lanes, whole) = (T::lanes::<S>(), T::splat(simd, T::ONE));
        // All runs of a patch are equally long. The last vector of each is a partial one.
        let partial = T::vectors::<S>(&filters.partial)[0];
        for first in 0..SCATTER_STRIDE {
            for i in (first..bases.len()).step_by(SCATTER_STRIDE) {
                if active & (1 << i) == 0 {
                    continue;
                }
                let patch = &self.numbers[i * self.padded..][..self.padded];
                let window = &mut window[bases[i]..];
                for PatchVector { offset, tap, length } in &filters.patch {
                    let mask = if *length == lanes { whole } else { partial };
                    match (T::vector_at::<S>(patch, *tap), T::vector_at_mut::<S>(window, *offset)) {
                        (Some(from), Some(to)) => *to = T::mul_add(simd, *from, mask, *to),
                        _ => {
                            let to = &mut window[*offset..][..*length];
                            for (to, from) in to.iter_mut().zip(&patch[*tap..][..*length]) {
                                *to += *from;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Writes the products of the first `positions` patches with all atoms, `[positions, padded atoms]`.
    #[inline(always)]
    pub fn analyze<S: Simd>(
        &self,
        simd: S,
        filters: &Filters<T>,
        positions: usize,
        products: &mut [T],
    ) {
        let width = panel::<S>() * T::lanes::<S>();
        for first in (0..filters.padded_atoms).step_by(width) {
            let width = width.min(filters.padded_atoms - first);
            let factors = Factors {
                a: &self.numbers,
                a_strides: [self.padded, 1],
                rows: positions,
                depth: self.taps,
                b: &filters.panels[first * self.taps..][..width * self.taps],
                b_stride: width,
                width,
            };
            product(simd, factors, &mut products[first..], filters.padded_atoms, false);
        }
    }

    /// Writes the combinations of filters with the codes of the active positions. `index` is memory for
    /// a support.
    #[inline(always)]
    pub fn synthesize<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        tile: TileCodes<'_, T>,
        index: &mut [u32],
    ) {
        let TileCodes { codes, support, number, active, dense } = tile;
        let rows = codes.len() / filters.padded_atoms;
        if dense {
            let factors = Factors {
                a: codes,
                a_strides: [filters.padded_atoms, 1],
                rows,
                depth: filters.atoms(),
                b: &filters.rows,
                b_stride: self.padded,
                width: self.padded,
            };
            return product(simd, factors, &mut self.numbers, self.padded, false);
        }
        for i in (0..rows).filter(|i| active & (1 << i) != 0) {
            let count = support.row(number * TILE + i, index);
            let row = &codes[i * filters.padded_atoms..][..filters.padded_atoms];
            let patch = &mut self.numbers[i * self.padded..][..self.padded];
            combine(simd, &filters.rows, &index[..count], row, patch);
        }
    }
}
