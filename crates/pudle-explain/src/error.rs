//! The errors of this crate.

use std::path::{Path, PathBuf};

use pudle_core::{BackendError, ConfigError, RangeError};
use pudle_data::DataError;
use pudle_plot::PlotError;
use pudle_train::TrainError;
use thiserror::Error;

use crate::ridge::Ridge;

/// The result of most functions here.
pub type Result<T, E = ExplainError> = std::result::Result<T, E>;

/// Why something cannot be explained. Each message names the file or value that it is about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The run cannot be read or trained further.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The backend cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A setting of the model is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A figure cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A value is out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// `Z Zᵀ` with the ridge on its diagonal cannot be inverted.
    #[error(
        "the codes' Gram matrix is singular at a ridge of {ridge} ({unused} of {atoms} atoms are never used)"
    )]
    Singular {
        /// What was added to the diagonal.
        ridge: Ridge,
        /// Number of atoms that no datum uses.
        unused: usize,
        /// Number of atoms.
        atoms: usize,
    },
    /// The training data were generated, so there are no files to name as contributors.
    #[error(
        "the run was trained on generated pictures, which are no files that a report could name"
    )]
    GeneratedData,
    /// The folder for the report holds a report already.
    #[error("{0}: a report is there already")]
    ReportExists(PathBuf),
    /// Training cannot continue without some of the data, so the explanation cannot be tested that way.
    #[error("the removal test is not available for {0}")]
    NoRemovalTest(&'static str),
    /// An input cannot be explained.
    #[error("{name}: {source}")]
    Input {
        /// Name of the input.
        name: String,
        /// The reason.
        source: Box<ExplainError>,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The model, the data or an input do not fit what was asked for.
    #[error("{0}")]
    Unsuitable(String),
}

impl ExplainError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// Names the input that an error is about.
    pub(crate) fn of_input(name: &str) -> impl FnOnce(Self) -> Self {
        let name = name.to_owned();
        move |error| Self::Input { name, source: Box::new(error) }
    }

    pub(crate) fn range(
        field: &'static str,
        value: impl ToString,
        range: impl Into<String>,
    ) -> Self {
        RangeError::new(field, value, range.into()).into()
    }
}

/// Returns an error if `value` is not between `low` and `high`, both included.
pub(crate) fn within(field: &'static str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ExplainError::range(field, value, format!("between {low} and {high}")))
}
