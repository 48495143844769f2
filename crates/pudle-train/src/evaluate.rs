//! PSNR and SSIM of a denoiser on a folder of pictures.

use std::path::Path;
use std::time::Instant;

use pudle_data::{ColorMode, Image, ImageFolder, NoiseLevel, add_validation_noise};
use serde::Serialize;

use crate::denoiser::Denoiser;
use crate::error::{Result, TrainError};
use crate::sigma::check_sigma;
use crate::ssim::ssim;

/// The peak value of PSNR. PSNR is that of whole pictures, with the estimate clipped to [0, 1].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Protocol {
    /// Peak 1, the usual choice.
    Full,
    /// The maximum of the clean picture, the choice of the paper.
    Paper,
}

/// The scores of one picture.
#[derive(Clone, Debug, Serialize)]
pub struct ImageScore {
    /// The file, relative to the folder.
    pub file: String,
    /// PSNR of the noisy picture in dB.
    pub noisy_psnr: f64,
    /// PSNR of the estimate in dB.
    pub psnr: f64,
    /// SSIM of the estimate.
    pub ssim: f64,
    /// Noise level of the noisy picture by [`NoiseLevel::measure`], on the scale 0 … 255. `None` if the picture is too small.
    pub estimated_sigma: Option<f32>,
    /// Time of the denoising in seconds.
    pub seconds: f64,
}

/// A picture with its scores.
#[derive(Debug)]
pub struct Scored<'a> {
    /// Its scores.
    pub score: &'a ImageScore,
    /// The picture.
    pub clean: &'a Image,
    /// The noisy picture, not clipped.
    pub noisy: &'a Image,
    /// The denoiser's estimate, clipped.
    pub estimate: &'a Image,
}

/// Settings of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// Standard deviation of the noise that is added, on the scale 0 … 255.
    pub sigma: f32,
    /// Seed of the noise.
    pub seed: u64,
    /// Peak value of PSNR.
    pub protocol: Protocol,
    /// Whether the denoiser gets an estimate of the noise level instead of the true one.
    pub blind: bool,
    /// Whether what the estimate leaves out is blended back, as in [`Denoiser::restore`].
    pub blend: bool,
    /// Whether a grey model denoises each channel of a colour picture. If not, the picture is converted to grey.
    pub color: bool,
}

impl Scoring {
    /// Settings with this noise level, which the denoiser gets, seed 0 and peak 1.
    pub fn new(sigma: f32) -> Self {
        Self { sigma, seed: 0, protocol: Protocol::Full, blind: false, blend: false, color: false }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Returns an error if the noise level is not between 0.01 and 255.
    pub fn check(&self) -> Result<()> {
        check_sigma("sigma", self.sigma)
    }
}

/// The scores of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Peak value of PSNR.
    pub protocol: Protocol,
    /// Standard deviation of the noise, on the scale 0 … 255.
    pub sigma: f32,
    /// Seed of the noise.
    pub seed: u64,
    /// Whether the denoiser got an estimate of the noise level.
    pub blind: bool,
    /// Number of pictures whose estimated noise level is within 10 % of the true one.
    pub estimates_within_a_tenth: usize,
    /// Mean time of the denoising of a picture in seconds.
    pub mean_seconds: f64,
    /// Mean PSNR of the noisy pictures in dB.
    pub mean_noisy_psnr: f64,
    /// Mean PSNR over the pictures in dB.
    pub mean_psnr: f64,
    /// Mean SSIM over the pictures.
    pub mean_ssim: f64,
    /// Number of pictures without a score, because they cannot be read or denoised, or are black.
    pub left_out: usize,
    /// The scores of each picture, in the order of file names.
    pub images: Vec<ImageScore>,
}

/// Adds noise to every picture in `dir` and its subfolders, denoises it, and computes its scores. The noise depends
/// only on the seed and the index of the picture in the order of file names. `visit` is called after each picture.
///
/// A picture is left out with a warning if it cannot be read, or is black and its maximum is the peak.
///
/// # Errors
/// Returns an error if no picture can be scored, the noise level is out of range, or `visit` fails.
pub fn evaluate(
    denoiser: &Denoiser,
    dir: &Path,
    scoring: Scoring,
    mut visit: impl FnMut(Scored<'_>) -> Result<()>,
) -> Result<Evaluation> {
    let Scoring { sigma, seed, protocol, blind, blend, color } = scoring;
    scoring.check()?;
    // A grey picture stays grey for a colour model, so that its three channels have the same noise.
    let color = if color || denoiser.channels() == 3 { ColorMode::AsIs } else { ColorMode::Gray };
    let folder = ImageFolder::open(dir, color)?.with_capacity(0);
    let mut images = Vec::with_capacity(folder.len());
    for (i, path) in folder.paths().iter().enumerate() {
        let clean = match folder.get(i) {
            Ok(clean) => clean,
            Err(error) => {
                log::warn!("skipped: {error}");
                continue;
            }
        };
        let peak = match protocol {
            Protocol::Full => 1.0,
            Protocol::Paper => clean.max(),
        };
        if peak <= 0.0 {
            log::warn!("skipped: {}: a black picture has no peak", path.display());
            continue;
        }
        let noisy = add_validation_noise(&clean, sigma, seed, i as u64);
        let found = NoiseLevel::measure(&noisy);
        let estimated_sigma = found.as_ref().map(NoiseLevel::file_sigma);
        let level = match found {
            Some(level) if blind => level,
            _ => NoiseLevel::white(sigma, noisy.channels),
        };
        let started = Instant::now();
        let estimate = match blend {
            true => denoiser.restore(&noisy, &level, 1.0),
            false => denoiser.denoise(&noisy, Some(level.file_sigma().clamp(0.01, 255.0))),
        };
        let estimate = match estimate {
            Ok(estimate) => estimate.clip(),
            Err(error) => {
                log::warn!("skipped: {}: {error}", path.display());
                continue;
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let score = ImageScore {
            file: path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned(),
            noisy_psnr: noisy.psnr(&clean, peak),
            psnr: estimate.psnr(&clean, peak),
            ssim: ssim(&estimate, &clean),
            estimated_sigma,
            seconds,
        };
        visit(Scored { score: &score, clean: &clean, noisy: &noisy, estimate: &estimate })?;
        images.push(score);
    }
    if images.is_empty() {
        return Err(TrainError::Unsuitable(format!(
            "{}: no picture could be scored",
            dir.display()
        )));
    }
    let mean =
        |pick: fn(&ImageScore) -> f64| images.iter().map(pick).sum::<f64>() / images.len() as f64;
    let near = |score: &&ImageScore| {
        score.estimated_sigma.is_some_and(|estimate| (estimate / sigma - 1.0).abs() <= 0.1)
    };
    Ok(Evaluation {
        protocol,
        sigma,
        seed,
        blind,
        estimates_within_a_tenth: images.iter().filter(near).count(),
        mean_seconds: mean(|score| score.seconds),
        mean_noisy_psnr: mean(|score| score.noisy_psnr),
        mean_psnr: mean(|score| score.psnr),
        mean_ssim: mean(|score| score.ssim),
        left_out: folder.skipped() + folder.len() - images.len(),
        images,
    })
}
