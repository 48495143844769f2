//! A layer on the tiles that are in use.

use pulp::{Simd, WithSimd};

use super::layout::{Layout, TILE};
use super::support::Support;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::vector::shrink;

/// `z_{t+1} = Φ(y_t − α (G y_t − Aᵀx))` with `y_t = z_t + m (z_t − z_{t−1})`, on the tiles in use.
pub(super) struct Layer<'a, T> {
    pub layout: Layout,
    /// Whether each tile is in use.
    pub used: &'a [bool],
    /// Step size `α`.
    pub step: T,
    /// Level of each atom.
    pub levels: &'a [T],
    pub shrinkage: Shrinkage,
    /// Weight `m` of the extrapolation.
    pub momentum: T,
    /// `Aᵀx`.
    pub analysis: &'a [T],
    /// `z_t`.
    pub code: &'a [T],
    /// `z_{t−1}`, replaced by `z_{t+1}`.
    pub next: &'a mut [T],
    /// `G z_t`.
    pub gram: &'a [T],
    /// `G z_{t−1}`.
    pub previous_gram: &'a [T],
    /// The entries of `z_{t+1}` that are not zero, by tile, atom and position.
    pub support: &'a mut Support<T>,
}

impl<T: Real> WithSimd for Layer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.support.clear();
        let layout = self.layout;
        for tile in layout.tiles().filter(|tile| self.used[*tile]) {
            let count = layout.positions_of(tile);
            for atom in 0..layout.atoms {
                let start = atom * layout.stride + tile * TILE;
                if !self.tile::<S>(simd, atom, start) {
                    continue;
                }
                let next = &mut self.next[start..start + TILE];
                // Behind the last position, there is no code.
                next[count..].fill(T::ZERO);
                let place = atom * layout.positions + tile * TILE - layout.lead;
                for (i, value) in next.iter().enumerate() {
                    if *value != T::ZERO {
                        self.support.push(place + i, *value);
                    }
                }
            }
        }
    }
}

impl<T: Real> Layer<'_, T> {
    /// The code of an atom on a tile that starts at `start`. Returns whether any of it is not zero.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, atom: usize, start: usize) -> bool {
        let range = start..start + TILE;
        let analysis = T::vectors::<S>(&self.analysis[range.clone()]);
        let code = T::vectors::<S>(&self.code[range.clone()]);
        let gram = T::vectors::<S>(&self.gram[range.clone()]);
        let previous_gram = T::vectors::<S>(&self.previous_gram[range.clone()]);
        let next = T::vectors_mut::<S>(&mut self.next[range.clone()]);
        let (step, level) = (T::splat(simd, self.step), T::splat(simd, self.levels[atom]));
        let momentum = T::splat(simd, self.momentum);
        for i in 0..next.len() {
            let (mut y, mut g) = (code[i], gram[i]);
            if self.momentum != T::ZERO {
                y = T::mul_add(simd, momentum, T::minus(simd, code[i], next[i]), y);
                g = T::mul_add(simd, momentum, T::minus(simd, gram[i], previous_gram[i]), g);
            }
            let v = T::mul_add(simd, step, T::minus(simd, analysis[i], g), y);
            next[i] = shrink::<T, S>(simd, self.shrinkage, v, level);
        }
        self.next[range].iter().fold(false, |any, value| any | (*value != T::ZERO))
    }
}
