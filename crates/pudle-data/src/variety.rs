//! More variety than a folder of photographs has: other colours, and drawings among the photographs.

use pudle_core::RangeError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::drawing;
use crate::error::check_real;
use crate::image::{Image, luma};

/// What a source of photographs adds to them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Variety {
    /// Probability that the colours of a crop are changed: its channels change places, its hue turns and its saturation
    /// grows or falls. It does nothing for grey pictures. From 0 to 1.
    pub recolored: f32,
    /// Share of the crops that are drawings of flat, mostly saturated surfaces, of screens and of text, from 0 to 1.
    pub drawn: f32,
}

impl Variety {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Returns an error with the name of the setting in a file, its value and its range.
    pub fn check(&self) -> Result<(), RangeError> {
        check_real("data.recolored", self.recolored, 0.0, 1.0)?;
        check_real("data.drawn", self.drawn, 0.0, 1.0)
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a crop of a photograph, or replaces it by a drawing.
    pub(crate) fn apply(&self, crop: Image, rng: &mut ChaCha8Rng) -> Image {
        if rng.random::<f32>() < self.drawn {
            let drawing = drawing::draw(crop.width.max(crop.height), rng);
            let drawing = drawing.crop(0, 0, crop.height, crop.width);
            return if crop.channels == 1 { drawing.to_gray() } else { drawing };
        }
        if rng.random::<f32>() < self.recolored && crop.channels == 3 {
            return recolor(crop, rng);
        }
        crop
    }
}

/// Channels in a random order, a hue turned around the axis of greys by a random angle, and a saturation of 0.5 to 2 times
/// what it was.
fn recolor(mut crop: Image, rng: &mut ChaCha8Rng) -> Image {
    let first = rng.random_range(0..3);
    let step = rng.random_range(1..3);
    let order = [first, (first + step) % 3, (first + 2 * step) % 3];
    let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
    let saturation = (2.0 * rng.random::<f32>() - 1.0).exp2();
    // Rodrigues' rotation about (1, 1, 1)/√3.
    let (same, side) = ((1.0 - cos) / 3.0, sin / 3f32.sqrt());
    let area = crop.height * crop.width;
    for i in 0..area {
        let [r, g, b] = order.map(|c| crop.data[c * area + i]);
        let grey = same * (r + g + b);
        let turned = [
            cos * r + grey + side * (b - g),
            cos * g + grey + side * (r - b),
            cos * b + grey + side * (g - r),
        ];
        let level = luma(turned[0], turned[1], turned[2]);
        for (c, value) in turned.into_iter().enumerate() {
            crop.data[c * area + i] = (level + saturation * (value - level)).clamp(0.0, 1.0);
        }
    }
    crop
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, step_rng};
    use crate::scene::scene;

    #[test]
    fn other_colours_keep_greys_and_stay_in_range() {
        let all = Variety { recolored: 1.0, drawn: 0.0 };
        let grey = Image::from_fn(3, 6, 5, |_, y, x| (y * 5 + x) as f32 / 30.0);
        let colour = scene(40, 30, 1);
        for k in 0..20 {
            let mut rng = step_rng(3, Stream::Variety, k);
            let same = all.apply(grey.clone(), &mut rng);
            let far = same.data.iter().zip(&grey.data).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f32::max) < 1e-5, "{k}");
            let other = all.apply(colour.clone(), &mut rng);
            assert!(other.psnr(&colour, 1.0) < 45.0, "{k}: {}", other.psnr(&colour, 1.0));
            assert!(other.data.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    #[test]
    fn shares_are_kept() {
        let half = Variety { recolored: 0.0, drawn: 0.5 };
        let crop = scene(20, 20, 1).to_gray();
        let drawn = (0..200)
            .filter(|&k| half.apply(crop.clone(), &mut step_rng(4, Stream::Variety, k)) != crop)
            .count();
        assert!((75..125).contains(&drawn), "{drawn}");
    }
}
