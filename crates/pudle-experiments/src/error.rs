//! What can go wrong in an experiment.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use pudle_core::{BackendError, ConfigError, RangeError};
use pudle_data::DataError;
use pudle_plot::PlotError;
use pudle_train::TrainError;
use thiserror::Error;

/// The result of most functions here.
pub type Result<T, E = ExperimentError> = std::result::Result<T, E>;

/// An error with the file or value it is about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A setting of a model is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data cannot be drawn.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The backend cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A training fails, or its data or results.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A setting of the experiment is out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or a folder of an experiment is damaged.
    #[error("{path}: {reason}; remove it, and the experiment makes it again")]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder holds the results of other settings.
    #[error("{path}: holds results of other settings ({difference})")]
    OtherSettings {
        /// The folder.
        path: PathBuf,
        /// The first setting that differs.
        difference: String,
    },
    /// A measured number is not finite.
    #[error("{part}: {what} is not finite; a smaller learning rate or step size may help")]
    NotFinite {
        /// The part of the experiment.
        part: String,
        /// The name of the number.
        what: String,
    },
    /// A chart cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

impl ExperimentError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ExperimentError {
        let path = path.to_path_buf();
        move |source| ExperimentError::Io { path, source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl ToString) -> ExperimentError {
        ExperimentError::Damaged { path: path.to_path_buf(), reason: reason.to_string() }
    }

    pub(crate) fn range(
        field: &'static str,
        value: impl ToString,
        range: impl Into<Cow<'static, str>>,
    ) -> ExperimentError {
        RangeError::new(field, value, range).into()
    }
}

/// Returns an error if a setting is outside `low..=high`.
pub(crate) fn within<T: PartialOrd + ToString + Copy>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<()> {
    // NaN is in no range.
    if value >= low && value <= high {
        return Ok(());
    }
    let range = format!("between {} and {}", low.to_string(), high.to_string());
    Err(ExperimentError::range(field, value, range))
}

/// Returns an error if a list is empty, or if an entry is outside `low..=high`.
pub(crate) fn each_within<T: PartialOrd + ToString + Copy>(
    field: &'static str,
    values: &[T],
    low: T,
    high: T,
) -> Result<()> {
    if values.is_empty() {
        return Err(ExperimentError::range(field, "empty", "at least one value"));
    }
    values.iter().try_for_each(|value| within(field, *value, low, high))
}
