//! The inner loops, a strip at a time.

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::conv::filters::{Filters, Move};
use crate::product::{AT_ONCE, Factors, panel, product, sums};
use crate::real::Real;
use crate::settings::{Shrinkage, shrink};
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
}

impl<T: Real> WithSimd for Descend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
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
        let taps = T::vectors::<S>(taps);
        let (tiles, rest) = self.bases.as_chunks::<AT_ONCE>();
        for (k, bases) in tiles.iter().enumerate() {
            self.tile::<S, V, AT_ONCE>(simd, first, k * AT_ONCE, bases, taps);
        }
        let done = tiles.len() * AT_ONCE;
        let (threes, ones) = rest.as_chunks::<3>();
        for bases in threes {
            self.tile::<S, V, 3>(simd, first, done, bases, taps);
        }
        for (k, base) in ones.iter().enumerate() {
            self.tile::<S, V, 1>(simd, first, done + threes.len() * 3 + k, &[*base], taps);
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        first: usize,
        position: usize,
        bases: &[usize; N],
        taps: &[T::Lanes<S>],
    ) {
        let Filters { offsets, reach, .. } = self.filters;
        let offsets = (offsets.iter().copied(), *reach);
        let mut patches = [self.window; N];
        for (patch, base) in patches.iter_mut().zip(bases) {
            *patch = &self.window[*base..];
        }
        let sums = sums::<T, S, V, N>(simd, patches, offsets, taps, V);
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

/// The synthesis `D z` of a strip's code, added up in a window; writes the code's support on the way.
pub(crate) struct Synthesize<'a, T> {
    pub filters: &'a Filters<T>,
    pub bases: &'a [usize],
    /// `[positions, padded atoms]`.
    pub code: &'a [T],
    /// Receives the code's support.
    pub sparse: &'a mut Sparse<T>,
    /// Whether the code's values are kept too.
    pub keep: bool,
    /// Receives the sum; zeroed first.
    pub window: &'a mut [T],
    pub scratch: &'a mut Scratch<T>,
}

impl<T: Real> WithSimd for Synthesize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, bases, code, sparse, keep, window, scratch } = self;
        let Scratch { patches, index, .. } = scratch;
        window.fill(T::ZERO);
        sparse.clear();
        for (tile, bases) in bases.chunks(TILE).enumerate() {
            let codes = &code[tile * TILE * filters.padded_atoms..];
            let codes = &codes[..bases.len() * filters.padded_atoms];
            let (mut active, mut total) = (0, 0);
            for (i, row) in codes.chunks_exact(filters.padded_atoms).enumerate() {
                // Off the atoms, numbers that overflowed times the padding's zeros may have left NaN.
                let row = &row[..filters.atoms()];
                let count = sparse.push_support(row);
                active |= u32::from(count > 0) << i;
                total += count;
                if keep {
                    sparse.keep_values(tile * TILE + i, row, index);
                }
            }
            let dense = filters.dense(total, bases.len());
            patches.synthesize(simd, filters, codes, (sparse, tile), active, dense, index);
            patches.scatter(simd, filters, bases, active, window);
        }
    }
}

/// From the gradient in `z_{t+1}` to that in `z_t`, at every position of a strip: with the patches
/// `w_k` of `w = D u` and `y = (1 + m) z_t − m z_{t−1}`, the filters' gradient gains `c w_k y_j`, and
///
/// ```text
/// u_j ← v_j + (1 + m) (u_j − b w_k · D_j) on the support of z_t, 0 elsewhere
/// v_j ← −m (u_j − b w_k · D_j)            on the support of z_{t−1}, 0 elsewhere
/// ```
pub(crate) struct Respond<'a, T> {
    pub filters: &'a Filters<T>,
    pub bases: &'a [usize],
    pub window: &'a [T],
    /// Factor `c`.
    pub factor: T,
    /// Factor `b`.
    pub step: T,
    /// Weight `m` of the extrapolation.
    pub momentum: T,
    /// `z_t`.
    pub code: &'a Sparse<T>,
    /// `z_{t−1}`, where `m` is not 0.
    pub before: Option<&'a Sparse<T>>,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// `u`, `[positions, padded atoms]`; empty where it is not asked for.
    pub u: &'a mut [T],
    /// `v`, as `u`; empty where no layer extrapolates.
    pub v: &'a mut [T],
    pub scratch: &'a mut Scratch<T>,
}

