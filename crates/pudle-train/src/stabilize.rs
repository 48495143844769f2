//! Pictures on a scale on which their noise is the same everywhere.

use pudle_data::{Image, LightNoise, NoiseLevel};

/// A change of the values of a picture, before and after denoising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stabilizer {
    /// None.
    Same,
    /// From the range that the picture fills to \[0, 1\].
    Range([f32; 2]),
    /// The generalised Anscombe transform, for noise whose variance grows with the level.
    Light(Anscombe),
}

/// The generalised Anscombe transform `2 √(z + 3/8 + g)` of values `z` in units of the noise's gain, where `z + g` is the
/// variance of the noise, scaled so that the range of the picture becomes \[0, 1\]. The noise then has the same variance at
/// all levels. Murtagh, Starck & Bijaoui, *Image restoration with noise suppression using a multiresolution support*
/// (Astronomy & Astrophysics Supplement 1995).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anscombe {
    /// `z` is `(value - offset) · factor`.
    offset: f32,
    factor: f32,
    /// `g`.
    base: f32,
    /// Values of the transform at the ends of the picture's range.
    ends: [f32; 2],
}

impl Anscombe {
    fn new(light: &LightNoise, [low, high]: [f32; 2]) -> Self {
        let gain = light.gain;
        let (factor, base) = (255.0 / (high - low) / gain, light.base / gain / gain);
        let mut made = Self { offset: low, factor, base, ends: [0.0, 1.0] };
        made.ends = [low, high].map(|value| made.root(value));
        made
    }

    fn root(&self, value: f32) -> f32 {
        2.0 * ((value - self.offset) * self.factor + 0.375 + self.base).max(0.0).sqrt()
    }

    fn forward(&self, value: f32) -> f32 {
        (self.root(value) - self.ends[0]) / (self.ends[1] - self.ends[0])
    }

    /// The value whose transform this is, for `kept = 1`. For `kept = 0`, the mean of the values whose transforms have this
    /// mean: the transform is curved, so that the two differ. Mäkitalo & Foi, *Optimal inversion of the generalized Anscombe
    /// transformation for Poisson-Gaussian noise* (IEEE Trans. Image Processing 2013), the closed form.
    fn inverse(&self, transformed: f32, kept: f32) -> f32 {
        let root = transformed * (self.ends[1] - self.ends[0]) + self.ends[0];
        // Below this, the variance would be negative.
        let least = 2.0 * 0.375f32.sqrt();
        let plain = 0.25 * root * root.abs() - 0.375;
        let d = root.max(least);
        let series = 0.25 * 1.5f32.sqrt() / d - 1.375 / (d * d) + 0.625 * 1.5f32.sqrt() / d.powi(3);
        let z = plain + (1.0 - kept) * (series + 0.25) - self.base;
        z / self.factor + self.offset
    }

    /// Standard deviation of the noise after the transform.
    fn sigma(&self) -> f32 {
        1.0 / (self.ends[1] - self.ends[0])
    }
}

impl Stabilizer {
    /// The change for this noise.
    pub fn new(level: &NoiseLevel) -> Self {
        match (&level.light, level.range) {
            (Some(light), range) => Self::Light(Anscombe::new(light, range.unwrap_or([0.0, 1.0]))),
            (None, Some(range)) => Self::Range(range),
            (None, None) => Self::Same,
        }
    }

    /// The noise after the change: white if it grew with the light.
    pub fn noise(&self, level: &NoiseLevel) -> NoiseLevel {
        match self {
            Self::Light(light) => NoiseLevel::white(255.0 * light.sigma(), level.spectra.len()),
            _ => NoiseLevel { range: None, ..level.clone() },
        }
    }

    pub fn forward(&self, picture: &Image) -> Image {
        let change = |value: f32| match self {
            Self::Same => value,
            Self::Range([low, high]) => (value - low) / (high - low),
            Self::Light(light) => light.forward(value),
        };
        Image { data: picture.data.iter().map(|v| change(*v)).collect(), ..*picture }
    }

    /// The picture before the change. `kept` says, in one channel, how much of the noise is still there.
    pub fn inverse(&self, picture: &Image, kept: &Image) -> Image {
        let kept = kept.data.iter().cycle();
        let change = |(value, kept): (&f32, &f32)| match self {
            Self::Same => *value,
            Self::Range([low, high]) => low + value * (high - low),
            Self::Light(light) => light.inverse(*value, *kept),
        };
        Image { data: picture.data.iter().zip(kept).map(change).collect(), ..*picture }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light(base: f32, gain: f32) -> NoiseLevel {
        NoiseLevel { light: Some(LightNoise { base, gain }), ..NoiseLevel::white(10.0, 1) }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let picture = Image::from_fn(3, 4, 50, |c, y, x| (c + 3 * y + 7 * x) as f32 / 360.0);
        let kept = Image::from_fn(1, 4, 50, |_, _, _| 1.0);
        for level in [
            NoiseLevel::white(3.0, 3),
            NoiseLevel { range: Some([0.0, 0.2]), ..NoiseLevel::white(3.0, 3) },
            light(160.0, 4.2),
            light(0.0, 0.2),
        ] {
            let stabilizer = Stabilizer::new(&level);
            let back = stabilizer.inverse(&stabilizer.forward(&picture), &kept);
            let far = back.data.iter().zip(&picture.data).map(|(a, b)| (a - b).abs());
            assert!(far.fold(0.0, f32::max) < 2e-5, "{level:?}");
        }
    }

    #[test]
    fn the_noise_of_light_becomes_even_and_its_mean_stays() {
        use pudle_data::{Stream, step_rng};
        use rand::RngExt;
        // Sums of uniform values as normal ones, with variance 160 + 4.2 v.
        let mut rng = step_rng(1, Stream::Noise, 0);
        let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let stabilizer = Stabilizer::new(&light(160.0, 4.2));
        let expected = stabilizer.noise(&light(160.0, 4.2)).sigma / 255.0;
        for level in [60.0f32, 120.0, 200.0] {
            let noisy = Image::from_fn(1, 100, 100, |_, _, _| {
                (level + normal() * (160.0 + 4.2 * level).sqrt()) / 255.0
            });
            let even = stabilizer.forward(&noisy);
            let mean = even.data.iter().sum::<f32>() / 1e4;
            let deviation =
                (even.data.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 1e4).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.05, "{level}: {deviation}, {expected}");
            let flat = Image::from_fn(1, 1, 1, |_, _, _| mean);
            let none = Image::from_fn(1, 1, 1, |_, _, _| 0.0);
            let back = 255.0 * stabilizer.inverse(&flat, &none).data[0];
            assert!((back - level).abs() < 0.8, "{level}: {back}");
        }
    }
}
