//! Least squares for the choice of λ by place.

use std::path::Path;

use pudle_data::{ColorMode, Image, ImageFolder, add_validation_noise};

use crate::cholesky::cholesky_solve;
use crate::denoiser::Denoiser;
use crate::error::{Result, TrainError};
use crate::local_lambda::{LocalLambda, between_knots, energy};
use crate::sigma::check_sigma;

/// Every so many pictures, one is held out of the fit and scored.
const HELD_OUT: usize = 4;
/// This part of the mean diagonal is added to the system, so that a knot without data gets the weight 0.
const RIDGE: f64 = 1e-4;

/// Settings of a fit of [`LocalLambda`].
#[derive(Clone, Debug, PartialEq)]
pub struct LocalLambdaFit {
    /// Factor between the two noise levels that the network is told, from 1.01 to 4.
    pub factor: f32,
    /// Side of the square window in pixels, odd, from 1 to 255.
    pub window: usize,
    /// Knots of the difference of the two estimates relative to the noise, above 0 and ascending.
    pub knots: Vec<f32>,
    /// Noise levels on the scale 0 … 255, ascending, from 0.01 to 255.
    pub levels: Vec<f32>,
    /// Number of pictures, at least 2. They are spread evenly over the folder.
    pub pictures: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for LocalLambdaFit {
    fn default() -> Self {
        Self {
            factor: 1.2,
            window: 31,
            knots: vec![0.015, 0.03, 0.06, 0.1, 0.15, 0.25],
            levels: vec![5.0, 10.0, 15.0, 25.0, 35.0, 50.0],
            pictures: 48,
            seed: 1,
        }
    }
}

/// What a choice of λ by place gains at one noise level, on the pictures that are held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelGain {
    /// The level on the scale 0 … 255.
    pub level: f32,
    /// Number of the pictures.
    pub pictures: usize,
    /// Mean PSNR in dB with the same λ everywhere.
    pub fixed: f64,
    /// Mean PSNR in dB with λ by place.
    pub local: f64,
    /// Smallest gain of a picture in dB.
    pub least: f64,
}

