//! How a model is trained.

use std::path::PathBuf;

use pudle_core::RangeError;
use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::update::{Update, UpdateRule};

/// How a model is trained: the weights are updated and projected at every step.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `steps` | 1000 | optimisation steps | ≥ 1 |
/// | `batch` | 1 | data per step | ≥ 1 |
/// | `update` | `adam` | how a step changes the weights, see [`UpdateRule`] | `adam`; `noodl` for a model that learns nothing but its dictionary; `online` if that is a matrix and the gradient takes codes as constants |
/// | `learning_rate` | 1e-3 | of Adam, or η of the other rules | in (0, 1], or in (0, 1000] for `noodl` |
/// | `schedule` | `constant` | of the learning rate | `constant`, `cosine` (to 0 at `steps`) |
/// | `beta_1`, `beta_2` | 0.9, 0.999 | of Adam | in [0, 1) |
/// | `epsilon` | 1e-3 | of Adam | > 0 |
/// | `initialization` | `random` | of the atoms | see [`Initialization`] |
/// | `fixed_atoms` | 0 | first atoms, which are never changed | at most the number of atoms |
/// | `revive` | `false` | whether unused atoms start again from the data that are reconstructed worst | |
/// | `unused_window` | 100 | steps without any use after which an atom is unused | ≥ 1 |
/// | `warm_up` | 0 | first steps, over which the learning rate grows from 0; a shorter run ends before the full rate | ≥ 0 |
/// | `shifts` | 1 | random shifts of the grid of atoms whose mean reconstruction is trained | 1 to `stride²` |
/// | `averaged` | `shifts` | number of shifts whose mean the loss estimates, without bias, from those drawn | `shifts` to `stride²`, for at least two `shifts` |
/// | `tangent` | `false` | whether only the part of the gradient of atoms counts that is tangent to the unit sphere | |
/// | `refit` | `false` | for filters along signals and a constant code: whether the gradient takes one entry for each event, at the size that least squares gives, in place of the code, which λ makes smaller | |
/// | `smooth` | 0 | weight of half the squared norm of the second differences of filters, at the size at which they occur; against the loss of all data | ≥ 0 |
/// | `clip` | none | largest norm of the gradient of a weight tensor; longer gradients are scaled to it | > 0; none for `online` |
/// | `checkpoint_every` | 500 | steps between checkpoints | ≥ 1 |
/// | `keep` | 2 | number of checkpoints that are not deleted | ≥ 1 |
/// | `valid_every` | 500 | steps between validations | ≥ 1 |
/// | `patience` | none | the training ends after so many validations without a smaller loss, with the weights of the smallest | ≥ 1 |
/// | `stopped_at` | none | the step at which it ended early; the program sets it | |
/// | `ahead` | 4 | batches loaded ahead of training | 1 to 1024 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimisation steps.
    pub steps: u64,
    /// Data per step.
    pub batch: usize,
    /// How a step changes the weights.
    pub update: UpdateRule,
    /// Adam's learning rate, or η of the other rules.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    pub schedule: LearningRateSchedule,
    /// Adam's decay of the first moment.
    pub beta_1: f32,
    /// Adam's decay of the second moment.
    pub beta_2: f32,
    /// Adam's ε.
    pub epsilon: f32,
    /// Where the atoms start.
    pub initialization: Initialization,
    /// First atoms, which are never changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub fixed_atoms: usize,
    /// Whether unused atoms start again, every `unused_window` steps, from the data that are reconstructed worst.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revive: bool,
    /// Steps without any use after which an atom is unused.
    #[serde(skip_serializing_if = "is_usual_window")]
    pub unused_window: u64,
    /// First steps, over which the learning rate grows in proportion to their number.
    pub warm_up: u64,
    /// Shifts of the grid of atoms, drawn at each step, whose mean reconstruction is trained.
    pub shifts: usize,
    /// Number of shifts whose mean the loss estimates; `shifts` if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub averaged: Option<usize>,
    /// Whether the update gets only the part of the gradient of the dictionary's atoms that is tangent to the unit sphere. The
    /// rest would change their norm alone, but Adam scales every number for itself and would turn it into another direction.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tangent: bool,
    /// Whether the gradient takes events of the size that least squares gives, in place of the code.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refit: bool,
    /// Weight of half the squared norm of the second differences of filters.
    #[serde(skip_serializing_if = "is_none")]
    pub smooth: f64,
    /// Largest norm of the gradient of a weight tensor; longer gradients are scaled to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Number of checkpoints that are not deleted.
    pub keep: usize,
    /// Steps between validations.
    pub valid_every: u64,
    /// Validations without a smaller loss after which the training ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// The step at which the training ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<u64>,
    /// Batches loaded ahead of training.
    pub ahead: usize,
}

