//! Denoising of photographs with the noise that they have.

use pudle_data::{Image, NoiseLevel, Raster};

use crate::blend::{REACH, blend};
use crate::clipping::{self, unclip};
use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::stabilize::Stabilizer;

/// Noise below this standard deviation, on the scale 0 … 255 of the values that the picture holds, is less than what
/// rounding to 8 bits leaves.
const NONE: f32 = 0.3;
/// The smallest level that a network is told, if it was trained for none below. For less noise, the blend takes the rest.
const LEAST_TOLD: f32 = 5.0;
/// In a picture that was a JPEG, the residual holds this many times the power of the noise before it.
const JPEG_POWER: f32 = 1.15;
/// For noise under JPEG, a grey and a colour network are told this many times its level: the rounding has spread it over
/// neighbours, and in colour over larger squares.
const JPEG_TOLD: [f32; 2] = [1.03, 1.25];
/// The largest level that a network is told.
const MOST_TOLD: f32 = 255.0;

impl Denoiser {
    /// Denoises a picture with the noise that was measured in it, and keeps what the network cannot represent.
    ///
    /// 1. Values are changed so that the noise is the same everywhere: noise that grows with the light by the generalised
    ///    Anscombe transform, and dark data to the range that they fill.
    /// 2. The network denoises the picture for the noise's level in coarse detail.
    /// 3. What the estimate leaves out returns where it is more than noise: `x̂ + Σ w r` over bands of the residual
    ///    `r = y - x̂`, with a weight `w` from 0 to 1 for each place and band. The weights go to 1 as the noise goes to 0.
    /// 4. The values are changed back. The inverse of the Anscombe transform is the unbiased one.
    /// 5. Where noise was clipped at the limits of the file, values move from the mean of the clipped noise to what the noise
    ///    was added to.
    ///
    /// A picture without noise stays as it is, to the bit. `strength` is from 0 to 4: at 0 the picture stays as it is, below
    /// 1 the result is that share of the way from the picture to its estimate, and above 1 the noise counts as that much
    /// stronger.
    ///
    /// # Errors
    /// Returns the errors of [`denoise`](Self::denoise).
    pub fn restore(&self, noisy: &Image, level: &NoiseLevel, strength: f32) -> Result<Image> {
        if strength <= 0.0 || level.sigma < NONE {
            return Ok(noisy.clone());
        }
        let stabilizer = Stabilizer::new(level);
        let even = stabilizer.forward(noisy);
        let noise = stabilizer.noise(level).scaled(strength.max(1.0));
        let mut told = noise.coarse;
        let mut scale = 1.0 / (255.0 * 255.0);
        if noise.jpeg.is_some() {
            told *= JPEG_TOLD[usize::from(noisy.channels == 3)];
            scale *= JPEG_POWER;
        }
        let trained = self.trained_sigma().map_or(LEAST_TOLD, |sigma| sigma.low());
        let told = told.max(trained.min(LEAST_TOLD)).clamp(0.01, MOST_TOLD);
        let estimate = self.denoise(&even, Some(told))?;
        let spectra: Vec<[f32; 6]> =
            noise.spectra.iter().map(|powers| powers.map(|power| scale * power)).collect();
        let (blended, kept) = blend(&even, &estimate, &spectra);
        let mut restored = stabilizer.inverse(&blended, &kept);
        if level.jpeg.is_none() && level.range.is_none() {
            let white = level.sigma / 255.0;
            unclip(&mut restored, noisy, &kept, |value| match &level.light {
                Some(light) => light.variance(255.0 * value).sqrt() / 255.0,
                None => white,
            });
        }
        if strength < 1.0 {
            for (value, from) in restored.data.iter_mut().zip(&noisy.data) {
                *value = from + strength * (*value - from);
            }
        }
        Ok(restored)
    }

