//! A denoiser's scores over a folder of pictures.

use std::path::Path;
use std::time::Instant;

use pudle_data::{ColorMode, Image, ImageFolder, add_validation_noise, estimate_sigma};
use serde::Serialize;

use crate::denoiser::Denoiser;
use crate::error::{Result, TrainError};
use crate::sigma::check_sigma;
use crate::ssim::ssim;

/// How PSNR is taken: on whole pictures, the estimate clipped to [0, 1], with another peak.
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
    /// Peak 1, as the literature has it.
    Full,
    /// The picture's own maximum as peak, as the publication has it.
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
    /// What [`estimate_sigma`] makes of the noisy picture's noise, on the scale 0 … 255; none for a tiny picture.
    pub estimated_sigma: Option<f32>,
    /// Time that the denoising took.
    pub seconds: f64,
}

/// A picture that was scored.
#[derive(Debug)]
pub struct Scored<'a> {
    /// Its scores.
    pub score: &'a ImageScore,
    /// The picture.
    pub clean: &'a Image,
    /// With noise, not clipped.
    pub noisy: &'a Image,
    /// The denoiser's estimate, clipped.
    pub estimate: &'a Image,
}

/// How a denoiser is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// Standard deviation of the noise that is added, on the scale 0 … 255.
    pub sigma: f32,
    /// Seed of the noise.
    pub seed: u64,
    /// How PSNR is taken.
    pub protocol: Protocol,
    /// Whether the denoiser is told what is estimated of the noise, rather than the truth.
    pub blind: bool,
    /// Whether pictures in colour stay so for a model over grey ones, which then sees their channels one by one.
    pub color: bool,
}

impl Scoring {
    /// Noise of this level from seed 0, which the denoiser is told of, peak 1.
    pub fn new(sigma: f32) -> Self {
        Self { sigma, seed: 0, protocol: Protocol::Full, blind: false, color: false }
    }

    /// Refuses noise out of range.
    ///
    /// # Errors
    /// Names the level and the range.
    pub fn check(&self) -> Result<()> {
        check_sigma("sigma", self.sigma)
    }
}

/// The scores of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// How PSNR was taken.
    pub protocol: Protocol,
    /// Standard deviation of the noise, on the scale 0 … 255.
    pub sigma: f32,
    /// Whether the denoiser was told an estimate of it.
    pub blind: bool,
    /// For how many pictures the estimate of the noise was within 10 % of the truth.
    pub estimates_within_a_tenth: usize,
    /// Mean time that the denoising of a picture took.
    pub mean_seconds: f64,
    /// Mean PSNR of the noisy pictures in dB.
    pub mean_noisy_psnr: f64,
    /// Mean PSNR over the pictures in dB.
    pub mean_psnr: f64,
    /// Mean SSIM over the pictures.
    pub mean_ssim: f64,
    /// Each picture's scores, ordered by file.
    pub images: Vec<ImageScore>,
}

/// Adds noise to every picture below `dir`, a function of the seed and the picture's place in the order of
/// files, denoises and scores it; `visit` sees each as it comes. Files that are unreadable, smaller
/// than an atom or, where their maximum is the peak, black are skipped with a warning.
///
/// # Errors
/// Where no picture can be read, the noise is out of range, or `visit` fails.
pub fn evaluate(
    denoiser: &Denoiser,
    dir: &Path,
    scoring: Scoring,
    mut visit: impl FnMut(Scored<'_>) -> Result<()>,
) -> Result<Evaluation> {
    let Scoring { sigma, seed, protocol, blind, color } = scoring;
    scoring.check()?;
    // A grey picture stays one for a model over colours: its noise is then the same in all three.
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
        let estimated_sigma = estimate_sigma(&noisy);
        let told = if blind { estimated_sigma.map(|s| s.clamp(0.01, 255.0)) } else { Some(sigma) };
        let started = Instant::now();
        let estimate = match denoiser.denoise(&noisy, told) {
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
        blind,
        estimates_within_a_tenth: images.iter().filter(near).count(),
        mean_seconds: mean(|score| score.seconds),
        mean_noisy_psnr: mean(|score| score.noisy_psnr),
        mean_psnr: mean(|score| score.psnr),
        mean_ssim: mean(|score| score.ssim),
        images,
    })
}
