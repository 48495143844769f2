//! Whether a dictionary has the kind that data need.

use std::borrow::Cow;

use pudle_core::{ConvConfig, DenseConfig, DictionaryConfig, RangeError};

/// Largest number of different data.
const MOST_DATA: usize = 10_000_000;

/// A dictionary that must be dense; `data` names the data in the error.
pub(super) fn dense(dictionary: &DictionaryConfig, data: &str) -> Result<DenseConfig, RangeError> {
    match dictionary {
        DictionaryConfig::Dense(dense) => Ok(*dense),
        other => Err(other_kind(other, format!("dense for {data}"))),
    }
}

/// A dictionary that must be filters over images; `data` names the data in the error.
pub(super) fn conv2d(dictionary: &DictionaryConfig, data: &str) -> Result<ConvConfig, RangeError> {
    match dictionary {
        DictionaryConfig::Conv2d(filters) => Ok(*filters),
        other => Err(other_kind(other, format!("conv2d for {data}"))),
    }
}

/// The error for a dictionary of another kind than `range` says.
pub(super) fn other_kind(
    dictionary: &DictionaryConfig,
    range: impl Into<Cow<'static, str>>,
) -> RangeError {
    RangeError::new("model.dictionary.kind", dictionary.kind(), range)
}

/// Checks `data.count`, the number of different data.
pub(super) fn check_data_count(count: usize) -> Result<(), RangeError> {
    crate::error::check_count("data.count", count, 1, MOST_DATA)
}