/// The steps without use after which an atom is unused, if the settings do not say.
const USUAL_WINDOW: u64 = 100;

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_none(weight: &f64) -> bool {
    *weight == 0.0
}

fn is_usual_window(window: &u64) -> bool {
    *window == USUAL_WINDOW
}

/// How the learning rate changes over a run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", parse_err_fn = unknown_schedule, parse_err_ty = String)]
pub enum LearningRateSchedule {
    /// The same at every step.
    Constant,
    /// Half a cosine, from the learning rate to 0 at the last step.
    Cosine,
}

fn unknown_schedule(text: &str) -> String {
    let known = LearningRateSchedule::VARIANTS.join(" or ");
    format!("unknown schedule \"{text}\": it must be {known}")
}

/// Where the atoms start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Initialization {
    /// `N(0, 1)`, projected onto the unit sphere.
    Random,
    /// The true dictionary plus `N(0, sd²)`, projected; only for data that are drawn from a dictionary.
    Perturbed {
        /// Standard deviation of the perturbation, ≥ 0.
        sd: f32,
    },
    /// Data, of unit norm: vectors, or random patches of pictures and signals. The mean of a patch is subtracted if the model
    /// has an `offset`. If there are fewer different data than atoms, the other atoms are random.
    Data,
    /// The dictionary of a file: `.npy`, `.npz`, safetensors, burnpack, or a state dict of PyTorch. If it has fewer atoms than
    /// the model, they are the first ones, and the others are random.
    File {
        /// The file.
        path: PathBuf,
        /// Name of the tensor. Needed if the file has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tensor: Option<String>,
    },
    /// The atoms of another run, and every other weight that both models learn in the same way. Banks of atoms that only
    /// this model has start from its dictionary. Grey filters can start a dictionary of at least as many filters over
    /// colours: they are spread evenly over the channels, and the other filters are random.
    Checkpoint {
        /// Checkpoint or run directory.
        dir: PathBuf,
    },
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            batch: 1,
            update: UpdateRule::Adam,
            learning_rate: 1e-3,
            schedule: LearningRateSchedule::Constant,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-3,
            initialization: Initialization::Random,
            fixed_atoms: 0,
            revive: false,
            unused_window: USUAL_WINDOW,
            warm_up: 0,
            shifts: 1,
            averaged: None,
            tangent: false,
            refit: false,
            smooth: 0.0,
            clip: None,
            checkpoint_every: 500,
            keep: 2,
            valid_every: 500,
            patience: None,
            stopped_at: None,
            ahead: 4,
        }
    }
}

impl TrainingConfig {
    /// The update rule with its settings.
    pub(crate) fn update(&self) -> Update {
        Update {
            rule: self.update,
            learning_rate: self.learning_rate,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            clip: self.clip,
        }
    }

    /// Checks what concerns training alone.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub(super) fn validate(&self) -> Result<(), RangeError> {
        let at_least_one = |field: &'static str, value: u64| match value {
            0 => Err(RangeError::new(field, value, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("training.steps", self.steps)?;
        at_least_one("training.batch", self.batch as u64)?;
        at_least_one("training.checkpoint_every", self.checkpoint_every)?;
        at_least_one("training.keep", self.keep as u64)?;
        at_least_one("training.valid_every", self.valid_every)?;
        at_least_one("training.unused_window", self.unused_window)?;
        at_least_one("training.patience", self.patience.unwrap_or(1))?;
        if !(1..=1024).contains(&self.ahead) {
            return Err(RangeError::new("training.ahead", self.ahead, "between 1 and 1024"));
        }
        let largest = self.update.largest_rate();
        if !(self.learning_rate > 0.0 && self.learning_rate <= largest) {
            let range = format!("in (0, {largest}] for the update rule {}", self.update);
            return Err(RangeError::new("training.learning_rate", self.learning_rate, range));
        }
        for (field, beta) in [("training.beta_1", self.beta_1), ("training.beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(RangeError::new(field, beta, "in [0, 1)"));
            }
        }
        let positive = |field: &'static str, value: f32| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(RangeError::new(field, value, "a number > 0")),
        };
        positive("training.epsilon", self.epsilon)?;
        if !(self.smooth >= 0.0 && self.smooth.is_finite()) {
            return Err(RangeError::new("training.smooth", self.smooth, "a number ≥ 0"));
        }
        self.clip.map_or(Ok(()), |clip| positive("training.clip", clip))?;
        self.initialization.validate()
    }
}

impl Initialization {
    fn validate(&self) -> Result<(), RangeError> {
        match self {
            Self::Perturbed { sd } if !(*sd >= 0.0 && sd.is_finite()) => {
                Err(RangeError::new("training.initialization.sd", sd, "a number ≥ 0"))
            }
            _ => Ok(()),
        }
    }
}