impl<T: Real> WithSimd for Respond<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, bases, window, code, before, gradient, scratch, .. } = self;
        let Scratch { patches, tile, codes, befores, products, index } = scratch;
        let padded = filters.padded_atoms;
        let one = T::ONE + self.momentum;
        let (mut cursor, mut before_cursor) = (0, 0);
        for (number, bases) in bases.chunks(TILE).enumerate() {
            tile.clear();
            tile.values.fill(T::ZERO);
            codes.fill(T::ZERO);
            for i in 0..bases.len() {
                let count = code.row(number * TILE + i, index);
                tile.mark(i, &index[..count]);
                let (row, point) = (&mut codes[i * padded..], &mut tile.values[i * padded..]);
                for (j, z) in index[..count].iter().zip(&code.values[cursor..][..count]) {
                    row[*j as usize] = *z;
                    point[*j as usize] = self.factor * one * *z;
                }
                cursor += count;
            }
            if let Some(before) = before {
                befores.fill(T::ZERO);
                for i in 0..bases.len() {
                    let count = before.row(number * TILE + i, index);
                    tile.mark(i, &index[..count]);
                    let (row, point) = (&mut befores[i * padded..], &mut tile.values[i * padded..]);
                    let values = &before.values[before_cursor..][..count];
                    for (j, z) in index[..count].iter().zip(values) {
                        row[*j as usize] = *z;
                        point[*j as usize] += -(self.factor * self.momentum * *z);
                    }
                    before_cursor += count;
                }
            }
            let wanted = !self.u.is_empty();
            let dense = filters.dense(tile.count(), bases.len());
            patches.gather(simd, filters, bases, tile.active, window, T::ONE);
            tile.outer(simd, filters, patches, gradient, dense, wanted.then_some(&mut *products));
            if !wanted {
                continue;
            }
            if dense {
                patches.analyze(simd, filters, bases.len(), products);
            }
            let part = number * TILE * padded..(number * TILE + bases.len()) * padded;
            let u = T::vectors_mut::<S>(&mut self.u[part.clone()]);
            let (step, one) = (T::splat(simd, -self.step), T::splat(simd, one));
            let zero = T::splat(simd, T::ZERO);
            let products = T::vectors::<S>(products).iter();
            let codes = T::vectors::<S>(codes).iter();
            if self.v.is_empty() {
                for ((u, product), z) in u.iter_mut().zip(products).zip(codes) {
                    *u = T::zero_where_zero(simd, *z, T::mul_add(simd, *product, step, *u));
                }
            } else {
                let v = T::vectors_mut::<S>(&mut self.v[part]);
                let momentum = T::splat(simd, -self.momentum);
                let befores = T::vectors::<S>(befores).iter();
                for ((((u, v), product), z), before) in
                    u.iter_mut().zip(v).zip(products).zip(codes).zip(befores)
                {
                    let base = T::mul_add(simd, *product, step, *u);
                    *u = T::zero_where_zero(simd, *z, T::mul_add(simd, base, one, *v));
                    *v = T::zero_where_zero(simd, *before, T::mul_add(simd, base, momentum, zero));
                }
            }
        }
    }
}

/// `D u` of a strip's values `u` on a support, added up in a window, while the filters' gradient gains
/// `c r_k u_j` with the patches `r_k` of a residual.
pub(crate) struct Carry<'a, T> {
    pub filters: &'a Filters<T>,
    pub bases: &'a [usize],
    /// The code whose support `u` lives on.
    pub code: &'a Sparse<T>,
    /// `u`, `[positions, padded atoms]`.
    pub u: &'a [T],
    /// Residual `r`, from the strip's first row on.
    pub residual: &'a [T],
    /// Factor `c`.
    pub factor: T,
    /// Receives the filters' gradient, `[p, padded taps]`.
    pub gradient: &'a mut [T],
    /// Receives the sum `D u`; zeroed first.
    pub window: &'a mut [T],
    pub scratch: &'a mut Scratch<T>,
}

