//! A learned weight and its constraint.

use burn::tensor::TensorData;

use crate::error::WeightError;

/// A learned weight of a model.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Path in the model: `dictionary.atoms`, `analysis.atoms`, `decoder.atoms`, `gain`, `threshold.lambda`,
    /// `threshold.slope` or `step`.
    pub path: String,
    /// Its values and shape.
    pub values: TensorData,
    /// The constraint onto which it is projected after every update.
    pub constraint: Constraint,
}

/// The constraint onto which a weight is projected after every update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// Atoms of unit norm; the axis counts the atoms.
    UnitNorm {
        /// The axis of the tensor that counts the atoms.
        axis: usize,
    },
    /// Atoms of unit norm without numbers below zero; the axis counts the atoms.
    NonNegativeUnitNorm {
        /// The axis of the tensor that counts the atoms.
        axis: usize,
    },
    /// Filters `[p, C, k]` of unit norm that are a waveform times a weight for each channel.
    RankOneUnitNorm {
        /// The axis of the tensor that counts the atoms.
        axis: usize,
    },
    /// Values ≥ 0.
    NonNegative,
    /// Values of at least this number, > 0.
    AtLeast(f64),
    /// No constraint.
    None,
}

impl Weight {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.values.num_elements()
    }

    /// Whether the weight has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as `f32`, row by row.
    pub fn to_vec(&self) -> Vec<f32> {
        self.values.iter::<f32>().collect()
    }

    /// Checks that every value is finite and has the sign that the constraint requires. Norms and signs of atoms are not
    /// checked, because a dictionary may be used without projection.
    ///
    /// # Errors
    /// Returns an error with the first value that is not finite or has the wrong sign.
    pub fn check(&self) -> Result<(), WeightError> {
        let allowed = |value: f64| match self.constraint {
            Constraint::NonNegative => value >= 0.0,
            Constraint::AtLeast(_) => value > 0.0,
            Constraint::UnitNorm { .. }
            | Constraint::NonNegativeUnitNorm { .. }
            | Constraint::RankOneUnitNorm { .. }
            | Constraint::None => true,
        };
        let range = match self.constraint {
            Constraint::NonNegative => "finite and ≥ 0",
            Constraint::AtLeast(_) => "finite and > 0",
            Constraint::UnitNorm { .. }
            | Constraint::NonNegativeUnitNorm { .. }
            | Constraint::RankOneUnitNorm { .. }
            | Constraint::None => "finite",
        };
        let wrong = |value: &f64| !(value.is_finite() && allowed(*value));
        match self.values.iter::<f64>().find(wrong) {
            Some(value) => Err(WeightError::Value { path: self.path.clone(), value, range }),
            None => Ok(()),
        }
    }
}