    /// Replaces a picture by the result of [`restore`](Self::restore), in tiles as
    /// [`denoise_tiles`](Self::denoise_tiles) does.
    ///
    /// # Errors
    /// Returns the errors of `restore`. A part of the picture may then be denoised already.
    pub fn restore_tiles(
        &self,
        picture: &mut impl Raster,
        level: &NoiseLevel,
        strength: f32,
        tile: usize,
        visit: impl FnMut(usize),
    ) -> Result<()> {
        if strength <= 0.0 || level.sigma < NONE {
            return Ok(());
        }
        let margin = self.reach() + REACH + clipping::REACH;
        self.in_tiles(picture, [tile, margin], |noisy| self.restore(noisy, level, strength), visit)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use pudle_core::{AnyPudle, ConvConfig, Pudle, PudleConfig};
    use pudle_data::{Normalization, Sigma, add_gaussian, scene};

    use super::*;
    use crate::checkpoint::Checkpoint;

    /// An untrained network, so that the estimate is bad.
    fn denoiser(channels: usize) -> Denoiser {
        let device = Device::flex();
        let shape = ConvConfig { atoms: 20, channels, size: 7, stride: 3 };
        let config = PudleConfig::conv2d(shape).with_layers(4).with_step(0.15).with_lambda(0.08);
        let model = AnyPudle::Conv2d(Pudle::new(&config, 3, &device).unwrap());
        let checkpoint = Checkpoint {
            config,
            model,
            sigma: Some(Sigma::Between([5.0, 50.0])),
            normalization: Normalization::none(),
        };
        Denoiser::new(checkpoint, "test", &device).unwrap()
    }

    fn change(one: &Image, two: &Image) -> f64 {
        -one.psnr(two, 1.0)
    }

    #[test]
    fn without_noise_or_strength_nothing_changes() {
        let picture = add_gaussian(&scene(101, 86, 1), 10.0, 2);
        let denoiser = denoiser(3);
        let level = NoiseLevel::white(10.0, 3);
        assert_eq!(denoiser.restore(&picture, &level, 0.0).unwrap(), picture);
        let none = NoiseLevel::white(0.0, 3);
        assert_eq!(denoiser.restore(&picture, &none, 1.0).unwrap(), picture);
        let dark = Image::from_fn(3, 40, 40, |_, _, _| 0.0);
        let black = denoiser.restore(&dark, &level, 1.0).unwrap();
        assert!(black.data.iter().all(|v| v.abs() < 0.5 / 255.0), "{}", black.max());
    }

    #[test]
    fn more_strength_changes_more() {
        let picture = add_gaussian(&scene(101, 86, 1), 10.0, 2);
        let level = NoiseLevel::white(10.0, 3);
        for denoiser in [denoiser(3), denoiser(1)] {
            let mut last = f64::NEG_INFINITY;
            for strength in [0.05, 0.3, 0.7, 1.0, 1.5, 2.5, 4.0] {
                let restored = denoiser.restore(&picture, &level, strength).unwrap();
                let change = change(&restored, &picture);
                assert!(change > last, "{strength}: {change} after {last}");
                last = change;
            }
        }
    }

    #[test]
    fn a_bad_estimate_does_little_harm() {
        let clean = scene(101, 86, 1).to_gray();
        let denoiser = denoiser(1);
        let network = denoiser.denoise(&clean, Some(5.0)).unwrap();
        assert!(network.psnr(&clean, 1.0) < 40.0);
        for sigma in [1.0, 3.0, 10.0] {
            let noisy = add_gaussian(&clean, sigma, 2);
            let restored = denoiser.restore(&noisy, &NoiseLevel::white(sigma, 1), 1.0).unwrap();
            assert!(restored.psnr(&clean, 1.0) > noisy.psnr(&clean, 1.0) - 0.5, "{sigma}");
        }
    }

    #[test]
    fn tiles_make_no_difference() {
        let picture = add_gaussian(&scene(161, 146, 1), 25.0, 2);
        let denoiser = denoiser(3);
        let level = NoiseLevel::white(25.0, 3);
        let whole = denoiser.restore(&picture, &level, 1.0).unwrap();
        for tile in [1, 70, 1000] {
            let mut tiled = picture.clone();
            denoiser.restore_tiles(&mut tiled, &level, 1.0, tile, |_| ()).unwrap();
            let difference = tiled.data.iter().zip(&whole.data).map(|(a, b)| (a - b).abs());
            let largest = difference.fold(0.0, f32::max);
            assert!(largest < 2e-5, "tiles of {tile}: {largest}");
        }
    }
}
