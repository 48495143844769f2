//! Codes of a tile of positions, and the outer products of codes and patches.

use pulp::Simd;

use crate::aligned::{Aligned, zeros};
use crate::conv::filters::Filters;
use crate::conv::kernels::patches::{Patches, TILE};
use crate::product::{Factors, Places, product};
use crate::real::Real;

/// Bits of a word of the support.
const BITS: usize = u32::BITS as usize;

/// The share of a tile's active positions from which on an atom's codes there are multiplied as if none
/// were zero. Over the support, a multiplication takes a third longer.
const FULL: f64 = 0.75;

/// Codes of a tile of positions.
pub(super) struct Tile<T> {
    /// `[TILE, padded atoms]`.
    pub values: Aligned<T>,
    /// For each atom, a bit per position with a code of this atom.
    support: Vec<u32>,
    /// A bit per position with any code.
    pub active: u32,
    /// Memory for the atoms whose codes are multiplied as if none were zero.
    full: Vec<u32>,
}

impl<T: Real> Tile<T> {
    /// Memory for codes of this many filters.
    pub fn new(filters: &Filters<T>) -> Self {
        const { assert!(TILE <= BITS) }
        Self {
            values: zeros(TILE * filters.padded_atoms),
            support: vec![0; filters.padded_atoms],
            active: 0,
            full: Vec::with_capacity(filters.padded_atoms),
        }
    }

    /// Removes the support. The values stay.
    pub fn clear(&mut self) {
        self.support.fill(0);
        self.active = 0;
    }

    /// Adds what is not zero in rows of codes, `[positions, padded atoms]`, to the support.
    #[inline(always)]
    pub fn mark(&mut self, rows: &[T]) {
        for (i, row) in rows.chunks_exact(self.support.len()).enumerate() {
            for (bits, code) in self.support.iter_mut().zip(row) {
                *bits |= u32::from(*code != T::ZERO) << i;
            }
        }
    }

    /// Size of the support.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.support.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Adds `Σ code · patch` over the tile to the gradient of every atom, `[p, padded taps]`. Atoms that
    /// are active at nearly all positions are worked on a few at a time, as if all their codes were active.
    #[inline(always)]
    pub fn add_outer<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        patches: &Patches<T>,
        gradient: &mut [T],
    ) {
        let mut positions = [0; TILE];
        let mut count = 0;
        for i in Bits(self.active) {
            positions[count] = i as u32;
            count += 1;
        }
        let least = (FULL * count as f64) as u32;
        let atoms = (0..).zip(&self.support[..filters.atoms()]);
        self.full.clear();
        self.full.extend(atoms.filter(|(_, bits)| bits.count_ones() > least).map(|(j, _)| j));
        let factors = Factors {
            a: &self.values,
            a_strides: [1, filters.padded_atoms],
            rows: Places::Listed(&self.full),
            terms: Places::Listed(&positions[..count]),
            b: &patches.numbers,
            b_stride: filters.padded_taps,
            width: filters.padded_taps,
        };
        product(simd, factors, gradient, filters.padded_taps, true);
        for j in &self.full {
            self.support[*j as usize] = 0;
        }
        self.add_outer_on_support(simd, filters, patches, gradient, None);
    }

    /// Adds `Σ code · patch` over the tile to the gradient of every atom, `[p, padded taps]`, over the
    /// support, atom by atom, with sums in registers. Writes the products of atoms and patches on the support
    /// to `products`, `[TILE, padded atoms]`, if given.
    #[inline(always)]
    pub fn add_outer_on_support<S: Simd>(
        &self,
        simd: S,
        filters: &Filters<T>,
        patches: &Patches<T>,
        gradient: &mut [T],
        mut products: Option<&mut Aligned<T>>,
    ) {
        let padded = filters.padded_taps;
        let vectors = padded / T::lanes::<S>();
        let rows = filters.rows.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
        for (j, ((atom, gradient), bits)) in rows.zip(&self.support).enumerate() {
            if *bits == 0 {
                continue;
            }
            let mut codes = [T::ZERO; BITS];
            let mut results = [T::ZERO; BITS];
            for i in Bits(*bits) {
                codes[i] = self.values[i * filters.padded_atoms + j];
            }
            let atom = T::vectors::<S>(atom);
            let gradient = T::vectors_mut::<S>(gradient);
            let mut start = 0;
            while start < vectors {
                let products = products.is_some();
                let taps =
                    AtomTaps { simd, bits: *bits, codes: &codes, patches, padded, start, products };
                start += match vectors - start {
                    1 => taps.add::<1>(atom, gradient, &mut results),
                    2 => taps.add::<2>(atom, gradient, &mut results),
                    3 => taps.add::<3>(atom, gradient, &mut results),
                    4 => taps.add::<4>(atom, gradient, &mut results),
                    5 => taps.add::<5>(atom, gradient, &mut results),
                    6 => taps.add::<6>(atom, gradient, &mut results),
                    7 => taps.add::<7>(atom, gradient, &mut results),
                    _ => taps.add::<8>(atom, gradient, &mut results),
                }
            }
            if let Some(products) = products.as_deref_mut() {
                for i in Bits(*bits) {
                    products[i * filters.padded_atoms + j] = results[i];
                }
            }
        }
    }
}

/// The places of the bits that are set, from the lowest on.
struct Bits(u32);

impl Iterator for Bits {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize % BITS;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// Some of the taps of an atom, at the positions of a tile where it has codes.
struct AtomTaps<'a, S, T> {
    simd: S,
    /// A bit per position where the atom has a code.
    bits: u32,
    /// The codes of the atom.
    codes: &'a [T; BITS],
    patches: &'a Patches<T>,
    /// Taps of an atom, padded.
    padded: usize,
    /// The first vector of taps.
    start: usize,
    /// Whether products are wanted.
    products: bool,
}

impl<S: Simd, T: Real> AtomTaps<'_, S, T> {
    /// Adds codes times patches to `V` vectors of the gradient, and atom times patch to the products.
    /// Returns `V`.
    #[inline(always)]
    fn add<const V: usize>(
        &self,
        atom: &[T::Lanes<S>],
        gradient: &mut [T::Lanes<S>],
        products: &mut [T; BITS],
    ) -> usize {
        let simd = self.simd;
        let range = self.start..self.start + V;
        let atom: &[T::Lanes<S>; V] = atom[range.clone()].try_into().expect("V vectors");
        let gradient: &mut [T::Lanes<S>; V] = (&mut gradient[range]).try_into().expect("V vectors");
        let mut sums = *gradient;
        for i in Bits(self.bits) {
            let first = i * self.padded + self.start * T::lanes::<S>();
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
