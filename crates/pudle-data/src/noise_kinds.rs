//! The noise of photographs, for training: white, of light, correlated, demosaiced, and JPEG after it.

use pudle_core::RangeError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use serde::{Deserialize, Serialize};

use crate::error::check_real;
use crate::image::Image;
use crate::jpeg;
use crate::noise::add_noise;

/// Kinds of noise that a source draws from, for each crop. Whatever the kind, the root mean square of the noise over the
/// crop is the level that was drawn for it, `sigma`, before it is clipped or compressed. This is also the level that the
/// model is told.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `white` | 1 | how often the noise is white and Gaussian, relative to the other kinds | ≥ 0 |
/// | `poisson-gaussian` | 0 | how often it is that of counted light plus white noise: its variance grows with the pixel's value | ≥ 0 |
/// | `correlated` | 0 | how often it is smeared over neighbours, as by a resize | ≥ 0 |
/// | `demosaiced` | 0 | how often it is white noise behind a colour filter, and interpolated as in a camera | ≥ 0 |
/// | `read` | `[0, 1]` | range of the white part of `poisson-gaussian`, as a share of its variance | 0 to 1 |
/// | `blur` | `[0.25, 1]` | range of the blur of `correlated` in pixels, the standard deviation of a Gaussian | 0 to 4 |
/// | `clipped` | 0 | probability that the noisy crop is clipped and rounded to 8 bits | 0 to 1 |
/// | `jpeg` | 0 | probability that the noisy crop is clipped, rounded and compressed as JPEG | 0 to 1 |
/// | `quality` | `[60, 95]` | range of the quality of JPEG | 1 to 100 |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NoiseKinds {
    /// How often the noise is white and Gaussian, relative to the other kinds.
    pub white: f32,
    /// How often its variance grows with the pixel's value.
    pub poisson_gaussian: f32,
    /// How often it is smeared over neighbours.
    pub correlated: f32,
    /// How often it is interpolated as behind a camera's colour filter.
    pub demosaiced: f32,
    /// Range of the white part of `poisson_gaussian`, as a share of its variance.
    pub read: [f32; 2],
    /// Range of the blur of `correlated` in pixels.
    pub blur: [f32; 2],
    /// Probability that the noisy crop is clipped and rounded to 8 bits.
    pub clipped: f32,
    /// Probability that the noisy crop is compressed as JPEG.
    pub jpeg: f32,
    /// Range of the quality of JPEG.
    pub quality: [u8; 2],
}

impl Default for NoiseKinds {
    /// White noise alone, not clipped.
    fn default() -> Self {
        Self {
            white: 1.0,
            poisson_gaussian: 0.0,
            correlated: 0.0,
            demosaiced: 0.0,
            read: [0.0, 1.0],
            blur: [0.25, 1.0],
            clipped: 0.0,
            jpeg: 0.0,
            quality: [60, 95],
        }
    }
}

/// A range of a setting is in order and within bounds.
fn check_range(
    field: &'static str,
    [low, high]: [f32; 2],
    least: f32,
    most: f32,
) -> Result<(), RangeError> {
    check_real(field, low, least, most)?;
    check_real(field, high, low, most)
}

fn between([low, high]: [f32; 2], rng: &mut ChaCha8Rng) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

impl NoiseKinds {
    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// Returns an error with the name of the setting in a file, its value and its range.
    pub fn check(&self) -> Result<(), RangeError> {
        let most = 1e6;
        check_real("data.noise.white", self.white, 0.0, most)?;
        check_real("data.noise.poisson-gaussian", self.poisson_gaussian, 0.0, most)?;
        check_real("data.noise.correlated", self.correlated, 0.0, most)?;
        check_real("data.noise.demosaiced", self.demosaiced, 0.0, most)?;
        if self.weights().iter().sum::<f32>() <= 0.0 {
            let range = "above 0 for at least one kind of noise";
            return Err(RangeError::new("data.noise.white", self.white, range));
        }
        check_range("data.noise.read", self.read, 0.0, 1.0)?;
        check_range("data.noise.blur", self.blur, 0.0, 4.0)?;
        check_range("data.noise.quality", self.quality.map(f32::from), 1.0, 100.0)?;
        check_real("data.noise.clipped", self.clipped, 0.0, 1.0)?;
        check_real("data.noise.jpeg", self.jpeg, 0.0, 1.0)
    }

    fn weights(&self) -> [f32; 4] {
        [self.white, self.poisson_gaussian, self.correlated, self.demosaiced]
    }

