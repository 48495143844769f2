//! Additive noise.

use std::fmt;

use pudle_core::RangeError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use serde::{Deserialize, Serialize};

use crate::error::check_real;
use crate::image::Image;
use crate::rng::{Stream, step_rng};

/// Standard deviation of noise on the 0 to 255 scale: one level, or a range of levels. In a file it is a number or
/// `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sigma {
    /// One level.
    At(f32),
    /// Any level between the two.
    Between([f32; 2]),
}

impl Sigma {
    /// The smallest level.
    pub fn low(self) -> f32 {
        match self {
            Sigma::At(sigma) | Sigma::Between([sigma, _]) => sigma,
        }
    }

    /// The largest level.
    pub fn high(self) -> f32 {
        match self {
            Sigma::At(sigma) | Sigma::Between([_, sigma]) => sigma,
        }
    }

    /// The middle of all levels.
    pub fn middle(self) -> f32 {
        0.5 * (self.low() + self.high())
    }

    /// The level nearest to `sigma`.
    pub fn nearest(self, sigma: f32) -> f32 {
        sigma.max(self.low()).min(self.high())
    }

    /// A level drawn uniformly.
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> f32 {
        match self {
            Sigma::At(sigma) => sigma,
            Sigma::Between([low, high]) => low + (high - low) * rng.random::<f32>(),
        }
    }

    /// Checks that the levels are in 0 to 255 and in order. `field` is the name of the setting.
    ///
    /// # Errors
    /// Returns an error with `field` and the level.
    pub fn check(self, field: &'static str) -> Result<(), RangeError> {
        check_real(field, self.low(), 0.0, 255.0)?;
        check_real(field, self.high(), self.low(), 255.0)
    }
}

impl From<f32> for Sigma {
    fn from(sigma: f32) -> Self {
        Sigma::At(sigma)
    }
}

impl fmt::Display for Sigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sigma::At(sigma) => write!(f, "{sigma}"),
            Sigma::Between([low, high]) => write!(f, "{low} … {high}"),
        }
    }
}

/// The picture plus white Gaussian noise of standard deviation `sigma_255 / 255`.
///
/// `sigma_255` is on the 0 to 255 scale in which noise levels are usually given (σ = 25, say),
/// while pixels are in \[0, 1\]. The result is not clipped, as clipped noise does not have the mean zero that
/// models assume. The noise depends on `seed` and the shape of the picture alone.
/// `sigma_255 = 0` returns the picture unchanged.
pub fn add_gaussian(image: &Image, sigma_255: f32, seed: u64) -> Image {
    let mut noisy = image.clone();
    add_noise(&mut noisy.data, sigma_255 / 255.0, &mut step_rng(seed, Stream::Noise, 0));
    noisy
}

/// [`add_gaussian`] for picture `k` of a validation set: the noise depends on `seed`, `k` and the shape of the picture, and
/// is unrelated between any two seeds or pictures.
pub fn add_validation_noise(image: &Image, sigma_255: f32, seed: u64, k: u64) -> Image {
    let mut noisy = image.clone();
    let mut rng = step_rng(seed, Stream::ValidationNoise, k);
    add_noise(&mut noisy.data, sigma_255 / 255.0, &mut rng);
    noisy
}

/// Adds white Gaussian noise of standard deviation `sd`, on the scale of `data`.
pub(crate) fn add_noise(data: &mut [f32], sd: f32, rng: &mut ChaCha8Rng) {
    if sd == 0.0 {
        return;
    }
    for value in data {
        let draw: f32 = StandardNormal.sample(rng);
        *value += sd * draw;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_given_deviation_and_is_not_clipped() {
        let white = Image::from_fn(1, 100, 100, |_, _, _| 1.0);
        let noisy = add_gaussian(&white, 25.0, 3);
        let n = noisy.data.len() as f64;
        let mean = noisy.data.iter().map(|&v| f64::from(v) - 1.0).sum::<f64>() / n;
        let var = noisy.data.iter().map(|&v| (f64::from(v) - 1.0).powi(2)).sum::<f64>() / n;
        let sigma = 25.0 / 255.0;
        // The mean's standard error is sigma/100, the deviation's about sigma/141.
        assert!(mean.abs() < 5.0 * sigma / 100.0, "mean {mean}");
        assert!((var.sqrt() - sigma).abs() < 5.0 * sigma / 141.0, "deviation {}", var.sqrt());
        assert!(noisy.max() > 1.1);
        assert_eq!(noisy, add_gaussian(&white, 25.0, 3));
        assert_ne!(noisy, add_gaussian(&white, 25.0, 4));
        assert_eq!(white, add_gaussian(&white, 0.0, 4));
    }
}
