//! Errors of settings and of weights.

use std::borrow::Cow;

use thiserror::Error;

/// The error for a value outside its range. All crates use it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{field}` is {value}, but must be {range}")]
pub struct RangeError {
    /// Path of the setting in its file, for example `model.threshold.lambda`, or the name of an argument.
    pub field: Cow<'static, str>,
    /// The value that was given.
    pub value: String,
    /// Description of the allowed values.
    pub range: Cow<'static, str>,
}

impl RangeError {
    /// An error for `field`, which has `value` and must be `range`.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        value: impl ToString,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), value: value.to_string(), range: range.into() }
    }
}

/// An error in the configuration of a model.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number or a combination of settings is not allowed.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A word is not one of the known words.
    #[error("`{field}` is \"{value}\", but must be one of {known}")]
    Unknown {
        /// Path of the field in the configuration.
        field: &'static str,
        /// The word that was given.
        value: String,
        /// The known words.
        known: &'static str,
    },
    /// Weights have another shape than the configuration describes.
    #[error("`{field}` has shape {found:?}, but the configuration asks for {expected:?}")]
    Shape {
        /// Name of the tensor.
        field: &'static str,
        /// The shape that was found.
        found: Vec<usize>,
        /// The shape that the configuration describes.
        expected: Vec<usize>,
    },
}

impl ConfigError {
    pub(crate) fn range(
        field: &'static str,
        value: impl ToString,
        range: impl Into<Cow<'static, str>>,
    ) -> ConfigError {
        RangeError::new(field, value, range).into()
    }
}

/// An error in the weights of a model.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum WeightError {
    /// A weight of the model is not among those given.
    #[error("no \"{path}\"")]
    Missing {
        /// Path of the weight, `dictionary.atoms` for example.
        path: String,
    },
    /// A tensor is given that is none of the model's weights.
    #[error("\"{path}\" is none of the model's weights ({known})")]
    Unknown {
        /// Name of the tensor.
        path: String,
        /// Paths of the model's weights.
        known: String,
    },
    /// A weight has another shape than the model's.
    #[error("\"{path}\" has shape {found:?}, but the configuration describes {expected:?}")]
    Shape {
        /// Path of the weight.
        path: String,
        /// The shape that was found.
        found: Vec<usize>,
        /// The shape that the model has.
        expected: Vec<usize>,
    },
    /// A weight holds a value that its constraint does not allow, or that is not finite.
    #[error("\"{path}\" holds {value}, but must be {range}")]
    Value {
        /// Path of the weight.
        path: String,
        /// The first such value.
        value: f64,
        /// What every value must be.
        range: &'static str,
    },
}
