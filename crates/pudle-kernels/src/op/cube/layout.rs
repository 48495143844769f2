//! How a pass lies in the memory of a GPU.
//!
//! Images are `[b, C, H, W]`. Codes are `[b, positions, padded atoms]`, so that a unit reads and writes the codes of a
//! position as vectors.
//!
//! With a stride `s`, an image is a grid of blocks of `s` pixels down and across. All pixels of a block are reached by
//! the same positions, `⌈k/s⌉` of them along each axis, each pixel by other taps.

use crate::geometry::Geometry;

/// The shape of the filters, a constant of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Filters {
    /// Channels `C`.
    pub channels: usize,
    /// Height and width of a filter.
    pub kernel: [usize; 2],
    /// Pixels between positions, down and across.
    pub stride: [usize; 2],
}

impl Filters {
    /// Weights of a filter.
    pub fn taps(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Positions that reach a block of pixels, down and across.
    pub fn reach(&self) -> [usize; 2] {
        [self.kernel[0].div_ceil(self.stride[0]), self.kernel[1].div_ceil(self.stride[1])]
    }

    /// Numbers of a block of pixels, in all channels.
    pub fn block(&self) -> usize {
        self.channels * self.stride[0] * self.stride[1]
    }
}

/// Sizes of a batch and of its arrays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub filters: Filters,
    /// Data in the batch.
    pub batch: usize,
    /// Height and width of an image.
    pub image: [usize; 2],
    /// Rows and columns of positions.
    pub positions: [usize; 2],
    /// Number of atoms `p`.
    pub atoms: usize,
    /// Codes in a vector.
    pub code_width: usize,
    /// Numbers of a block of pixels in a vector.
    pub block_width: usize,
}

/// The longest vector of a kernel. A device whose vectors are shorter takes it in parts.
pub(super) const WIDEST: usize = 16;

impl Layout {
    pub fn new(geometry: Geometry, batch: usize) -> Self {
        let Geometry { channels, height, width, atoms, kernel, stride } = geometry;
        let filters = Filters { channels, kernel, stride };
        Self {
            filters,
            batch,
            image: [height, width],
            positions: geometry.positions(),
            atoms,
            code_width: width_for(atoms).max(4),
            block_width: width_for(filters.block()),
        }
    }

    /// Positions of an image.
    pub fn places(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Numbers of all images.
    pub fn pixels(&self) -> usize {
        self.batch * self.filters.channels * self.image[0] * self.image[1]
    }

    /// Atoms in whole vectors.
    pub fn padded_atoms(&self) -> usize {
        self.atoms.next_multiple_of(self.code_width)
    }

    /// Vectors of the codes of a position.
    pub fn code_vectors(&self) -> usize {
        self.padded_atoms() / self.code_width
    }

    /// Numbers of a block of pixels in whole vectors.
    pub fn padded_block(&self) -> usize {
        self.filters.block().next_multiple_of(self.block_width)
    }

    /// Vectors of a block of pixels.
    pub fn block_vectors(&self) -> usize {
        self.padded_block() / self.block_width
    }

    /// Rows and columns of blocks of an image.
    pub fn blocks(&self) -> [usize; 2] {
        [
            self.image[0].div_ceil(self.filters.stride[0]),
            self.image[1].div_ceil(self.filters.stride[1]),
        ]
    }

    /// Numbers of the codes of the batch.
    pub fn codes(&self) -> usize {
        self.batch * self.places() * self.padded_atoms()
    }
}

/// The length of vectors for `count` numbers.
fn width_for(count: usize) -> usize {
    count.next_power_of_two().min(WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_an_image_that_strides_do_not_divide() {
        let geometry = Geometry {
            channels: 3,
            height: 23,
            width: 18,
            atoms: 5,
            kernel: [7, 7],
            stride: [3, 3],
        };
        let layout = Layout::new(geometry, 2);
        assert_eq!(layout.blocks(), [8, 6]);
        assert_eq!(layout.filters.reach(), [3, 3]);
        assert_eq!((layout.padded_block(), layout.block_vectors()), (32, 2));
        assert_eq!((layout.padded_atoms(), layout.code_vectors()), (8, 1));
    }
}
