//! Drawn pictures of occluding discs.

use std::path::PathBuf;

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::photographs::{
    CACHED_IMAGES, LONGEST_SIDE, PhotographSettings, channels, crops_fit, validate_crops,
    values_per_crop,
};
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::crops::{CropConfig, Crops};
use crate::dead_leaves::{DeadLeaves, DeadLeavesConfig};
use crate::error::{Result, check_count};
use crate::noise::Sigma;
use crate::noise_kinds::NoiseKinds;
use crate::variety::Variety;
use crate::whole_pictures::WholePictures;

/// Number of pictures that a run validates on.
const VALIDATION_PICTURES: usize = 8;

/// Noisy random crops of drawn pictures, [`DeadLeaves`]; the target is the clean crop. For a `conv2d` dictionary of one
/// channel (grey) or three (colour). Validation is on eight other pictures, whole and with fixed noise.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `side` | — | side of a picture in pixels | `crop` to 4096 |
/// | `count` | — | number of different pictures | 1 to 10⁷ |
/// | `crop` | — | side of a crop in pixels | size of the filters to 4096 |
/// | `sigma` | — | standard deviation of the noise on the scale 0 … 255: a number, or `[low, high]` for a level drawn for each crop | 0 to 255 |
/// | `flips` | — | whether crops are mirrored at random along both axes | |
/// | `cached_images` | 512 | pictures in memory | ≥ 0 |
/// | `noise` | white | kinds of the noise, a table: see [`NoiseKinds`] | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLeavesSettings {
    /// Side of a picture in pixels.
    pub side: usize,
    /// Number of different pictures.
    pub count: usize,
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Standard deviation of the noise, on the scale 0 … 255.
    pub sigma: Sigma,
    /// Whether crops are mirrored at random along both axes.
    pub flips: bool,
    /// Pictures in memory, 512 if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_images: Option<usize>,
    /// Kinds of the noise; white if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseKinds>,
}

impl DeadLeavesSettings {
    /// Mirrored crops of a thousand pictures of 180×180 pixels.
    pub fn new(crop: usize, sigma: Sigma) -> Self {
        Self { side: 180, count: 1000, crop, sigma, flips: true, cached_images: None, noise: None }
    }

    /// The same crops, of the photographs in `dir`.
    pub(super) fn in_folder(&self, dir: PathBuf) -> PhotographSettings {
        let Self { crop, sigma, flips, cached_images, noise, .. } = *self;
        PhotographSettings {
            flips,
            cached_images,
            noise,
            ..PhotographSettings::new(dir, crop, sigma)
        }
    }

    fn pictures(&self, count: usize, seed: u64, options: &OpenOptions<'_>) -> Result<DeadLeaves> {
        DeadLeaves::new(DeadLeavesConfig {
            height: self.side,
            width: self.side,
            channels: channels(&options.dictionary),
            count,
            seed,
            ..DeadLeavesConfig::default()
        })
    }
}

impl SourceSettings for DeadLeavesSettings {
    fn validate(&self) -> Result<(), RangeError> {
        validate_crops(self.crop, self.sigma, self.noise)?;
        check_count("data.side", self.side, self.crop, LONGEST_SIDE)?;
        fit::check_data_count(self.count)
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        crops_fit(self.crop, dictionary)
    }

    fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize {
        values_per_crop(self.crop, dictionary)
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        let OpenOptions { batch, seed, .. } = *options;
        let Self { crop, sigma, flips, noise, .. } = *self;
        let capacity = self.cached_images.unwrap_or(CACHED_IMAGES);
        let pictures = self.pictures(self.count, seed, options)?.with_capacity(capacity);
        let variety = Variety::default();
        let config = CropConfig { crop, batch, sigma, flips, noise, variety, seed };
        let training = Crops::new(pictures, config)?;
        // Other pictures than those of training: nobody chooses the complement of a seed as another seed.
        let pictures = self.pictures(VALIDATION_PICTURES, !seed, options)?;
        let validation = WholePictures::new(pictures, sigma.middle(), seed)?;
        let count = validation.len() as u64;
        Ok(Opened::new(training).with_validation(validation, count))
    }

    fn crop(&self) -> Option<usize> {
        Some(self.crop)
    }

    fn cached_images_mut(&mut self) -> Option<&mut Option<usize>> {
        Some(&mut self.cached_images)
    }
}
