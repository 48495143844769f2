//! What a run's settings must be.

use pudle_core::{DictionaryConfig, Response, Step, WeightTying};

use super::{AmplitudeConfig, DataConfig, Initialization, RunConfig, TrainingConfig};
use crate::error::{Result, TrainError};
use crate::update::UpdateRule;

/// More values than this in one batch (1 GiB), and in all that are loaded ahead, are taken for a slip
/// of the finger.
const MOST_VALUES: usize = 1 << 28;
const MOST_VALUES_AHEAD: usize = 1 << 30;
/// The same for the number of different data.
const MOST_DATA: usize = 10_000_000;

impl RunConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// The first one out of its range, with the value and the range.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.data.validate(&self.model.dictionary)?;
        self.training.validate()?;
        self.validate_memory()?;
        self.validate_shifts()?;
        self.validate_update()?;
        let digits = matches!(self.data, DataConfig::Digits { .. } | DataConfig::Strokes { .. });
        if !self.training.without.is_empty() && !digits {
            let range = "empty where the data are no digits";
            return Err(TrainError::range("training.without", "a list", range));
        }
        let draws = matches!(self.data, DataConfig::SparseCoding { .. });
        match &self.training.initialization {
            Initialization::Perturbed { sd } if !(*sd >= 0.0 && sd.is_finite()) => {
                Err(TrainError::range("training.initialization.sd", sd, "a number ≥ 0"))
            }
            Initialization::Perturbed { .. } if !draws => Err(TrainError::range(
                "training.initialization.kind",
                "perturbed",
                "random where the true dictionary is unknown",
            )),
            _ => Ok(()),
        }
    }

    /// NOODL changes the atoms of one dictionary, and nothing else.
    fn validate_update(&self) -> Result<()> {
        if self.training.update != UpdateRule::Noodl {
            return Ok(());
        }
        let learned = if self.model.tying != WeightTying::Tied {
            "weights are not tied"
        } else if self.model.threshold.is_learned() {
            "thresholds are learned"
        } else if matches!(self.model.step, Step::Learned(_)) {
            "step is learned"
        } else if self.training.shifts > 1 {
            "training.shifts is above 1"
        } else {
            return Ok(());
        };
        let range = format!("adam for a run whose {learned}");
        Err(TrainError::range("training.update", self.training.update, range))
    }

    fn validate_shifts(&self) -> Result<()> {
        let shifts = self.training.shifts;
        let stride = match self.model.dictionary {
            DictionaryConfig::Conv2d(filters) => filters.stride,
            _ => 1,
        };
        if !(1..=stride * stride).contains(&shifts) {
            let range =
                format!("between 1 and {}, the square of the atoms' stride", stride * stride);
            return Err(TrainError::range("training.shifts", shifts, range));
        }
        if shifts > 1 && self.model.gradient.response == Response::Implicit {
            let range = "1 under an implicit gradient";
            return Err(TrainError::range("training.shifts", shifts, range));
        }
        if let Some(averaged) = self.training.averaged
            && (shifts < 2 || !(shifts..=stride * stride).contains(&averaged))
        {
            let range = format!(
                "between `training.shifts`, which must be at least 2, and {}, the square of the atoms' stride",
                stride * stride
            );
            return Err(TrainError::range("training.averaged", averaged, range));
        }
        let (DictionaryConfig::Conv2d(filters), Some(crop)) =
            (self.model.dictionary, self.data.crop())
        else {
            return Ok(());
        };
        // The parts of a crop are shorter by what they are shifted by, and so is what they have in common.
        let reach = if shifts > 1 { filters.stride - 1 } else { 0 };
        if crop < filters.size + 2 * reach {
            let range = format!("at least {} for `training.shifts`", filters.size + 2 * reach);
            return Err(TrainError::range("data.crop", crop, range));
        }
        if let rest @ 1.. = (crop - reach - filters.size) % filters.stride {
            let more = if shifts > 1 { ", and `stride` less 1 for `training.shifts`" } else { "" };
            return Err(TrainError::range(
                "data.crop",
                crop,
                format!(
                    "`size` plus a multiple of `stride`{more}, {} or {}, or no atom reaches the last rows \
                     and columns",
                    crop - rest,
                    crop - rest + filters.stride
                ),
            ));
        }
        Ok(())
    }

    fn validate_memory(&self) -> Result<()> {
        let datum = match (&self.data, &self.model.dictionary) {
            (
                DataConfig::Photographs { crop, .. } | DataConfig::DeadLeaves { crop, .. },
                DictionaryConfig::Conv2d(filters),
            ) => crop * crop * filters.channels,
            (_, DictionaryConfig::Dense(dense)) => dense.dim,
            _ => 1,
        };
        let batch = datum.saturating_mul(self.training.batch);
        if batch > MOST_VALUES {
            return Err(TrainError::range(
                "training.batch",
                self.training.batch,
                format!("at most {} for data of {datum} values", MOST_VALUES / datum),
            ));
        }
        if batch.saturating_mul(self.training.ahead) > MOST_VALUES_AHEAD {
            return Err(TrainError::range(
                "training.ahead",
                self.training.ahead,
                format!("at most {} for batches of {batch} values", MOST_VALUES_AHEAD / batch),
            ));
        }
        Ok(())
    }
}

