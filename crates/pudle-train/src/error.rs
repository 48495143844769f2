//! Errors of training, checkpoints and denoising.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use pudle_core::{BackendError, ConfigError, RangeError, WorkerError};
use pudle_data::DataError;
use thiserror::Error;

/// The result of most functions of this crate.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// An error. It names the file, value or step that causes it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting of the model is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting of the run is out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A configuration file is not TOML, lacks a key or has an unknown key.
    #[error("{path}: {reason}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The message of the parser, with the line.
        reason: String,
    },
    /// The configuration file is well-formed, but a value in it is not allowed.
    #[error("{path}: {source}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<TrainError>,
    },
    /// The data cannot be read or drawn.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The backend cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A worker cannot be used.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file of weights is damaged or does not fit its configuration.
    #[error("{path}: {reason}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run directory has no complete checkpoint.
    #[error("{0}: no complete checkpoint to resume from (model, optim and scheduler of one step)")]
    NoCheckpoint(PathBuf),
    /// A run has a final model, but no checkpoint.
    #[error("{0}: holds a model but no checkpoint, so the training cannot go on from it")]
    NoState(PathBuf),
    /// Another process trains in the directory.
    #[error("{0}: another process is training in this directory")]
    RunInUse(PathBuf),
    /// The directory holds files that are not those of a run.
    #[error("{0}: holds other files, but a new run needs an empty or new directory")]
    ForeignFiles(PathBuf),
    /// The settings of a run are not those that it was trained with.
    #[error("{}: the settings are not those that the run was trained with: {differences}", dir.display())]
    OtherSettings {
        /// The run directory.
        dir: PathBuf,
        /// Each setting with both values.
        differences: String,
    },
    /// The directory already holds a run.
    #[error("{0}: already holds a run")]
    RunExists(PathBuf),
    /// A file holds several tensors, and no name is given.
    #[error("{path}: holds {names}: the name of one of them is needed")]
    SeveralTensors {
        /// The file.
        path: PathBuf,
        /// The tensors' names.
        names: String,
    },
    /// The stride of filters is missing.
    #[error("{tensor} has shape {shape:?}, which is a filter bank: its stride is needed")]
    NoStride {
        /// The tensor and its file.
        tensor: String,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// A tensor's shape can be read in more than one way, and nothing tells which is meant.
    #[error("{path}: {name:?} has shape {shape:?}, which can be {readings}, and norms do not tell")]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The tensor's shape.
        shape: Vec<usize>,
        /// The ways to read it.
        readings: String,
    },
    /// A file does not describe the network that its weights belong to.
    #[error("{0}: does not describe its network: operator, layers and step size are needed")]
    NoSettings(PathBuf),
    /// A stride is given for a matrix.
    #[error("{tensor} has shape {shape:?}, which is a matrix: only filter banks have a stride")]
    StrideOfMatrix {
        /// The tensor and its file.
        tensor: String,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// The loss or a weight is not finite.
    #[error("step {step}: the loss is {loss}, not a finite number; {cause}")]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// The likely cause.
        cause: String,
    },
    /// The loss is far from anything that a training can reach.
    #[error(
        "step {step}: the loss is {loss:.3e}, while the data have an energy of {energy:.3e}: the training diverges; {cause}"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// Half the mean squared norm of the inputs, which is the loss of an output that is zero.
        energy: f64,
        /// The likely cause.
        cause: String,
    },
    /// A checkpoint or another input is not suitable.
    #[error("{0}")]
    Unsuitable(String),
    /// The caller ended the work.
    #[error("interrupted")]
    Interrupted,
    /// Burn's Learner stopped.
    #[error("training stopped: {0}")]
    Learner(String),
}

impl TrainError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError {
        let path = path.to_path_buf();
        move |source| TrainError::Io { path, source }
    }

    /// An error about a file of weights.
    pub(crate) fn weights(path: &Path, reason: impl ToString) -> TrainError {
        TrainError::Weights { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// Adds the file of the settings to an error.
    pub(crate) fn in_file(path: &Path, source: TrainError) -> TrainError {
        TrainError::InFile { path: path.to_path_buf(), source: Box::new(source) }
    }

    /// The error of the TOML parser about the file `path` with contents `text`, with the number of the line.
    pub(crate) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> TrainError {
        let line =
            error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count());
        let message = error.message().replace('\n', " ");
        TrainError::ConfigFile {
            path: path.to_path_buf(),
            reason: match line {
                Some(line) => format!("line {}: {message}", line + 1),
                None => message,
            },
        }
    }

    pub(crate) fn range(
        field: &'static str,
        value: impl ToString,
        range: impl Into<Cow<'static, str>>,
    ) -> TrainError {
        RangeError::new(field, value, range).into()
    }
}
