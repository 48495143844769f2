//! Random crops of pictures, for training.

use std::sync::Arc;

use rand::RngExt;

use crate::error::{DataError, Result, check_count};
use crate::image::Image;
use crate::noise::{Sigma, add_noise};
use crate::noise_kinds::NoiseKinds;
use crate::order::Order;
use crate::pictures::{Pictures, Readable};
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};
use crate::variety::Variety;

/// The settings of [`Crops`].
#[derive(Clone, Debug, PartialEq)]
pub struct CropConfig {
    /// Side of the square crops in pixels, 1 to 4096.
    pub crop: usize,
    /// Crops per batch, 1 to 65536.
    pub batch: usize,
    /// Standard deviation of the noise on the 0 to 255 scale, 0 to 255; 0 for none. For a range, each crop
    /// has a level of its own.
    pub sigma: Sigma,
    /// Whether each crop is mirrored left to right and top to bottom, each with probability ½.
    pub flips: bool,
    /// The kinds of the noise; `None` for white Gaussian noise.
    pub noise: Option<NoiseKinds>,
    /// Other colours, and drawings among the crops.
    pub variety: Variety,
    /// Seed of order, positions, flips and noise.
    pub seed: u64,
}

impl Default for CropConfig {
    /// Four flipped crops of 128 × 128 with σ = 25.
    fn default() -> Self {
        Self {
            crop: 128,
            batch: 4,
            sigma: Sigma::At(25.0),
            flips: true,
            noise: None,
            variety: Variety::default(),
            seed: 0,
        }
    }
}

/// Random square crops of pictures, with white Gaussian noise or other [kinds](NoiseKinds). The input is the
/// noisy crop and the target the clean one; both have the shape `[batch, channels, crop, crop]`.
///
/// Every pass over the pictures has its own random order and takes one crop of each picture, at a
/// uniformly random position. Pictures smaller than the crop are first extended by
/// reflection. An unreadable picture is replaced by the next readable one.
#[derive(Debug)]
pub struct Crops<P> {
    pictures: Readable<P>,
    config: CropConfig,
    order: Order,
}

impl<P: Pictures> Crops<P> {
    /// Crops of `pictures`, which may be a shared [`Arc`].
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, a batch would exceed 2³¹ values, or there are no pictures.
    pub fn new(pictures: P, config: CropConfig) -> Result<Self> {
        check_count("crop", config.crop, 1, 4096)?;
        check_count("batch", config.batch, 1, 1 << 16)?;
        config.sigma.check("sigma")?;
        config.noise.map_or(Ok(()), |kinds| kinds.check())?;
        config.variety.check()?;
        let pictures = Readable::new(pictures)?;
        // In 64 bits: at most 2^16 · 2^24 pixels times a few channels.
        let pixels = (config.batch * config.crop * config.crop) as u64;
        let values = pixels.saturating_mul(pictures.pictures().channels() as u64);
        if values > 1 << 31 {
            return Err(DataError::range("values in a batch", values, "at most 2147483648"));
        }
        let order = Order::new(config.seed, pictures.pictures().len());
        Ok(Self { pictures, config, order })
    }

    /// The settings.
    pub fn config(&self) -> &CropConfig {
        &self.config
    }

    /// The clean crop of picture `i` for the sample `number`, counted over all steps.
    fn crop(&self, number: u64, i: usize) -> Result<Image> {
        let side = self.config.crop;
        let mut picture = self.pictures.get(i)?;
        if picture.height < side || picture.width < side {
            picture = Arc::new(picture.pad_reflect_to(side, side));
        }
        let mut rng = step_rng(self.config.seed, Stream::Crop, number);
        let top = rng.random_range(0..=picture.height - side);
        let left = rng.random_range(0..=picture.width - side);
        let mut crop = picture.crop(top, left, side, side);
        if self.config.flips && rng.random() {
            crop = crop.flip_horizontal();
        }
        if self.config.flips && rng.random() {
            crop = crop.flip_vertical();
        }
        if !self.config.variety.is_none() {
            // Its own random stream, so that the other draws do not depend on it.
            let mut rng = step_rng(self.config.seed, Stream::Variety, number);
            crop = self.config.variety.apply(crop, &mut rng);
        }
        Ok(crop)
    }
}

impl<P: Pictures> Source for Crops<P> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let CropConfig { crop: side, batch, sigma, noise: kinds, seed, .. } = self.config;
        let channels = self.pictures.pictures().channels();
        let shape = vec![batch, channels, side, side];
        let mut target = Vec::with_capacity(shape.iter().product());
        let mut input = Vec::with_capacity(target.capacity());
        let mut noise = Vec::with_capacity(batch);
        for (number, i) in self.order.batch(step, batch) {
            let mut crop = self.crop(number, i)?;
            target.extend_from_slice(&crop.data);
            // Noise has its own random stream, so that it does not depend on the draws for flips.
            let mut rng = step_rng(seed, Stream::Noise, number);
            let sigma = sigma.draw(&mut rng);
            match kinds {
                None => add_noise(&mut crop.data, sigma / 255.0, &mut rng),
                Some(kinds) => kinds.add(&mut crop, sigma, &mut rng),
            }
            input.extend(crop.data);
            noise.push(sigma);
        }
        Ok(Batch { shape, input, target, noise, support: None })
    }

    fn describe(&self) -> String {
        let CropConfig { crop, batch, sigma, flips, noise, .. } = self.config;
        let noise = if noise.is_some() { " of several kinds" } else { "" };
        let flips = if flips { ", flipped at random" } else { "" };
        let from = self.pictures.pictures().describe();
        format!("{batch} crops of {crop}×{crop}{flips}, σ = {sigma}{noise}, from {from}")
    }
}

#[cfg(test)]
mod tests;
