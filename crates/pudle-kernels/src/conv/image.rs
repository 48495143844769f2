//! Images in the layout of the kernels.

use std::borrow::Cow;

use crate::geometry::Geometry;
use crate::real::Real;

/// An image, or a part of one, `[H, C, W]`.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a, T> {
    pub numbers: &'a [T],
    /// Numbers from one row to the next, of all channels.
    pub pitch: usize,
    /// First number of the part.
    pub start: usize,
}

impl<'a, T> Image<'a, T> {
    /// The `width` pixels of a channel in a row.
    pub fn row(&self, row: usize, channel: usize, channels: usize, width: usize) -> &'a [T] {
        let start = self.start + row * self.pitch + channel * (self.pitch / channels);
        &self.numbers[start..][..width]
    }
}

/// An image `[C, H, W]` as `[H, C, W]`.
pub(crate) fn rows_first<'a, T: Real>(geometry: &Geometry, image: &'a [T]) -> Cow<'a, [T]> {
    if geometry.channels == 1 {
        return Cow::Borrowed(image);
    }
    let Geometry { channels, height, width, .. } = *geometry;
    let mut rows = Vec::with_capacity(image.len());
    for y in 0..height {
        for channel in 0..channels {
            rows.extend_from_slice(&image[(channel * height + y) * width..][..width]);
        }
    }
    Cow::Owned(rows)
}

/// Writes rows `[·, C, W]`, the first of which is row `top`, to an image `[C, H, W]`.
pub(crate) fn channels_first<T: Real>(
    geometry: &Geometry,
    top: usize,
    rows: &[T],
    image: &mut [T],
) {
    let Geometry { channels, height, width, .. } = *geometry;
    for (k, row) in rows.chunks_exact(width).enumerate() {
        let start = (k % channels * height + top + k / channels) * width;
        image[start..][..width].copy_from_slice(row);
    }
}