impl DataConfig {
    /// Side of a crop, where there are any.
    fn crop(&self) -> Option<usize> {
        match self {
            DataConfig::Photographs { crop, .. } | DataConfig::DeadLeaves { crop, .. } => {
                Some(*crop)
            }
            _ => None,
        }
    }

    fn validate(&self, dictionary: &DictionaryConfig) -> Result<()> {
        let in_bounds = |field, value: usize| match value {
            1..=MOST_DATA => Ok(()),
            _ => Err(TrainError::range(field, value, format!("between 1 and {MOST_DATA}"))),
        };
        match self {
            DataConfig::Photographs { crop, sigma, .. }
            | DataConfig::DeadLeaves { crop, sigma, .. } => {
                let DictionaryConfig::Conv2d(filters) = dictionary else {
                    return Err(kind_mismatch("conv2d", "images"));
                };
                if !matches!(filters.channels, 1 | 3) {
                    return Err(TrainError::range(
                        "model.dictionary.channels",
                        filters.channels,
                        "1 (grey) or 3 (colour) for images",
                    ));
                }
                if !(filters.size..=4096).contains(crop) {
                    return Err(TrainError::range(
                        "data.crop",
                        crop,
                        "between `model.dictionary.size` and 4096",
                    ));
                }
                sigma.check("data.sigma")?;
                if let DataConfig::DeadLeaves { side, count, .. } = self {
                    if !(*crop..=4096).contains(side) {
                        return Err(TrainError::range(
                            "data.side",
                            side,
                            "between `data.crop` and 4096",
                        ));
                    }
                    in_bounds("data.count", *count)?;
                }
                Ok(())
            }
            DataConfig::SparseCoding { sparsity, count, noise, amplitude } => {
                let DictionaryConfig::Dense(dense) = dictionary else {
                    return Err(kind_mismatch("dense", "sparse-coding draws"));
                };
                if !(1..=dense.atoms).contains(sparsity) {
                    return Err(TrainError::range(
                        "data.sparsity",
                        sparsity,
                        "between 1 and `model.dictionary.atoms`",
                    ));
                }
                in_bounds("data.count", *count)?;
                if !(*noise >= 0.0 && noise.is_finite()) {
                    return Err(TrainError::range("data.noise", noise, "a number ≥ 0"));
                }
                amplitude.validate()
            }
            DataConfig::Digits { classes, .. } | DataConfig::Strokes { classes, .. } => {
                let DictionaryConfig::Dense(_) = dictionary else {
                    return Err(kind_mismatch("dense", "digits"));
                };
                if classes.is_empty() || classes.iter().any(|class| *class > 9) {
                    return Err(TrainError::range(
                        "data.classes",
                        format!("{classes:?}"),
                        "at least one digit, each between 0 and 9",
                    ));
                }
                if let DataConfig::Strokes { count, .. } = self {
                    in_bounds("data.count", *count)?;
                }
                Ok(())
            }
        }
    }
}

impl AmplitudeConfig {
    fn validate(&self) -> Result<()> {
        match *self {
            AmplitudeConfig::Uniform { low, high, .. }
                if !(low >= 0.0 && low <= high && high.is_finite()) =>
            {
                Err(TrainError::range(
                    "data.amplitude",
                    format!("[{low}, {high}]"),
                    "0 ≤ low ≤ high",
                ))
            }
            AmplitudeConfig::Gaussian { mean, sd }
                if !(mean.is_finite() && sd >= 0.0 && sd.is_finite()) =>
            {
                Err(TrainError::range("data.amplitude", format!("N({mean}, {sd})"), "sd ≥ 0"))
            }
            _ => Ok(()),
        }
    }
}

fn kind_mismatch(needed: &str, data: &str) -> TrainError {
    TrainError::range("model.dictionary.kind", "another kind", format!("{needed} for {data}"))
}

impl TrainingConfig {
    fn validate(&self) -> Result<()> {
        let at_least_one = |field, value: u64| match value {
            0 => Err(TrainError::range(field, value, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("training.steps", self.steps)?;
        at_least_one("training.batch", self.batch as u64)?;
        at_least_one("training.checkpoint_every", self.checkpoint_every)?;
        at_least_one("training.keep", self.keep as u64)?;
        at_least_one("training.valid_every", self.valid_every)?;
        if !(1..=1024).contains(&self.ahead) {
            return Err(TrainError::range("training.ahead", self.ahead, "between 1 and 1024"));
        }
        let largest = self.update.largest_rate();
        if !(self.learning_rate > 0.0 && self.learning_rate <= largest) {
            let range = format!("in (0, {largest}] for update rule {}", self.update);
            return Err(TrainError::range("training.learning_rate", self.learning_rate, range));
        }
        for (field, beta) in [("training.beta_1", self.beta_1), ("training.beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(TrainError::range(field, beta, "in [0, 1)"));
            }
        }
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && clip.is_finite())) {
            return Err(TrainError::range("training.clip", clip, "a number > 0"));
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(TrainError::range("training.epsilon", self.epsilon, "a number > 0"));
        }
        Ok(())
    }
}
