//! Samples of pictures.

use image::DynamicImage;

use super::deep::Deep;

/// Samples as they are held.
#[derive(Clone, Debug)]
pub(super) enum Pixels {
    /// One of the eight variants of 8 or 16 bits.
    Plain(DynamicImage),
    /// Samples of other types, or with another range.
    Deep(Deep),
}

impl Pixels {
    /// Samples of a pixel in the file: 1 grey, 2 with alpha, 3 colour, 4 with alpha.
    pub(super) fn stored(&self) -> usize {
        match self {
            Self::Plain(pixels) => usize::from(pixels.color().channel_count()),
            Self::Deep(pixels) => pixels.stored,
        }
    }

    /// Height and width.
    pub(super) fn sides(&self) -> [usize; 2] {
        match self {
            Self::Plain(pixels) => [pixels.height() as usize, pixels.width() as usize],
            Self::Deep(pixels) => [pixels.height, pixels.width],
        }
    }
}