impl<T: Real> WithSimd for Carry<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { filters, bases, code, u, residual, factor, gradient, window, scratch } = self;
        let Scratch { patches, tile, index, .. } = scratch;
        window.fill(T::ZERO);
        for (number, bases) in bases.chunks(TILE).enumerate() {
            let first = number * TILE;
            let total = (0..bases.len()).map(|i| code.size(first + i)).sum();
            let dense = filters.dense(total, bases.len());
            let u = &u[first * filters.padded_atoms..][..bases.len() * filters.padded_atoms];
            tile.clear();
            for i in 0..bases.len() {
                if dense {
                    tile.active |= u32::from(code.size(first + i) > 0) << i;
                } else {
                    let count = code.row(first + i, index);
                    tile.mark(i, &index[..count]);
                }
            }
            tile.values[..u.len()].copy_from_slice(u);
            tile.values[u.len()..].fill(T::ZERO);
            patches.gather(simd, filters, bases, tile.active, residual, factor);
            tile.outer(simd, filters, patches, gradient, dense, None);
            patches.synthesize(simd, filters, u, (code, number), tile.active, dense, index);
            patches.scatter(simd, filters, bases, tile.active, window);
        }
    }
}

/// Codes of a tile of positions.
struct Tile<T> {
    /// `[TILE, padded atoms]`.
    values: Aligned<T>,
    /// For each atom, a bit per position where it has a code.
    support: Vec<u32>,
    /// A bit per position with any code.
    active: u32,
}

impl<T: Real> Tile<T> {
    fn new(filters: &Filters<T>) -> Self {
        Self {
            values: zeros(TILE * filters.padded_atoms),
            support: vec![0; filters.padded_atoms],
            active: 0,
        }
    }

    /// Removes the support.
    fn clear(&mut self) {
        self.support.fill(0);
        self.active = 0;
    }

    /// Adds these atoms to the support at position `i`.
    #[inline(always)]
    fn mark(&mut self, i: usize, index: &[u32]) {
        self.active |= u32::from(!index.is_empty()) << i;
        for j in index {
            self.support[*j as usize] |= 1 << i;
        }
    }