/// The equations of one level, `A w = b`, with `A` of shape `[k, k]`.
struct Equations {
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Equations {
    fn new(knots: usize) -> Self {
        Self { a: vec![0.0; knots * knots], b: vec![0.0; knots] }
    }

    /// Adds the pixels of a picture. The error is `Σ ‖x - x̂ - Σ_k w_k h_k(e) d‖²`, where `h_k` is the hat of knot `k`.
    fn add(&mut self, clean: &Image, [one, two]: [&Image; 2], knots: &[f32], energy: &[f32]) {
        let (count, area) = (knots.len(), energy.len());
        for (i, e) in energy.iter().enumerate() {
            let (mut dd, mut dy) = (0.0, 0.0);
            for at in (i..one.data.len()).step_by(area) {
                let d = f64::from(two.data[at] - one.data[at]);
                dd += d * d;
                dy += d * f64::from(clean.data[at] - one.data[at]);
            }
            let (k, share) = between_knots(knots, *e);
            let hats = [(k, 1.0 - f64::from(share)), ((k + 1).min(count - 1), f64::from(share))];
            for (k, h) in hats {
                self.b[k] += h * dy;
                for (l, g) in hats {
                    self.a[k * count + l] += h * g * dd;
                }
            }
        }
    }

    fn solve(mut self) -> Vec<f32> {
        let count = self.b.len();
        let mean = (0..count).map(|k| self.a[k * (count + 1)]).sum::<f64>() / count as f64;
        (0..count).for_each(|k| self.a[k * (count + 1)] += RIDGE * mean);
        match cholesky_solve(&mut self.a, &mut self.b) {
            true => self.b.into_iter().map(|w| w as f32).collect(),
            // No estimate differs from another.
            false => vec![0.0; count],
        }
    }
}

impl Denoiser {
    /// Fits the choice of λ by place to clean pictures in `dir` and its subfolders, to which white noise of each level is
    /// added. `visit` gets each level's gain on the pictures that are held out, every fourth of those that are taken.
    ///
    /// The shifts of the denoiser are those of the fit.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, if the model's λ does not depend on the noise, if there are fewer than two
    /// readable pictures, or those of [`denoise`](Self::denoise).
    pub fn fit_local_lambda(
        &self,
        dir: &Path,
        fit: &LocalLambdaFit,
        mut visit: impl FnMut(LevelGain) -> Result<()>,
    ) -> Result<LocalLambda> {
        let LocalLambdaFit { factor, window, knots, levels, pictures, seed } = fit.clone();
        let weights = vec![vec![0.0; knots.len()]; levels.len()];
        let mut local = LocalLambda { factor, window, knots, levels, weights };
        local.check()?;
        for level in &local.levels {
            check_sigma("levels", *level)?;
        }
        if !self.follows_noise() {
            let reason = "λ of the model does not depend on the noise's level, so it cannot be chosen by place";
            return Err(TrainError::Unsuitable(reason.into()));
        }
        let pictures = pictures_of(self, dir, pictures)?;
        for k in 0..local.levels.len() {
            let level = local.levels[k];
            let sigma = level / 255.0;
            let mut equations = Equations::new(local.knots.len());
            let mut held_out = Vec::new();
            for (i, clean) in pictures.iter().enumerate() {
                let noisy = add_validation_noise(clean, level, seed, i as u64);
                let [one, two] = [1.0, factor].map(|by| self.estimate(&noisy, Some(level), by));
                let (one, two) = (one?, two?);
                if i % HELD_OUT == HELD_OUT - 1 || i + 1 == pictures.len() {
                    held_out.push((clean, one, two));
                } else {
                    let energy = energy(&one, &two, sigma, window);
                    equations.add(clean, [&one, &two], &local.knots, &energy);
                }
            }
            local.weights[k] = equations.solve();
            let scores: Vec<[f64; 2]> = held_out
                .into_iter()
                .map(|(clean, one, two)| {
                    let fixed = one.clip().psnr(clean, 1.0);
                    let told = self.told(level);
                    [fixed, local.apply(one, &two, sigma, told).clip().psnr(clean, 1.0)]
                })
                .collect();
            let mean = |k: usize| scores.iter().map(|s| s[k]).sum::<f64>() / scores.len() as f64;
            visit(LevelGain {
                level,
                pictures: scores.len(),
                fixed: mean(0),
                local: mean(1),
                least: scores.iter().map(|[fixed, local]| local - fixed).fold(f64::MAX, f64::min),
            })?;
        }
        Ok(local)
    }
}

/// Longest side of a picture in pixels; of larger pictures, the middle is taken.
const SIDE: usize = 512;

/// `count` pictures of a folder, spread evenly over it.
fn pictures_of(denoiser: &Denoiser, dir: &Path, count: usize) -> Result<Vec<Image>> {
    let color = if denoiser.channels() == 3 { ColorMode::Rgb } else { ColorMode::Gray };
    let folder = ImageFolder::open(dir, color)?.with_capacity(0);
    let count = count.min(folder.len());
    let mut pictures = Vec::with_capacity(count);
    for i in 0..count {
        match folder.get(i * folder.len() / count) {
            Ok(picture) => {
                let [_, height, width] = picture.shape();
                if height.min(width) < denoiser.atom_size() {
                    log::warn!("skipped: {width}×{height} pixels are fewer than those of an atom");
                    continue;
                }
                pictures.push(picture.crop_center(height.min(SIDE), width.min(SIDE)));
            }
            Err(error) => log::warn!("skipped: {error}"),
        }
    }
    if pictures.len() < 2 {
        let reason = format!("{}: has fewer than two pictures that can be read", dir.display());
        return Err(TrainError::Unsuitable(reason));
    }
    Ok(pictures)
}
