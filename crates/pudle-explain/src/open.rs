//! Opens the subject of a run.

use std::sync::Arc;

use burn::tensor::Device;
use pudle_core::{AnyPudle, WeightTying};
use pudle_train::{Checkpoint, DataConfig, RunConfig};

use crate::error::{ExplainError, Result};
use crate::subject::Subject;
use crate::subject::digits::DigitSubject;
use crate::subject::photographs::{PhotographOptions, PhotographSubject};
use crate::subject::recordings::RecordingSubject;

/// How the data of a run are encoded for an explanation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubjectOptions {
    /// The standard deviation of the noise that photographs are given, on the scale 0 … 255; by default that of training, or the
    /// middle of its range.
    pub sigma: Option<f32>,
    /// Number of photographs that are used, counted from the first.
    pub photographs: usize,
    /// Seed of the noise.
    pub seed: u64,
}

/// Opens the model of a checkpoint with the data of `config`.
///
/// # Errors
/// Returns an error if the data cannot be read, do not fit the model, or are of a kind that cannot be explained.
pub fn open_subject(
    checkpoint: Checkpoint,
    config: &RunConfig,
    options: SubjectOptions,
    device: &Device,
) -> Result<Box<dyn Subject>> {
    if matches!(checkpoint.config.tying, WeightTying::Decoder | WeightTying::Untied) {
        return Err(ExplainError::Unsuitable(format!(
            "the model's tying is {}, but the identity is for one dictionary: tied, or with gains",
            checkpoint.config.tying
        )));
    }
    if !config.data.without().is_empty() {
        return Err(ExplainError::Unsuitable(
            "the run left digits out of its training (data.without), so they must not be explained by".into(),
        ));
    }
    if let DataConfig::Recordings(settings) = &config.data {
        return Ok(Box::new(RecordingSubject::new(checkpoint, config, settings, device)?));
    }
    match (checkpoint.model, &config.data) {
        (AnyPudle::Dense(model), DataConfig::Digits { .. } | DataConfig::Strokes { .. }) => {
            let data = config.open_data()?.digits.expect("the data are digits");
            let digits = Arc::unwrap_or_clone(data.digits);
            Ok(Box::new(DigitSubject::new(model, digits, data.trained, device)?))
        }
        (AnyPudle::Conv2d(model), DataConfig::Photographs(photographs)) => {
            let options = PhotographOptions {
                sigma: options.sigma.unwrap_or(photographs.sigma.middle()),
                most: options.photographs,
                seed: options.seed,
            };
            let (trained, dir) = (checkpoint.sigma, &photographs.dir);
            Ok(Box::new(PhotographSubject::new(model, trained, dir, options, device)?))
        }
        (AnyPudle::Conv2d(_), DataConfig::DeadLeaves { .. }) => Err(ExplainError::GeneratedData),
        _ => Err(ExplainError::Unsuitable(
            "only runs over digits, photographs and recordings can be explained".into(),
        )),
    }
}
