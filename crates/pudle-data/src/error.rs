//! Errors.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use pudle_core::RangeError;

/// The result of most functions of this crate.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// Why data could not be read, written or made.
///
/// Every message names the file or the setting and what was found there. For a setting, it also names the
/// allowed range.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to open, read or write a file or folder.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// The reason that the operating system gives. It is part of the message. It is not the `source` of
        /// this error, or reporters would print it twice.
        cause: std::io::Error,
    },
    /// A file exists but does not hold a picture that can be decoded.
    #[error("{}: not a readable PNG, JPEG, TIFF or WebP picture: {reason}", path.display())]
    Decode {
        /// The picture's file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// A file holds several pages or frames, and none was chosen.
    #[error("{}: holds {count} pages or frames, of which one has to be chosen", path.display())]
    Pages {
        /// The picture's file.
        path: PathBuf,
        /// Their number.
        count: usize,
    },
    /// A file exists but breaks its format, or a picture cannot be stored in the requested format.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file concerned.
        path: PathBuf,
        /// Which rule of the format is broken, and how.
        reason: String,
    },
    /// A path that should be a folder is something else.
    #[error("{}: not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A folder holds no readable picture.
    #[error(
        "{}: no readable .png, .jpg, .tif or .webp picture in this folder or below it \
         ({skipped} unreadable skipped)",
        dir.display()
    )]
    NoImages {
        /// The folder searched.
        dir: PathBuf,
        /// Number of files with the name of a picture that could not be read.
        skipped: usize,
    },
    /// None of a source's pictures could be decoded.
    #[error("none of the {count} pictures of {from} could be read; the last: {last}")]
    AllUnreadable {
        /// Number of pictures.
        count: usize,
        /// A description of the source.
        from: String,
        /// The message of the last failure.
        last: String,
    },
    /// A folder holds no pair of digit images and labels.
    #[error("{}: no {part} digits: looked for {names} (and the same with .gz)", dir.display())]
    NoDigits {
        /// The folder searched.
        dir: PathBuf,
        /// The requested part, `train` or `t10k`.
        part: &'static str,
        /// The file names tried.
        names: String,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Something does not have the shape that it must have.
    #[error("{what}: {found}, expected {expected}")]
    Shape {
        /// What has the shape.
        what: String,
        /// The shape found.
        found: String,
        /// The shape needed.
        expected: String,
    },
    /// A source panicked, or its thread could not be started.
    #[error("the data source failed at step {step}: {reason}")]
    Source {
        /// The step whose batch was being made.
        step: u64,
        /// The message of the panic, or why no thread could be started.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, cause: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }

    pub(crate) fn decode(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Decode { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn range(
        field: &'static str,
        value: impl std::fmt::Display,
        range: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Range(RangeError::new(field, value, range))
    }
}

/// Checks that a whole number is in the closed range from `low` to `high`. `usize::MAX` as `high` stands for no
/// bound.
pub(crate) fn check_count(
    field: &'static str,
    value: usize,
    low: usize,
    high: usize,
) -> Result<(), RangeError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let range = match high {
        usize::MAX => format!("at least {low}"),
        _ => format!("from {low} to {high}"),
    };
    Err(RangeError::new(field, value, range))
}

/// Checks that a real number is in the closed range from `low` to `high`. NaN is in no range.
pub(crate) fn check_real(
    field: &'static str,
    value: f32,
    low: f32,
    high: f32,
) -> Result<(), RangeError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(RangeError::new(field, value, format!("from {low} to {high}")))
}
