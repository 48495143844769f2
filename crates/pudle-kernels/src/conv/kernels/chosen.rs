//! Products of patches with some of the atoms.

use pulp::{Arch, Simd};

use crate::aligned::{Aligned, zeros};
use crate::conv::filters::Filters;
use crate::conv::kernels::patches::{Patches, TILE};
use crate::packing::{ROOM, pack_row, unpack_row};
use crate::product::{Factors, Places, product};
use crate::real::Real;
use crate::sparse::Sparse;

/// The atoms that are active anywhere in a strip, side by side. With learned thresholds, they are about half
/// of all.
pub(super) struct ChosenAtoms<T> {
    /// A bit per atom.
    words: Vec<u64>,
    /// How many, padded to whole vectors.
    width: usize,
    /// Their taps, `[taps, width]`.
    columns: Aligned<T>,
    /// Whether the columns are those of the chosen atoms. They are only laid out when they are needed.
    ready: bool,
    /// Products of these atoms with the patches of a tile, `[TILE, width]`.
    products: Aligned<T>,
}

impl<T: Real> ChosenAtoms<T> {
    /// Memory for the choice of any of these filters.
    pub fn new(filters: &Filters<T>) -> Self {
        Self {
            words: vec![0; filters.padded_atoms.div_ceil(64)],
            width: 0,
            columns: zeros(filters.taps * filters.padded_atoms + ROOM),
            ready: false,
            products: zeros(TILE * filters.padded_atoms),
        }
    }

    /// Chooses the atoms in the supports of these codes.
    #[inline(always)]
    pub fn choose(&mut self, codes: [Option<&Sparse<T>>; 2]) {
        self.words.fill(0);
        codes.iter().flatten().for_each(|code| code.add_support(&mut self.words));
        let count: usize = self.words.iter().map(|word| word.count_ones() as usize).sum();
        self.width = count.next_multiple_of(T::BLOCK);
        self.ready = false;
    }

    /// Writes the products of the first `positions` patches with the chosen atoms to `products`,
    /// `[positions, padded atoms]`, and zeros for the other atoms.
    #[inline(always)]
    pub fn analyze<S: Simd>(
        &mut self,
        simd: S,
        arch: Arch,
        filters: &Filters<T>,
        patches: &Patches<T>,
        positions: usize,
        products: &mut [T],
    ) {
        let width = self.width;
        if !self.ready {
            self.ready = true;
            let rows = filters.columns.chunks_exact(filters.padded_atoms);
            for (tap, row) in rows.enumerate() {
                let chosen = &mut self.columns[tap * width..];
                let count = pack_row(arch, &self.words, row, chosen);
                // The numbers behind the last one count for nothing, but they must be finite.
                chosen[count..width].fill(T::ZERO);
            }
        }
        let factors = Factors {
            a: &patches.numbers,
            a_strides: [filters.padded_taps, 1],
            rows: Places::First(positions),
            terms: Places::First(filters.taps),
            b: &self.columns,
            b_stride: width,
            width,
        };
        product(simd, factors, &mut self.products, width, false);
        let rows = products.chunks_exact_mut(filters.padded_atoms);
        for (row, chosen) in rows.zip(self.products.chunks_exact(width)).take(positions) {
            unpack_row(arch, &self.words, chosen, row);
        }
    }
}
