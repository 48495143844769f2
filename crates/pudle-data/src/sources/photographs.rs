//! Photographs in a folder.

use std::path::{Path, PathBuf};

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::crops::{CropConfig, Crops};
use crate::error::{Result, check_count};
use crate::fingerprint::Fingerprint;
use crate::folder::ImageFolder;
use crate::image::ColorMode;
use crate::noise::Sigma;
use crate::noise_kinds::NoiseKinds;
use crate::variety::Variety;
use crate::whole_pictures::WholePictures;

/// Longest side in pixels of a crop or of a drawn picture.
pub(super) const LONGEST_SIDE: usize = 4096;

/// Decoded pictures in memory unless the settings say otherwise.
pub(super) const CACHED_IMAGES: usize = 512;

/// Noisy random crops of the pictures in a folder; the target is the clean crop. For a `conv2d` dictionary of one channel
/// (grey) or three (colour).
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `dir` | — | folder of the pictures, searched with all folders below it | |
/// | `valid` | none | folder of pictures to validate on, whole and with fixed noise | |
/// | `crop` | — | side of a crop in pixels | size of the filters to 4096 |
/// | `sigma` | — | standard deviation of the noise on the scale 0 … 255: a number, or `[low, high]` for a level drawn for each crop | 0 to 255 |
/// | `flips` | — | whether crops are mirrored at random along both axes | |
/// | `cached_images` | 512 | decoded pictures in memory | ≥ 0 |
/// | `recolored` | 0 | probability that a crop in colour gets other colours: channels change places, the hue turns, the saturation changes | 0 to 1 |
/// | `drawn` | 0 | share of crops that are drawings of flat surfaces, screens and text | 0 to 1 |
/// | `noise` | white | kinds of the noise, a table: see [`NoiseKinds`] | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotographSettings {
    /// Folder of the pictures, searched with all folders below it.
    pub dir: PathBuf,
    /// Folder of pictures to validate on, whole and with fixed noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Standard deviation of the noise, on the scale 0 … 255.
    pub sigma: Sigma,
    /// Whether crops are mirrored at random along both axes.
    pub flips: bool,
    /// Decoded pictures in memory, 512 if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_images: Option<usize>,
    /// Probability that a crop in colour gets other colours.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recolored: f32,
    /// Share of crops that are drawings of flat surfaces, screens and text.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drawn: f32,
    /// Kinds of the noise; white if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseKinds>,
}

impl PhotographSettings {
    /// Mirrored crops of the pictures in `dir`, without validation.
    pub fn new(dir: impl Into<PathBuf>, crop: usize, sigma: Sigma) -> Self {
        Self {
            dir: dir.into(),
            valid: None,
            crop,
            sigma,
            flips: true,
            cached_images: None,
            recolored: 0.0,
            drawn: 0.0,
            noise: None,
        }
    }

    fn variety(&self) -> Variety {
        Variety { recolored: self.recolored, drawn: self.drawn }
    }

    fn folder(&self, dir: &Path, options: &OpenOptions<'_>) -> Result<ImageFolder> {
        let color = match channels(&options.dictionary) {
            3 => ColorMode::Rgb,
            _ => ColorMode::Gray,
        };
        let folder = ImageFolder::open(dir, color)?;
        Ok(folder.with_capacity(self.cached_images.unwrap_or(CACHED_IMAGES)))
    }
}

impl SourceSettings for PhotographSettings {
    fn validate(&self) -> Result<(), RangeError> {
        validate_crops(self.crop, self.sigma, self.noise)?;
        self.variety().check()
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
        let folder = self.folder(&self.dir, options)?;
        let paths = folder.paths().to_vec();
        let variety = self.variety();
        let config = CropConfig { crop, batch, sigma, flips, noise, variety, seed };
        let crops = Crops::new(folder, config)?;
        let opened = Opened::new(crops);
        let training = (self.dir.as_path(), &paths[..]);
        let Some(dir) = &self.valid else {
            return Ok(Opened { fingerprint: Some(Fingerprint::of([training])?), ..opened });
        };
        let folder = self.folder(dir, options)?;
        let fingerprint = Some(Fingerprint::of([training, (dir.as_path(), folder.paths())])?);
        let pictures = WholePictures::new(folder, sigma.middle(), seed)?;
        let count = pictures.len() as u64;
        Ok(Opened { fingerprint, ..opened }.with_validation(pictures, count))
    }

    fn crop(&self) -> Option<usize> {
        Some(self.crop)
    }

    fn validation_folder_mut(&mut self) -> Option<&mut Option<PathBuf>> {
        Some(&mut self.valid)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        [&mut self.dir].into_iter().chain(&mut self.valid).collect()
    }

    fn cached_images_mut(&mut self) -> Option<&mut Option<usize>> {
        Some(&mut self.cached_images)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

/// Checks side and noise of crops.
pub(super) fn validate_crops(
    crop: usize,
    sigma: Sigma,
    noise: Option<NoiseKinds>,
) -> Result<(), RangeError> {
    check_count("data.crop", crop, 1, LONGEST_SIDE)?;
    sigma.check("data.sigma")?;
    noise.map_or(Ok(()), |kinds| kinds.check())
}

/// Checks that crops of this side fit a dictionary.
pub(super) fn crops_fit(crop: usize, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
    let filters = fit::conv2d(dictionary, "pictures")?;
    if !matches!(filters.channels, 1 | 3) {
        let range = "1 (grey) or 3 (colour) for pictures";
        return Err(RangeError::new("model.dictionary.channels", filters.channels, range));
    }
    if crop < filters.size {
        let range = format!("at least {}, which is `model.dictionary.size`", filters.size);
        return Err(RangeError::new("data.crop", crop, range));
    }
    Ok(())
}

/// Values of a crop over the channels of a dictionary.
pub(super) fn values_per_crop(crop: usize, dictionary: &DictionaryConfig) -> usize {
    crop * crop * channels(dictionary)
}

/// Channels of the pictures for a dictionary, 1 or 3.
pub(super) fn channels(dictionary: &DictionaryConfig) -> usize {
    match dictionary {
        DictionaryConfig::Conv2d(filters) if filters.channels == 3 => 3,
        _ => 1,
    }
}
