//! Which noise a picture has.

use std::str::FromStr;

use pudle_data::{Raster, estimate_sigma};

use crate::failure::Failure;

/// The noise level that is added by default.
const ADDED: f32 = 25.0;
/// The least level that a denoiser takes.
const LEAST: f32 = 0.01;

/// `--sigma`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SigmaArg {
    Auto,
    Given(f32),
}

impl FromStr for SigmaArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => match number.parse() {
                Ok(sigma) => Ok(Self::Given(sigma)),
                Err(_) => Err(format!("\"{number}\" is neither a number nor \"auto\"")),
            },
        }
    }
}

/// `--strength`.
pub fn strength(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(factor @ 0.05..=4.0) => Ok(factor),
        _ => Err(format!("\"{text}\" is no number from 0.05 to 4")),
    }
}

/// What is known of the noise.
pub struct Noise {
    sigma: Option<SigmaArg>,
    strength: f32,
    /// Noise to be added, where some is.
    added: Option<f32>,
}

/// The noise of a picture, and what the model is told of it.
#[derive(Clone, Copy)]
pub struct Level {
    pub sigma: f32,
    pub told: f32,
    pub estimated: bool,
}

impl Noise {
    pub fn new(sigma: Option<SigmaArg>, strength: f32, adds: bool) -> Result<Self, Failure> {
        if let Some(SigmaArg::Given(sigma)) = sigma
            && !(LEAST..=255.0).contains(&sigma)
        {
            return Err(format!("sigma is {sigma}, but must be between {LEAST} and 255").into());
        }
        let added = adds.then_some(match sigma {
            Some(SigmaArg::Given(sigma)) => sigma,
            _ => ADDED,
        });
        Ok(Self { sigma, strength, added })
    }

    /// The level that is added to clean pictures.
    pub fn added(&self) -> Option<f32> {
        self.added
    }

    /// Whether anything was asked for that a model must be told of.
    pub fn is_given(&self) -> bool {
        self.strength != 1.0 || (self.added.is_none() && self.sigma.is_some())
    }

    /// The noise of a picture: given, added, or else estimated.
    pub fn level(&self, picture: &impl Raster) -> Result<Level, String> {
        let (sigma, estimated) = match (self.sigma, self.added) {
            (Some(SigmaArg::Given(sigma)), _) | (None, Some(sigma)) => (sigma, false),
            (Some(SigmaArg::Auto), _) | (None, None) => {
                let [_, height, width] = picture.shape();
                let estimate = estimate_sigma(picture).ok_or_else(|| {
                    format!(
                        "{width}×{height} pixels are too few to estimate noise from; give --sigma"
                    )
                })?;
                (estimate, true)
            }
        };
        let told = (sigma * self.strength).clamp(LEAST, 255.0);
        Ok(Level { sigma, told, estimated })
    }
}
