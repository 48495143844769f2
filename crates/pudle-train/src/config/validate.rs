//! What the settings of a run must be together.

use pudle_core::{DictionaryConfig, Kernels, Response, Step, WeightTying};
use pudle_data::{DataConfig, Missing};

use super::run::RunConfig;
use super::training::Initialization;
use crate::error::{Result, TrainError};
use crate::update::UpdateRule;

/// Most values of a batch (1 GiB). More count as a typing error.
const MOST_VALUES: usize = 1 << 28;
/// Most values of all batches that are loaded ahead.
const MOST_VALUES_AHEAD: usize = 1 << 30;

impl RunConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.data.validate()?;
        self.data.fits(&self.model.dictionary)?;
        self.training.validate()?;
        self.validate_memory()?;
        self.validate_shifts()?;
        self.validate_crop()?;
        self.validate_update()?;
        self.validate_fixed()?;
        self.validate_missing()?;
        self.validate_half()?;
        self.validate_signals()?;
        let perturbed = matches!(self.training.initialization, Initialization::Perturbed { .. });
        if perturbed && !self.data.has_dictionary() {
            return Err(TrainError::range(
                "training.initialization.kind",
                "perturbed",
                "random, data, file or checkpoint if the true dictionary is unknown",
            ));
        }
        Ok(())
    }

    /// A dictionary has the atoms that never change.
    fn validate_fixed(&self) -> Result<()> {
        let (fixed, atoms) = (self.training.fixed_atoms, self.model.dictionary.atoms());
        if fixed > atoms {
            let range = format!("at most {atoms}, the number of atoms");
            return Err(TrainError::range("training.fixed_atoms", fixed, range));
        }
        Ok(())
    }

    /// A training step has gradients, and they have no numbers of 16 bits.
    fn validate_half(&self) -> Result<()> {
        if self.model.kernels == Kernels::Half {
            let range = "auto, fused or composed in a training: numbers of 16 bits are for passes without gradients";
            return Err(TrainError::range("model.kernels", self.model.kernels, range));
        }
        Ok(())
    }

    /// Masks exist for composed operations and Adam.
    fn validate_missing(&self) -> Result<()> {
        // Windows of a recording have no gaps, unless they are trials with known onsets.
        if self.data.missing() == Missing::Error
            || matches!(&self.data, DataConfig::Recordings(settings) if settings.onsets.is_none())
        {
            return Ok(());
        }
        if self.model.kernels == Kernels::Fused {
            let range = "auto or composed if numbers are missing, for which there is no fused pass";
            return Err(TrainError::range("model.kernels", self.model.kernels, range));
        }
        if self.training.update != UpdateRule::Adam {
            let range = "adam if numbers are missing";
            return Err(TrainError::range("training.update", self.training.update, range));
        }
        Ok(())
    }

    /// What only filters along signals have.
    fn validate_signals(&self) -> Result<()> {
        let every_sample = matches!(self.model.dictionary, DictionaryConfig::Conv1d(filters) if filters.stride == 1);
        let onsets =
            matches!(&self.data, DataConfig::Recordings(settings) if settings.onsets.is_some());
        if self.training.smooth > 0.0 && matches!(self.model.dictionary, DictionaryConfig::Dense(_))
        {
            let range = "0 for atoms that are vectors";
            return Err(TrainError::range("training.smooth", self.training.smooth, range));
        }
        if self.model.shared && !onsets {
            let range = "false where the onsets of atoms are not known";
            return Err(TrainError::range("model.shared", true, range));
        }
        if onsets && self.model.kernels == Kernels::Fused {
            let range = "auto or composed for known onsets, for which there is no fused pass";
            return Err(TrainError::range("model.kernels", self.model.kernels, range));
        }
        if onsets && !every_sample {
            let range = "conv1d with a stride of 1 for known onsets";
            return Err(TrainError::range("model.dictionary", self.model.dictionary.kind(), range));
        }
        let constant = self.model.gradient.response == Response::Dropped;
        let plain = every_sample
            && constant
            && !onsets
            && self.model.observation.is_gaussian()
            && !self.model.baseline;
        if self.training.refit && !(plain && self.model.tying == WeightTying::Tied) {
            let range = "false, but for filters at every sample of a signal, a constant code and white noise, without known onsets";
            return Err(TrainError::range("training.refit", true, range));
        }
        Ok(())
    }

    /// NOODL and online dictionary learning change the atoms of one dictionary, and nothing else. The latter has sums for a matrix
    /// only, and codes are constants in them.
    fn validate_update(&self) -> Result<()> {
        let rule = self.training.update;
        match self.misfit(rule) {
            None => Ok(()),
            Some(misfit) => {
                let range = format!("adam for a run whose {misfit}");
                Err(TrainError::range("training.update", rule, range))
            }
        }
    }

    /// Why online dictionary learning cannot train this run; `None` if it can.
    pub fn refuses_online(&self) -> Option<&'static str> {
        match self.data.missing() {
            Missing::Error => self.misfit(UpdateRule::Online),
            Missing::Nan => Some("numbers may be missing"),
        }
    }

    /// What keeps a rule from training this run.
    fn misfit(&self, rule: UpdateRule) -> Option<&'static str> {
        if rule == UpdateRule::Adam {
            return None;
        }
        let online = rule == UpdateRule::Online;
        let filters = !matches!(self.model.dictionary, DictionaryConfig::Dense(_));
        Some(if self.model.tying != WeightTying::Tied {
            "weights are not tied"
        } else if self.model.threshold.is_learned() {
            "thresholds are learned"
        } else if matches!(self.model.step, Step::Learned(_)) {
            "step is learned"
        } else if self.training.shifts > 1 {
            "training.shifts is above 1"
        } else if self.training.tangent {
            "gradients are tangent to the unit sphere"
        } else if !self.model.observation.is_gaussian() {
            "data are counts"
        } else if self.model.baseline || self.training.smooth > 0.0 || self.model.rank_one {
            "atoms or baselines have a form"
        } else if matches!(&self.data, DataConfig::Recordings(settings) if settings.onsets.is_some())
        {
            "onsets are known"
        } else if online && filters {
            "atoms are filters"
        } else if online && self.model.gradient.response != Response::Dropped {
            "gradient goes through the layers"
        } else if online && self.training.clip.is_some() {
            "gradients are clipped"
        } else {
            return None;
        })
    }

    /// Checks the number of shifts.
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
        if shifts > 1 && !self.model.observation.is_gaussian() {
            let range = "1 for counts";
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
        Ok(())
    }

    /// Checks that filters cover crops completely, also where shifts make them shorter.
    fn validate_crop(&self) -> Result<()> {
        let shifts = self.training.shifts;
        let (DictionaryConfig::Conv2d(filters), Some(crop)) =
            (self.model.dictionary, self.data.crop())
        else {
            return Ok(());
        };
        // Shifted parts are shorter than the crop by the longest shift, and so is their intersection.
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

    /// Checks that a batch and all batches loaded ahead fit into memory.
    fn validate_memory(&self) -> Result<()> {
        let datum = self.data.values_per_datum(&self.model.dictionary).max(1);
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
