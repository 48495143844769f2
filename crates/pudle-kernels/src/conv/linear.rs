//! Atoms that are linear in the first layers.
//!
//! The soft threshold of an atom with the level zero is the identity. As long as the levels of some atoms have been
//! zero, their codes are `z_t = −α Dᵀ Σ r` over the residuals `r` of the layers before, and what they add to the
//! synthesis is
//!
//! ```text
//! D z_t = −α M Σ r,  M = D Dᵀ over these atoms
//! ```
//!
//! So a layer needs neither their codes nor their analysis: one product of patches with `M`, whose size is that of a
//! patch, stands for both. When an atom gets a level above zero, one analysis of `Σ r` gives its code.
//!
//! Learned thresholds have such atoms: of `denoise-gray`, half of all in the first layers.

use std::ops::Range;

use crate::banks::Banks;
use crate::conv::filters::Filters;
use crate::encoder::Encoder;
use crate::geometry::Geometry;
use crate::levels::Levels;
use crate::matrix::{Matrix, multiply};
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::{Shrinkage, Unrolling};

/// Which atoms are linear in which layers. The atoms are in the order of [`reordered`].
pub(crate) struct Linear<T> {
    /// For each layer, how many atoms have had a level above zero, or count as if they had: whole vectors. The atoms
    /// behind them are linear.
    curved: Vec<usize>,
    /// `M` of the linear atoms of each layer, as a filter for each tap of a patch. Later layers have no linear atoms.
    squares: Vec<Filters<T>>,
}

impl<T> Linear<T> {
    /// The atoms that have been linear up to layer `t`, and no longer are.
    pub fn leaving(&self, t: usize) -> Range<usize> {
        self.curved[t.saturating_sub(1)]..self.curved[t]
    }

    /// `M` of the linear atoms of layer `t`, if there are any.
    pub fn square(&self, t: usize) -> Option<&Filters<T>> {
        self.squares.get(t)
    }
}

/// An encoder whose atoms are in the order in which they cease to be linear.
pub(crate) struct Reordered<T> {
    banks: Banks<Vec<T>>,
    levels: Vec<T>,
    level_shape: [usize; 3],
    step: T,
}

impl<T: Real> Reordered<T> {
    /// The encoder.
    pub fn encoder(&self) -> Encoder<'_, T> {
        Encoder {
            banks: self.banks.as_ref().map(Vec::as_slice),
            step: self.step,
            levels: &self.levels,
            level_shape: self.level_shape,
        }
    }
}

/// The encoder with its atoms in the order in which they cease to be linear, and the layers of each of them, if one
/// image through these layers takes less arithmetic so.
pub(crate) fn reordered<T: Real>(
    geometry: &Geometry,
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
) -> Option<(Reordered<T>, Linear<T>)> {
    let Geometry { atoms, .. } = *geometry;
    let taps = geometry.taps();
    let soft = matches!(unrolling.shrinkage, Shrinkage::Soft | Shrinkage::SignedSoft);
    if !soft || Schedule::new(unrolling).extrapolates() || encoder.level_shape[1] != 1 {
        return None;
    }
    let padded = atoms.next_multiple_of(T::BLOCK);
    let levels = Levels::new(encoder.levels, encoder.level_shape, atoms, padded);
    // The last code goes to the decoder, so that no atom is linear in the last layer.
    let last = unrolling.layers - 1;
    let until = |j: usize| (0..last).take_while(|t| levels.of(*t, 0)[j] == T::ZERO).count();
    let until: Vec<usize> = (0..atoms).map(until).collect();
    let curved: Vec<usize> = (0..unrolling.layers)
        .map(|t| {
            let curved = until.iter().filter(|until| **until <= t).count();
            let curved = curved.next_multiple_of(T::BLOCK);
            // A product with `M` stands for an analysis and a synthesis.
            let pays = 2 * (padded - curved) > taps.next_multiple_of(T::BLOCK);
            if t < last && pays { curved } else { padded }
        })
        .collect();
    if curved[0] == padded {
        return None;
    }
    let mut order: Vec<usize> = (0..atoms).collect();
    order.sort_by_key(|j| until[*j]);
    let rows = |numbers: &[T], row: usize| -> Vec<T> {
        order.iter().flat_map(|j| &numbers[j * row..][..row]).copied().collect()
    };
    let banks = encoder.banks.map(|bank| rows(bank, taps));
    let levels = match encoder.level_shape[2] {
        1 => encoder.levels.to_vec(),
        _ => encoder.levels.chunks_exact(atoms).flat_map(|levels| rows(levels, 1)).collect(),
    };
    let squares = squares(geometry, &banks, &curved);
    let Encoder { step, level_shape, .. } = encoder;
    Some((Reordered { banks, levels, level_shape, step }, Linear { curved, squares }))
}

/// `M` for each layer with linear atoms, from the last such layer to the first: each has the atoms of the next one, and
/// some more.
fn squares<T: Real>(
    geometry: &Geometry,
    banks: &Banks<Vec<T>>,
    curved: &[usize],
) -> Vec<Filters<T>> {
    let (taps, atoms) = (geometry.taps(), geometry.atoms);
    let filters = Geometry { atoms: taps, ..*geometry };
    // A row for each tap, in the order of taps of the kernels.
    let synthesis = Filters::new(geometry, &banks.synthesis);
    let mut square = vec![T::ZERO; taps * taps];
    let mut squares = Vec::new();
    let mut end = atoms;
    for start in curved.iter().filter(|start| **start < atoms).rev() {
        let count = end - start;
        let rows =
            &synthesis.rows[start * synthesis.padded_taps..][..count * synthesis.padded_taps];
        let rows = Matrix::padded(rows, taps, synthesis.padded_taps).transposed();
        let columns = Matrix::rows(&banks.for_analysis()[start * taps..][..count * taps], taps);
        multiply(&mut square, taps, rows, columns, T::ONE, true, false);
        squares.push(Filters::new(&filters, &square));
        end = *start;
    }
    squares.reverse();
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Extrapolation;

    const GEOMETRY: Geometry =
        Geometry { channels: 1, height: 9, width: 9, atoms: 40, kernel: [3; 2], stride: [2; 2] };

    fn linear(
        shrinkage: Shrinkage,
        extrapolation: Extrapolation,
        zeros: usize,
    ) -> Option<Vec<usize>> {
        let mut levels = vec![0.1; 5 * 40];
        levels[..40].fill(0.0);
        levels[40..40 + zeros].fill(0.0);
        let encoder = Encoder {
            banks: Banks::tied(&[0.1; 40 * 9][..]),
            step: 0.1,
            levels: &levels,
            level_shape: [5, 1, 40],
        };
        let unrolling = Unrolling { extrapolation, ..Unrolling::ista(5, shrinkage) };
        reordered(&GEOMETRY, encoder, unrolling).map(|(_, linear)| linear.curved)
    }

    #[test]
    fn atoms_are_linear_while_that_pays() {
        // Blocks of 8 numbers in double precision; a patch has 9, padded to 16.
        let ista = |shrinkage, zeros| linear(shrinkage, Extrapolation::None, zeros);
        assert_eq!(ista(Shrinkage::Soft, 30), Some(vec![0, 16, 40, 40, 40]));
        assert_eq!(ista(Shrinkage::SignedSoft, 9), Some(vec![0, 40, 40, 40, 40]));
        for shrinkage in [Shrinkage::Relu, Shrinkage::Hard] {
            assert_eq!(ista(shrinkage, 30), None);
        }
        assert_eq!(linear(Shrinkage::Soft, Extrapolation::Fista, 30), None);
    }
}