    /// Adds noise of root mean square `sigma`, on the scale 0 … 255, to a crop. All draws are from `rng`.
    pub(crate) fn add(&self, crop: &mut Image, sigma: f32, rng: &mut ChaCha8Rng) {
        let weights = self.weights();
        let mut left = rng.random::<f32>() * weights.iter().sum::<f32>();
        let mut kind = 0;
        while kind < 3 && left >= weights[kind] {
            left -= weights[kind];
            kind += 1;
        }
        let sd = sigma / 255.0;
        match kind {
            0 => add_noise(&mut crop.data, sd, rng),
            1 => add_light(&mut crop.data, sd, between(self.read, rng), rng),
            2 => {
                let blur = between(self.blur, rng);
                add_scaled(crop, &correlated(crop.shape(), blur, rng), sd);
            }
            _ => add_scaled(crop, &demosaiced(crop.shape(), rng), sd),
        }
        let stored = rng.random::<f32>();
        if stored < self.jpeg {
            let quality = rng.random_range(self.quality[0]..=self.quality[1]);
            let grid = [rng.random_range(0..jpeg::SIDE), rng.random_range(0..jpeg::SIDE)];
            *crop = jpeg::compress(crop, quality, grid);
        } else if rng.random::<f32>() < self.clipped {
            crop.data.iter_mut().for_each(|v| *v = (v.clamp(0.0, 1.0) * 255.0).round() / 255.0);
        }
    }
}

/// The noise of counted light: `g Poisson(v / g)` in the place of `v`, whose variance is `g v`, plus white noise with the
/// share `read` of the variance. Over the data, the mean of both variances is `sd²`.
fn add_light(data: &mut [f32], sd: f32, read: f32, rng: &mut ChaCha8Rng) {
    let mean = data.iter().map(|v| v.max(0.0)).sum::<f32>() / data.len() as f32;
    let gain = (1.0 - read) * sd * sd / mean.max(1e-3);
    if gain > 0.0 {
        for value in data.iter_mut().filter(|v| **v > 0.0) {
            if let Ok(counts) = Poisson::new(*value / gain) {
                let counted: f32 = counts.sample(rng);
                *value = gain * counted;
            }
        }
    }
    add_noise(data, sd * read.sqrt(), rng);
}

/// Adds noise after scaling it to the root mean square `sd`.
fn add_scaled(crop: &mut Image, noise: &[f32], sd: f32) {
    let power = noise.iter().map(|n| n * n).sum::<f32>() / noise.len() as f32;
    let factor = sd / power.sqrt().max(1e-12);
    for (value, n) in crop.data.iter_mut().zip(noise) {
        *value += factor * n;
    }
}

/// White noise, blurred by a Gaussian of standard deviation `blur` pixels.
fn correlated([channels, height, width]: [usize; 3], blur: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let radius = (4.0 * blur).ceil() as usize;
    let kernel: Vec<f32> = (0..=2 * radius)
        .map(|k| (k as f32 - radius as f32) / blur.max(1e-3))
        .map(|t| (-0.5 * t * t).exp())
        .collect();
    let wide = width + 2 * radius;
    let mut noise = Vec::with_capacity(channels * height * width);
    for _ in 0..channels {
        let mut white = vec![0.0; (height + 2 * radius) * wide];
        add_noise(&mut white, 1.0, rng);
        let across: Vec<f32> = white
            .chunks_exact(wide)
            .flat_map(|row| row.windows(kernel.len()).map(|part| dot(part, &kernel)))
            .collect();
        let column = |i: usize, k: usize| across[i + k * width] * kernel[k];
        noise.extend(
            (0..height * width).map(|i| (0..kernel.len()).map(|k| column(i, k)).sum::<f32>()),
        );
    }
    noise
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// White noise on the pixels of a camera behind a Bayer filter (red, green; green, blue), interpolated linearly to three
/// channels: the mean of the nearest pixels of a colour. For a grey picture, the luma of the three.
fn demosaiced([channels, height, width]: [usize; 3], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (tall, wide) = (height + 2, width + 2);
    let mut white = vec![0.0; tall * wide];
    add_noise(&mut white, 1.0, rng);
    let color = |y: usize, x: usize| match (y % 2, x % 2) {
        (0, 0) => 0,
        (1, 1) => 2,
        _ => 1,
    };
    let phase = [rng.random_range(0..2usize), rng.random_range(0..2usize)];
    let value = |c: usize, y: usize, x: usize| {
        let of = |dy: usize, dx: usize| color(y + dy + phase[0], x + dx + phase[1]) == c;
        if of(1, 1) {
            return white[(y + 1) * wide + x + 1];
        }
        let near = |cross: bool| {
            let places = (0..9usize).map(|k| (k / 3, k % 3));
            places.filter(move |(dy, dx)| ((dy + dx) % 2 == 1) == cross)
        };
        // The nearest pixels of a colour are beside and above, or else at the corners.
        let cross = near(true).any(|(dy, dx)| of(dy, dx));
        let mut sum = 0.0;
        let mut count = 0.0;
        for (dy, dx) in near(cross).filter(|&(dy, dx)| of(dy, dx)) {
            sum += white[(y + dy) * wide + x + dx];
            count += 1.0;
        }
        sum / count
    };
    let picture = Image::from_fn(3, height, width, value);
    match channels {
        1 => picture.to_gray().data,
        _ => picture.data,
    }
}

#[cfg(test)]
mod tests;
