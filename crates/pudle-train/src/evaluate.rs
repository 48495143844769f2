//! A denoiser's scores over a folder of pictures.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use pudle_data::{ColorMode, ImageFolder, add_validation_noise};
use serde::Serialize;

use crate::denoiser::{Denoiser, check_sigma};
use crate::error::{Result, TrainError};
use crate::ssim::ssim;

/// How PSNR is taken: on whole pictures, the estimate clipped to [0, 1], with another peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Peak 1, as the literature has it.
    Full,
    /// The picture's own maximum as peak, as the publication has it.
    Paper,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Protocol::Full),
            "paper" => Ok(Protocol::Paper),
            other => Err(format!("unknown protocol \"{other}\": it must be full or paper")),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Full => "full",
            Protocol::Paper => "paper",
        })
    }
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
}

/// The scores of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// How PSNR was taken.
    pub protocol: Protocol,
    /// Standard deviation of the noise, on the scale 0 … 255.
    pub sigma: f32,
    /// Mean PSNR over the pictures in dB.
    pub mean_psnr: f64,
    /// Mean SSIM over the pictures.
    pub mean_ssim: f64,
    /// Each picture's scores, ordered by file.
    pub images: Vec<ImageScore>,
}

/// Adds noise of standard deviation `sigma` (0 … 255) to every picture below `dir`, a function of
/// `seed` and the picture's place in the order of files, denoises and scores it; `visit` sees each
/// score as it comes. Files that are unreadable, smaller than an atom or, where their maximum is the
/// peak, black are skipped with a warning.
///
/// # Errors
/// Where no picture can be read, or `sigma` is out of range.
pub fn evaluate(
    denoiser: &Denoiser,
    dir: &Path,
    sigma: f32,
    seed: u64,
    protocol: Protocol,
    mut visit: impl FnMut(&ImageScore),
) -> Result<Evaluation> {
    check_sigma("sigma", sigma)?;
    // A grey picture stays one for a model over colours: its noise is then the same in all three.
    let color = if denoiser.channels() == 3 { ColorMode::AsIs } else { ColorMode::Gray };
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
        let estimate = match denoiser.denoise(&noisy, Some(sigma)) {
            Ok(estimate) => estimate.clip(),
            Err(error) => {
                log::warn!("skipped: {}: {error}", path.display());
                continue;
            }
        };
        let score = ImageScore {
            file: path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned(),
            noisy_psnr: noisy.psnr(&clean, peak),
            psnr: estimate.psnr(&clean, peak),
            ssim: ssim(&estimate, &clean),
        };
        visit(&score);
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
    Ok(Evaluation {
        protocol,
        sigma,
        mean_psnr: mean(|score| score.psnr),
        mean_ssim: mean(|score| score.ssim),
        images,
    })
}
