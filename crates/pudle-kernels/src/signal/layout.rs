//! How codes of a signal lie in memory.

use crate::geometry::Geometry;
use crate::real::Real;

/// Positions of a tile. It is a whole number of vectors on every architecture.
pub(super) const TILE: usize = 64;

/// Most atoms for each channel. The cost of a layer grows with their square here, and with atoms times channels in the pass
/// over patches.
const ATOMS_PER_CHANNEL: usize = 16;

/// Whether the pass for signals runs a problem: filters along one axis, at every sample.
pub fn takes_signals(geometry: &Geometry) -> bool {
    let Geometry { channels, height, width, atoms, kernel, stride } = *geometry;
    let codes = atoms.saturating_mul(height);
    width == 1
        && kernel[1] == 1
        && stride[0] == 1
        && atoms <= ATOMS_PER_CHANNEL * channels
        && codes < u32::MAX as usize
}

/// Rows of positions, one for each atom. Zeros before and after a row take what atoms near the ends add there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Number of atoms `p`.
    pub atoms: usize,
    /// Channels `C`.
    pub channels: usize,
    /// Samples `n` of a signal.
    pub samples: usize,
    /// Samples `k` of an atom.
    pub taps: usize,
    /// Positions of an atom, `n − k + 1`.
    pub positions: usize,
    /// Numbers before the first position of a row, a whole number of tiles.
    pub lead: usize,
    /// Numbers from one row to the next, a whole number of tiles.
    pub stride: usize,
    /// Numbers of the correlations of two atoms, `2k − 1`, padded to whole vectors.
    pub reach: usize,
}

impl Layout {
    pub fn new<T: Real>(geometry: &Geometry) -> Self {
        let (samples, taps) = (geometry.height, geometry.kernel[0]);
        let positions = samples - taps + 1;
        let reach = (2 * taps - 1).next_multiple_of(T::BLOCK);
        let lead = (taps - 1).next_multiple_of(TILE);
        let stride = lead + (positions + reach).next_multiple_of(TILE);
        let (atoms, channels) = (geometry.atoms, geometry.channels);
        Self { atoms, channels, samples, taps, positions, lead, stride, reach }
    }

    /// Numbers of all rows.
    pub fn numbers(&self) -> usize {
        self.atoms * self.stride
    }

    /// The tiles of a row that hold positions.
    pub fn tiles(&self) -> std::ops::Range<usize> {
        let first = self.lead / TILE;
        first..first + self.positions.div_ceil(TILE)
    }

    /// All tiles of a row.
    pub fn all_tiles(&self) -> usize {
        self.stride / TILE
    }

    /// Positions of a tile, at most [`TILE`].
    pub fn positions_of(&self, tile: usize) -> usize {
        (self.positions + self.lead - tile * TILE).min(TILE)
    }

    /// Numbers of a bank of atoms.
    pub fn weights(&self) -> usize {
        self.atoms * self.channels * self.taps
    }

    /// Numbers of a signal.
    pub fn pixels(&self) -> usize {
        self.channels * self.samples
    }

    /// Numbers of a code.
    pub fn codes(&self) -> usize {
        self.atoms * self.positions
    }
}
