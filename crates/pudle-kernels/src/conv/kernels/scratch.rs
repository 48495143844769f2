//! Memory that the kernels of a strip work in.

use crate::aligned::{Aligned, zeros};
use crate::conv::filters::Filters;
use crate::conv::kernels::chosen::ChosenAtoms;
use crate::conv::kernels::patches::{Patches, TILE};
use crate::conv::kernels::tile::Tile;
use crate::real::Real;
use crate::sparse::Sparse;

/// Memory that the synthesis of a strip works in.
pub(crate) struct Scratch<T> {
    pub(super) patches: Patches<T>,
    /// Support of a position's code.
    pub(super) index: Vec<u32>,
    /// Values of a position's code.
    pub(super) values: Vec<T>,
}

impl<T: Real> Scratch<T> {
    /// Memory for filters of this shape.
    pub fn new(filters: &Filters<T>) -> Self {
        let code = Sparse::<T>::new(filters.padded_atoms);
        Self {
            patches: Patches::new(filters),
            index: code.index_buffer(),
            values: code.value_buffer(),
        }
    }
}

/// Memory that the backward pass of a strip works in.
pub(crate) struct BackwardScratch<T> {
    pub(super) patches: Patches<T>,
    pub(super) tile: Tile<T>,
    pub(super) chosen: ChosenAtoms<T>,
    /// Codes, `[TILE, padded atoms]`.
    pub(super) codes: Aligned<T>,
    /// Codes of the layer before, `[TILE, padded atoms]`.
    pub(super) previous: Aligned<T>,
    /// Products of atoms and patches, `[TILE, padded atoms]`.
    pub(super) products: Aligned<T>,
    /// Support of a position's code.
    pub(super) index: Vec<u32>,
}

impl<T: Real> BackwardScratch<T> {
    /// Memory for filters of this shape.
    pub fn new(filters: &Filters<T>) -> Self {
        let codes = || zeros(TILE * filters.padded_atoms);
        Self {
            patches: Patches::new(filters),
            tile: Tile::new(filters),
            chosen: ChosenAtoms::new(filters),
            codes: codes(),
            previous: codes(),
            products: codes(),
            index: Sparse::<T>::new(filters.padded_atoms).index_buffer(),
        }
    }
}
