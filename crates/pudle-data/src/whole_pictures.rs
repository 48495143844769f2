//! Whole pictures, one at a time, for validation.

use crate::error::{Result, check_count, check_real};
use crate::noise::add_validation_noise;
use crate::pictures::{Pictures, Readable};
use crate::source::{Batch, Source};

/// Whole pictures for validation. Step `k` is picture `k` (modulo their number) as a batch of one,
/// `[1, channels, height, width]`. The noise depends on the seed and the picture's number
/// alone, so that every evaluation sees the same noise.
#[derive(Debug)]
pub struct WholePictures<P> {
    pictures: Readable<P>,
    count: usize,
    max_side: usize,
    sigma: f32,
    seed: u64,
}

impl<P: Pictures> WholePictures<P> {
    /// All of `pictures`, with noise of standard deviation `sigma` on the 0 to 255 scale.
    ///
    /// # Errors
    /// Returns an error if `sigma` is not in 0 to 255 or there are no pictures.
    pub fn new(pictures: P, sigma: f32, seed: u64) -> Result<Self> {
        check_real("sigma", sigma, 0.0, 255.0)?;
        let count = pictures.len();
        let pictures = Readable::new(pictures)?;
        Ok(Self { pictures, count, max_side: usize::MAX, sigma, seed })
    }

    /// Only the first `n` pictures, or all if there are fewer.
    ///
    /// # Errors
    /// Returns an error if `n` is 0.
    pub fn first(mut self, n: usize) -> Result<Self> {
        check_count("number of validation pictures", n, 1, usize::MAX)?;
        self.count = self.count.min(n);
        Ok(self)
    }

    /// Crops pictures with a side longer than `side` pixels to their central part.
    ///
    /// # Errors
    /// Returns an error if `side` is 0.
    pub fn max_side(mut self, side: usize) -> Result<Self> {
        check_count("largest side of validation pictures", side, 1, usize::MAX)?;
        self.max_side = side;
        Ok(self)
    }

    /// Number of pictures, at least one.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<P: Pictures> Source for WholePictures<P> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let i = step % self.count as u64;
        let picture = self.pictures.get(i as usize)?.crop_center(self.max_side, self.max_side);
        let shape = vec![1, picture.channels, picture.height, picture.width];
        let input = add_validation_noise(&picture, self.sigma, self.seed, i).data;
        let (target, noise) = (picture.data, vec![self.sigma]);
        Ok(Batch { shape, input, target, noise, support: None })
    }

    fn describe(&self) -> String {
        let from = self.pictures.pictures().describe();
        format!("first {} whole of {from}, σ = {}", self.count, self.sigma)
    }
}
