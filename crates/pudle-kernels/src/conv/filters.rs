//! Filters, laid out for the kernels.

use pulp::{Arch, Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::geometry::{Geometry, Run};
use crate::product::panel;
use crate::real::Real;

/// A vector of a patch, or the partial vector at the end of a run.
#[derive(Clone, Copy)]
pub(crate) struct PatchVector {
    /// Its place in a window, from the first pixel of the patch.
    pub offset: usize,
    /// Its place in the patch.
    pub tap: usize,
    /// How many numbers.
    pub length: usize,
}

/// The share of codes that are not zero from which on a tile is worked on as if no code were zero:
/// about where the two ways took the same time, for 64 filters of 9×9 taps in single precision on a
/// Zen 4 core. It is a constant, not a measurement at run time, so that the same input always has the
/// same result.
const DENSE: f64 = 0.25;

/// A bank of filters in three layouts: filter by filter, for sums over the support; tap by tap, to choose
/// some of the filters; and in panels, for all filters at a position. Taps are ordered by row, then by channel, then by column. Both axes are
/// padded with zeros to whole blocks.
pub(crate) struct Filters<T> {
    /// `[p, padded taps]`.
    pub rows: Aligned<T>,
    /// Panels of a few vectors of atoms, each `[taps, atoms of the panel]`.
    pub panels: Aligned<T>,
    /// `[taps, padded atoms]`.
    pub columns: Aligned<T>,
    /// Place of the pixel of each tap, from the first pixel of a patch.
    pub offsets: Vec<usize>,
    /// Numbers from the first pixel of a patch to its last.
    pub reach: usize,
    /// The vectors of a patch.
    pub patch: Vec<PatchVector>,
    /// Ones for the numbers of a partial vector, zeros behind them.
    pub partial: Aligned<T>,
    /// Taps of a filter.
    pub taps: usize,
    /// Taps of a filter, padded.
    pub padded_taps: usize,
    /// Atoms, padded.
    pub padded_atoms: usize,
}

impl<T: Real> Filters<T> {
    /// Lays out filters given as `[p, C, k, k]`.
    pub fn new(geometry: &Geometry, atoms: &[T]) -> Self {
        let taps = geometry.taps();
        let padded_taps = taps.next_multiple_of(T::BLOCK);
        let padded_atoms = geometry.atoms.next_multiple_of(T::BLOCK);
        let mut rows = zeros(geometry.atoms * padded_taps);
        for (row, atom) in rows.chunks_exact_mut(padded_taps).zip(atoms.chunks_exact(taps)) {
            for_each_tap(geometry, |tap, given| row[tap] = atom[given]);
        }
        let runs = geometry.runs();
        let offsets: Vec<usize> =
            runs.iter().flat_map(|run| run.offset..run.offset + run.length).collect();
        let reach = offsets.iter().max().map_or(0, |last| last + 1);
        let mut filters = Self {
            rows,
            panels: zeros(taps * padded_atoms),
            columns: zeros(taps * padded_atoms),
            offsets,
            reach,
            patch: Vec::new(),
            partial: zeros(T::BLOCK),
            taps,
            padded_taps,
            padded_atoms,
        };
        Arch::new().dispatch(VectorLayout { filters: &mut filters, runs: &runs });
        filters
    }

    /// Number of filters.
    pub fn atoms(&self) -> usize {
        self.rows.len() / self.padded_taps
    }

    /// Whether a tile of `positions` positions with `count` codes that are not zero is worked on as if no
    /// code were zero.
    #[inline(always)]
    pub fn dense(&self, count: usize, positions: usize) -> bool {
        count as f64 > DENSE * (positions * self.atoms()) as f64
    }

    /// Filters in the layout of [`rows`](Self::rows) as `[p, C, k, k]`.
    pub fn to_channels_first(&self, geometry: &Geometry, rows: &[T]) -> Vec<T> {
        let mut atoms = vec![T::ZERO; geometry.atoms * self.taps];
        for (row, atom) in
            rows.chunks_exact(self.padded_taps).zip(atoms.chunks_exact_mut(self.taps))
        {
            for_each_tap(geometry, |tap, given| atom[given] = row[tap]);
        }
        atoms
    }
}

/// Calls `visit` with the place of every tap in a row of [`Filters::rows`], and in `[C, k, k]`.
fn for_each_tap(geometry: &Geometry, mut visit: impl FnMut(usize, usize)) {
    let [height, width] = geometry.kernel;
    for row in 0..height {
        for channel in 0..geometry.channels {
            for column in 0..width {
                visit(
                    (row * geometry.channels + channel) * width + column,
                    (channel * height + row) * width + column,
                );
            }
        }
    }
}

/// Fills in what depends on how many numbers a vector has: the panels and the vectors of a patch.
struct VectorLayout<'a, T> {
    filters: &'a mut Filters<T>,
    runs: &'a [Run],
}

impl<T: Real> WithSimd for VectorLayout<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { filters, runs } = self;
        let (lanes, taps) = (T::lanes::<S>(), filters.taps);
        let (width, count) = (panel::<S>() * lanes, filters.padded_atoms);
        for (j, row) in filters.rows.chunks_exact(filters.padded_taps).enumerate() {
            let first = j / width * width;
            let width = width.min(count - first);
            let panel = &mut filters.panels[first * taps..][..width * taps];
            let columns = filters.columns.chunks_exact_mut(count);
            for ((entries, column), tap) in panel.chunks_exact_mut(width).zip(columns).zip(row) {
                entries[j - first] = *tap;
                column[j] = *tap;
            }
        }
        for run in runs {
            for k in (0..run.length).step_by(lanes) {
                let length = lanes.min(run.length - k);
                filters.patch.push(PatchVector {
                    offset: run.offset + k,
                    tap: run.tap + k,
                    length,
                });
            }
        }
        // All runs of a patch are equally long, so that one mask serves all partial vectors.
        filters.partial[..(runs[0].length - 1) % lanes + 1].fill(T::ONE);
    }
}
