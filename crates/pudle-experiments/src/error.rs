//! What can go wrong in an experiment.

use std::path::{Path, PathBuf};

use pudle_core::{BackendError, ConfigError};
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
    #[error("`{field}` is {value}, but must be {range}")]
    OutOfRange {
        /// Name of the setting.
        field: &'static str,
        /// The value that was given.
        value: String,
        /// What it must be.
        range: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of an experiment's folder that is damaged.
    #[error("{path}: {reason}; remove it to have it made again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder that holds something else.
    #[error(
        "{path}: holds results of other settings ({difference}); name another folder with `--out`"
    )]
    OtherSettings {
        /// The folder.
        path: PathBuf,
        /// The first setting that differs.
        difference: String,
    },
    /// A number stopped being finite.
    #[error("{cell}: {what} is no finite number; a smaller learning rate or step size may help")]
    NotFinite {
        /// The part of the experiment.
        cell: String,
        /// Which number.
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
        range: impl Into<String>,
    ) -> ExperimentError {
        ExperimentError::OutOfRange { field, value: value.to_string(), range: range.into() }
    }
}

/// Refuses a setting outside `low..=high`.
pub(crate) fn within<T: PartialOrd + ToString + Copy>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<()> {
    // Written so that NaN is refused.
    if value >= low && value <= high {
        return Ok(());
    }
    let range = format!("between {} and {}", low.to_string(), high.to_string());
    Err(ExperimentError::range(field, value, range))
}

/// Refuses an empty list, and one with an entry outside `low..=high`.
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
