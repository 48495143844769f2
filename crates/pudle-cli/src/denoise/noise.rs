//! Noise levels of pictures.

use std::str::FromStr;

use pudle_data::{NoiseLevel, Raster};

use crate::failure::Failure;

/// Default level of added noise.
const ADDED: f32 = 25.0;
/// Smallest noise level that a denoiser accepts.
const LEAST: f32 = 0.01;

/// The value of `--sigma`.
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

/// Parses the value of `--strength`.
pub fn strength(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(factor @ 0.0..=4.0) => Ok(factor),
        _ => Err(format!("\"{text}\" is not a number from 0 to 4")),
    }
}

/// Noise settings of all pictures.
pub struct Noise {
    sigma: Option<SigmaArg>,
    strength: f32,
    /// Level of the noise to add, if noise is added.
    added: Option<f32>,
}

/// The noise of a picture, and whether it was estimated.
pub struct Level {
    pub noise: NoiseLevel,
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

    /// Whether a setting was given that only a model with a known noise level can use.
    pub fn is_given(&self) -> bool {
        self.strength != 1.0 || (self.added.is_none() && self.sigma.is_some())
    }

    /// The noise of a picture: given, added or estimated.
    pub fn level(&self, picture: &impl Raster) -> Result<Level, String> {
        let [channels, height, width] = picture.shape();
        match (self.sigma, self.added) {
            (Some(SigmaArg::Given(sigma)), _) | (None, Some(sigma)) => {
                Ok(Level { noise: NoiseLevel::white(sigma, channels), estimated: false })
            }
            (Some(SigmaArg::Auto), _) | (None, None) => {
                let noise = NoiseLevel::measure(picture).ok_or_else(|| {
                    format!(
                        "{width}×{height} pixels are too few to estimate the noise; set --sigma"
                    )
                })?;
                Ok(Level { noise, estimated: true })
            }
        }
    }
}
