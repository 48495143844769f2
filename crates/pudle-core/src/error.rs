//! What can be wrong with a configuration.

use thiserror::Error;

/// A setting outside its range. Every variant names the field, the value and the range.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number, or a combination of settings, that the method does not allow.
    #[error("`{field}` is {value}, but must be {range}")]
    OutOfRange {
        /// Path of the field in the configuration, `model.threshold.lambda` for example.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// What it must be.
        range: &'static str,
    },
    /// A word that is none of the known ones.
    #[error("`{field}` is \"{value}\", but must be one of {known}")]
    Unknown {
        /// Path of the field in the configuration.
        field: &'static str,
        /// The word that was given.
        value: String,
        /// The words it may be.
        known: &'static str,
    },
    /// Weights whose shape is not the one that the configuration describes.
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
        range: &'static str,
    ) -> ConfigError {
        ConfigError::OutOfRange { field, value: value.to_string(), range }
    }
}