    /// Size of the support.
    #[inline(always)]
    fn count(&self) -> usize {
        self.support.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Adds code times patch to the gradient of every atom: atom by atom over the support, so that
    /// sums stay in registers, or over all if `dense`. Where it goes over the support, it writes the
    /// products of atoms and patches there to `products`, `[TILE, padded atoms]`.
    #[inline(always)]
    fn outer<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        patches: &Patches<T>,
        gradient: &mut [T],
        dense: bool,
        mut products: Option<&mut Aligned<T>>,
    ) {
        let padded = filters.padded_taps;
        if dense {
            let factors = Factors {
                a: &self.values,
                a_strides: [1, filters.padded_atoms],
                rows: filters.atoms(),
                depth: TILE,
                b: &patches.numbers,
                b_stride: padded,
                width: padded,
            };
            product(simd, factors, gradient, padded, true);
            return;
        }
        let vectors = padded / T::lanes::<S>();
        let rows = filters.rows.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
        for (j, ((atom, gradient), bits)) in rows.zip(&self.support).enumerate() {
            if *bits == 0 {
                continue;
            }
            let mut codes = [T::ZERO; TILE];
            let mut results = [T::ZERO; TILE];
            let mut left = *bits;
            while left != 0 {
                let i = left.trailing_zeros() as usize % TILE;
                left &= left - 1;
                codes[i] = self.values[i * filters.padded_atoms + j];
            }
            let atom = T::vectors::<S>(atom);
            let gradient = T::vectors_mut::<S>(gradient);
            let mut start = 0;
            while start < vectors {
                let products = products.is_some();
                let part = Part { simd, bits: *bits, codes: &codes, patches, start, products };
                start += match vectors - start {
                    1 => part.add::<1>(atom, gradient, &mut results),
                    2 => part.add::<2>(atom, gradient, &mut results),
                    3 => part.add::<3>(atom, gradient, &mut results),
                    4 => part.add::<4>(atom, gradient, &mut results),
                    5 => part.add::<5>(atom, gradient, &mut results),
                    6 => part.add::<6>(atom, gradient, &mut results),
                    7 => part.add::<7>(atom, gradient, &mut results),
                    _ => part.add::<8>(atom, gradient, &mut results),
                }
            }
            if let Some(products) = products.as_deref_mut() {
                let mut left = *bits;
                while left != 0 {
                    let i = left.trailing_zeros() as usize % TILE;
                    left &= left - 1;
                    products[i * filters.padded_atoms + j] = results[i];
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
        let gradient: &mut [T::Lanes<S>; V] = (&mut gradient[part]).try_into().expect("V vectors");
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

/// Room that the kernels of a strip work in.
pub(crate) struct Scratch<T> {
    patches: Patches<T>,
    tile: Tile<T>,
    /// `[TILE, padded atoms]` each.
    codes: Aligned<T>,
    befores: Aligned<T>,
    products: Aligned<T>,
    /// Places of a position's codes.
    index: Vec<u32>,
}

impl<T: Real> Scratch<T> {
    pub fn new(filters: &Filters<T>) -> Self {
        let codes = || zeros(TILE * filters.padded_atoms);
        Self {
            patches: Patches {
                numbers: zeros(TILE * filters.padded_taps),
                taps: filters.taps,
                padded: filters.padded_taps,
            },
            tile: Tile::new(filters),
            codes: codes(),
            befores: codes(),
            products: codes(),
            index: Sparse::<T>::new(filters.padded_atoms).room(),
        }
    }
}

/// Patches of a tile of positions, `[TILE, padded taps]`.
struct Patches<T> {
    numbers: Aligned<T>,
    taps: usize,
    padded: usize,
}

impl<T: Real> Patches<T> {
    /// Reads the patches at the active positions from a window, times `factor`.
    #[inline(always)]
    fn gather<S: Simd>(
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
            for Move { offset, tap, length } in &filters.moves {
                // A whole vector where there is one: the next move writes over what is too much.
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
    fn scatter<S: Simd>(
        &self,
        simd: S,
        filters: &Filters<T>,
        bases: &[usize],
        active: u32,
        window: &mut [T],
    ) {
        let (lanes, whole) = (T::lanes::<S>(), T::splat(simd, T::ONE));
        // All runs of a patch are equally long; the last move of each is a part of a vector.
        let part = T::vectors::<S>(&filters.ones)[0];
        for first in 0..APART {
            for i in (first..bases.len()).step_by(APART) {
                if active & (1 << i) == 0 {
                    continue;
                }
                let patch = &self.numbers[i * self.padded..][..self.padded];
                let window = &mut window[bases[i]..];
                for Move { offset, tap, length } in &filters.moves {
                    let mask = if *length == lanes { whole } else { part };
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

    /// The products of the first patches with all atoms, `[positions, padded atoms]`.
    #[inline(always)]
    fn analyze<S: Simd>(
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

    /// The combinations of filters with the codes of the active positions, `[positions, padded atoms]`,
    /// over the support that tile `number` of `sparse` says, or over all atoms if `dense`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a loop that two kernels share")]
    fn synthesize<S: Simd>(
        &mut self,
        simd: S,
        filters: &Filters<T>,
        codes: &[T],
        (sparse, number): (&Sparse<T>, usize),
        active: u32,
        dense: bool,
        index: &mut [u32],
    ) {
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
            let count = sparse.row(number * TILE + i, index);
            let row = &codes[i * filters.padded_atoms..][..filters.padded_atoms];
            let patch = &mut self.numbers[i * self.padded..][..self.padded];
            combine(simd, &filters.rows, &index[..count], row, patch);
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
