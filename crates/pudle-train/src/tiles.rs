//! Denoising of large pictures in tiles.

use pudle_data::{Image, Raster};

use crate::denoiser::Denoiser;
use crate::error::Result;

impl Denoiser {
    /// Replaces a picture by its estimate, in tiles of `tile × tile` pixels. After each tile, `visit` gets its number
    /// of pixels.
    ///
    /// Every tile is denoised with a margin of [`reach`](Self::reach) pixels, and begins at a multiple of the stride. The
    /// result is therefore that of [`denoise`](Self::denoise) for the whole picture, up to rounding. With the step size
    /// `auto`, the estimate of ‖D‖² also depends on the size of the picture. Besides the picture, memory holds a tile
    /// with its margin and `reach` rows. The side of a tile is at least `reach`.
    ///
    /// # Errors
    /// Returns the errors of `denoise`. A part of the picture may then be denoised already.
    pub fn denoise_tiles(
        &self,
        picture: &mut impl Raster,
        sigma: Option<f32>,
        tile: usize,
        visit: impl FnMut(usize),
    ) -> Result<()> {
        self.in_tiles(picture, [tile, self.reach()], |noisy| self.denoise(noisy, sigma), visit)
    }

    /// Replaces a picture by what `change` makes of it, in tiles. A pixel of the result depends on no pixel farther away
    /// than `reach`.
    pub(crate) fn in_tiles(
        &self,
        picture: &mut impl Raster,
        [tile, reach]: [usize; 2],
        change: impl Fn(&Image) -> Result<Image>,
        mut visit: impl FnMut(usize),
    ) -> Result<()> {
        let [channels, height, width] = picture.shape();
        let stride = self.stride();
        let reach = reach.next_multiple_of(stride);
        let tile = tile.min(height.max(width)).max(reach).next_multiple_of(stride);
        // Noisy pixels that are already overwritten, but are margins of later tiles: rows above, columns to the left.
        let mut above = Image::from_fn(channels, reach, width, |_, _, _| 0.0);
        let mut below = above.clone();
        let mut beside = Image::from_fn(channels, tile, reach, |_, _, _| 0.0);
        for (top, bottom) in spans(height, tile) {
            for (left, right) in spans(width, tile) {
                let (from_top, from_left) = (top.saturating_sub(reach), left.saturating_sub(reach));
                let (to_bottom, to_right) =
                    ((bottom + reach).min(height), (right + reach).min(width));
                let mut noisy =
                    picture.window(from_top, from_left, to_bottom - from_top, to_right - from_left);
                if top > 0 {
                    noisy.put(0, 0, &above.window(0, from_left, reach, to_right - from_left));
                }
                if left > 0 {
                    noisy.put(top - from_top, 0, &beside.window(0, 0, bottom - top, reach));
                }
                // Save the last rows and columns of the tile for the tiles below and to the right.
                if bottom < height {
                    let rows = noisy.window(
                        bottom - reach - from_top,
                        left - from_left,
                        reach,
                        right - left,
                    );
                    below.put(0, left, &rows);
                }
                if right < width {
                    let columns = noisy.window(
                        top - from_top,
                        right - reach - from_left,
                        bottom - top,
                        reach,
                    );
                    beside.put(0, 0, &columns);
                }
                let estimate = change(&noisy)?;
                picture.put(
                    top,
                    left,
                    &estimate.window(top - from_top, left - from_left, bottom - top, right - left),
                );
                visit((bottom - top) * (right - left));
            }
            std::mem::swap(&mut above, &mut below);
        }
        Ok(())
    }
}

/// The first and last (exclusive) pixel of each tile along a side.
fn spans(length: usize, tile: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..length).step_by(tile).map(move |first| (first, (first + tile).min(length)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use pudle_core::{AnyPudle, ConvConfig, Pudle, PudleConfig};
    use pudle_data::{Normalization, add_gaussian, scene};

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::denoiser::ShiftCount;

    fn denoiser(channels: usize) -> Denoiser {
        let device = Device::flex();
        let shape = ConvConfig { atoms: 20, channels, size: 7, stride: 3 };
        let config = PudleConfig::conv2d(shape).with_layers(4).with_step(0.15).with_lambda(0.08);
        let model = AnyPudle::Conv2d(Pudle::new(&config, 3, &device).unwrap());
        let checkpoint =
            Checkpoint { config, model, sigma: None, normalization: Normalization::none() };
        Denoiser::new(checkpoint, "test", &device).unwrap()
    }

    #[test]
    fn tiles_make_no_difference() {
        let clean = scene(101, 86, 1);
        for (channels, shifts) in
            [(1, ShiftCount::Count(1)), (1, ShiftCount::Count(5)), (3, ShiftCount::All)]
        {
            let denoiser = denoiser(channels).with_shifts(shifts).unwrap();
            assert_eq!(denoiser.reach(), 30);
            for picture in [add_gaussian(&clean, 25.0, 2), add_gaussian(&clean.to_gray(), 25.0, 2)]
            {
                let whole = denoiser.denoise(&picture, None).unwrap();
                for tile in [1, 34, 60, 90, 1000, usize::MAX] {
                    let mut tiled = picture.clone();
                    let mut done = 0;
                    denoiser
                        .denoise_tiles(&mut tiled, None, tile, |pixels| done += pixels)
                        .unwrap();
                    assert_eq!(done, 101 * 86);
                    let difference = tiled.data.iter().zip(&whole.data).map(|(a, b)| (a - b).abs());
                    let largest = difference.fold(0.0, f32::max);
                    assert!(largest < 2e-6, "tiles of {tile}: {largest}");
                }
            }
        }
    }

    #[test]
    fn pictures_smaller_than_an_atom_are_denoised() {
        for (height, width) in [(1, 1), (3, 3), (1, 90), (90, 2), (6, 7)] {
            let clean = Image::from_fn(1, height, width, |_, _, _| 0.5);
            let denoiser = denoiser(1);
            let estimate = denoiser.denoise(&clean, None).unwrap();
            assert_eq!(estimate.shape(), [1, height, width]);
            let mut tiled = clean;
            denoiser.denoise_tiles(&mut tiled, None, 32, |_| {}).unwrap();
            assert_eq!(tiled.shape(), [1, height, width]);
            assert!(estimate.data.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn nothing_beyond_the_reach_counts() {
        let picture = add_gaussian(&scene(120, 90, 1).to_gray(), 25.0, 2);
        let denoiser = denoiser(1).with_shifts(ShiftCount::All).unwrap();
        let mut other = picture.clone();
        let reach = denoiser.reach();
        for y in 0..90 {
            for x in 50 + reach..120 {
                other.data[y * 120 + x] = 0.0;
            }
        }
        let [one, two] = [&picture, &other].map(|picture| denoiser.denoise(picture, None).unwrap());
        assert_ne!(one.window(0, 50, 90, 30), two.window(0, 50, 90, 30));
        let (one, two) = (one.window(0, 0, 90, 50), two.window(0, 0, 90, 50));
        assert!(one.data.iter().zip(&two.data).all(|(a, b)| (a - b).abs() < 2e-6));
    }
}
