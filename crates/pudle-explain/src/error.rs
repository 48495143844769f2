//! What can go wrong around an explanation.

use std::path::{Path, PathBuf};

use pudle_core::{BackendError, ConfigError};
use pudle_data::DataError;
use pudle_plot::PlotError;
use pudle_train::TrainError;
use thiserror::Error;

use crate::identity::Ridge;

/// The result of most functions here.
pub type Result<T, E = ExplainError> = std::result::Result<T, E>;

/// An error with the file or value it is about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The run cannot be read, or trained on.
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
    #[error("`{field}` is {value}, but must be {range}")]
    OutOfRange {
        /// What it is.
        field: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        range: String,
    },
    /// `ZᵀZ + ρI` cannot be inverted.
    #[error(
        "the codes' Gram matrix is singular at a ridge of {ridge} ({unused} of {atoms} atoms are never used): \
         give a larger --ridge"
    )]
    Singular {
        /// What was added to its diagonal.
        ridge: Ridge,
        /// Atoms that no datum uses.
        unused: usize,
        /// All atoms.
        atoms: usize,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The model, data or input are not for what was asked.
    #[error("{0}")]
    Unsuitable(String),
}

impl ExplainError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn range(
        field: &'static str,
        value: impl ToString,
        range: impl Into<String>,
    ) -> Self {
        Self::OutOfRange { field, value: value.to_string(), range: range.into() }
    }
}
