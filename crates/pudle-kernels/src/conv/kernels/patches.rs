//! Patches of an image, a tile of positions at a time.

use std::ops::Range;

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::conv::filters::{Filters, PatchVector};
use crate::product::{AT_ONCE, Factors, Places, panel, product, sums};
use crate::real::Real;
use crate::sparse::Sparse;

/// Positions of a tile: those whose patches are gathered, or scattered, together. No more than a word of
/// 32 bits has bits.
pub(crate) const TILE: usize = 5 * AT_ONCE;

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
}

/// What it costs to combine the filters of a support, `size` of them, at several positions together, in
/// cycles per vector of taps: a multiplication and an addition at each position, but no less than the two
/// cycles that a vector takes from the second-level cache.
#[inline(always)]
fn cost(positions: usize, size: usize) -> usize {
    positions.max(2) * size
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

    /// Writes the products of `factor · M` with the patches of a window, where `square` has a row of `M` for each tap.
    #[inline(always)]
    pub fn transform<S: Simd>(
        &mut self,
        simd: S,
        square: &Filters<T>,
        bases: &[usize],
        window: &[T],
        factor: T,
    ) {
        let mut start = 0;
        while start < self.padded / T::lanes::<S>() {
            let part = Transform { simd, square, window, factor, start };
            start += match (self.padded / T::lanes::<S>() - start).min(panel::<S>()) {
                4 => part.panel::<4>(bases, &mut self.numbers, self.padded),
                3 => part.panel::<3>(bases, &mut self.numbers, self.padded),
                2 => part.panel::<2>(bases, &mut self.numbers, self.padded),
                _ => part.panel::<1>(bases, &mut self.numbers, self.padded),
            };
        }
    }

    /// Writes the combinations of filters with the codes of the active positions, or adds them if `add`. `index` is
    /// memory for a support.
    ///
    /// Neighbours have most of their supports in common. So some positions are combined together, over the
    /// union of their supports: each filter is read once for all of them. The sums are the same to the bit,
    /// because what is added to them is zero.
    #[inline(always)]
    pub fn synthesize<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        tile: TileCodes<'_, T>,
        index: &mut [u32],
        add: bool,
    ) {
        let positions = tile.codes.len() / filters.padded_atoms;
        let first = tile.number * TILE;
        let size =
            |part: Range<usize>| tile.support.union_size(first + part.start..first + part.end);
        let cost = |part: Range<usize>| cost(part.len(), size(part));
        for six in parts(0..positions, AT_ONCE) {
            let threes = || parts(six.clone(), AT_ONCE / 2);
            if cost(six.clone()) <= threes().map(cost).sum() {
                self.combine_together(simd, filters, &tile, six, index, add);
                continue;
            }
            for three in threes() {
                if cost(three.clone()) <= three.clone().map(|i| cost(i..i + 1)).sum() {
                    self.combine_together(simd, filters, &tile, three, index, add);
                    continue;
                }
                for i in three {
                    match add {
                        true => self.combine_together(simd, filters, &tile, i..i + 1, index, add),
                        false => self.combine_alone(simd, filters, &tile, i, index),
                    }
                }
            }
        }
    }

    /// Combines filters over the union of the supports of these positions of a tile. Adds the combinations if `add`.
    #[inline(always)]
    fn combine_together<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        tile: &TileCodes<'_, T>,
        positions: Range<usize>,
        index: &mut [u32],
        add: bool,
    ) {
        let first = tile.number * TILE;
        let count = tile.support.union(first + positions.start..first + positions.end, index);
        let factors = Factors {
            a: &tile.codes[positions.start * filters.padded_atoms..],
            a_strides: [filters.padded_atoms, 1],
            rows: Places::First(positions.len()),
            terms: Places::Listed(&index[..count]),
            b: &filters.rows,
            b_stride: self.padded,
            width: self.padded,
        };
        let patches = &mut self.numbers[positions.start * self.padded..];
        product(simd, factors, patches, self.padded, add);
    }

    /// Combines filters over the support of position `i` of a tile, if it has any.
    #[inline(always)]
    fn combine_alone<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        tile: &TileCodes<'_, T>,
        i: usize,
        index: &mut [u32],
    ) {
        let count = tile.support.row(tile.number * TILE + i, index);
        if count > 0 {
            let row = &tile.codes[i * filters.padded_atoms..][..filters.padded_atoms];
            let patch = &mut self.numbers[i * self.padded..][..self.padded];
            combine(simd, &filters.rows, &index[..count], row, patch);
        }
    }
}

/// A part of [`Patches::transform`]: the vectors of a panel.
struct Transform<'a, S, T> {
    simd: S,
    square: &'a Filters<T>,
    window: &'a [T],
    factor: T,
    /// The first vector.
    start: usize,
}

impl<S: Simd, T: Real> Transform<'_, S, T> {
    /// `V` vectors of the products, at all positions. Returns `V`.
    #[inline(always)]
    fn panel<const V: usize>(&self, bases: &[usize], out: &mut [T], padded: usize) -> usize {
        let (sixes, rest) = bases.as_chunks::<AT_ONCE>();
        let mut rows = out.chunks_exact_mut(padded);
        sixes.iter().for_each(|bases| self.block::<V, AT_ONCE>(bases, &mut rows));
        rest.iter().for_each(|base| self.block::<V, 1>(&[*base], &mut rows));
        V
    }

    /// The same at `N` positions, for the next `N` rows.
    #[inline(always)]
    fn block<'b, const V: usize, const N: usize>(
        &self,
        bases: &[usize; N],
        rows: &mut impl Iterator<Item = &'b mut [T]>,
    ) where
        T: 'b,
    {
        let Filters { offsets, reach, taps, .. } = self.square;
        let lanes = T::lanes::<S>();
        let panel = &self.square.panels[self.start * lanes * taps..][..V * lanes * taps];
        let terms = offsets.iter().copied().zip(T::vectors::<S>(panel).chunks(V));
        let patches = bases.map(|base| &self.window[base..]);
        let sums = sums::<T, S, V, N>(self.simd, patches, terms, *reach);
        let (factor, zero) = (T::splat(self.simd, self.factor), T::splat(self.simd, T::ZERO));
        for (sums, row) in sums.iter().zip(rows) {
            let row = T::vectors_mut::<S>(row);
            for v in 0..V {
                row[self.start + v] = T::mul_add(self.simd, sums[v], factor, zero);
            }
        }
    }
}

/// A range in parts of `length`, the last of which can be shorter.
#[inline(always)]
fn parts(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(length).map(move |start| start..(start + length).min(range.end))
}
