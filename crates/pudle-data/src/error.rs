//! What can go wrong between a file and a batch.

use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, DataError>;

/// Why data could not be read, written or made.
///
/// Every message is complete by itself: it names the file or setting, what was found there and,
/// for a setting, the range that is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to open, read or write a file or folder.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said. Part of the message, hence not the `source`, which
        /// reporters print once more.
        cause: std::io::Error,
    },
    /// A file is there but does not hold a picture that can be decoded.
    #[error("{}: not a readable PNG, JPEG, TIFF or WebP picture: {reason}", path.display())]
    Decode {
        /// The picture's file.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// A file is there but does not follow the format it should have, or a picture cannot be
    /// stored in the asked-for format.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file concerned.
        path: PathBuf,
        /// Which rule of the format is broken, and how.
        reason: String,
    },
    /// A folder was asked for and something else was found.
    #[error("{}: not a folder", path.display())]
    NotAFolder {
        /// What was given as the folder.
        path: PathBuf,
    },
    /// A folder holds no picture that can be used.
    #[error(
        "{}: no readable .png, .jpg, .tif or .webp picture in this folder or below it \
         ({skipped} unreadable skipped)",
        dir.display()
    )]
    NoImages {
        /// The folder searched.
        dir: PathBuf,
        /// How many files looked like pictures by name but could not be read.
        skipped: usize,
    },
    /// None of a source's pictures could be decoded.
    #[error("none of the {count} pictures of {from} could be read; the last: {last}")]
    AllUnreadable {
        /// How many were tried.
        count: usize,
        /// The source, in words.
        from: String,
        /// The message of the last failure.
        last: String,
    },
    /// A folder holds no pair of digit images and labels.
    #[error("{}: no {part} digits: looked for {names} (and the same with .gz)", dir.display())]
    NoDigits {
        /// The folder searched.
        dir: PathBuf,
        /// The part asked for, `train` or `t10k`.
        part: &'static str,
        /// The file names tried.
        names: String,
    },
    /// A setting lies outside its allowed range.
    #[error("{field} is {value}, but must be {range}")]
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// The allowed range, in words.
        range: String,
    },
    /// Two things that must have one shape differ in shape.
    #[error("{what}: {found}, expected {expected}")]
    Shape {
        /// What was compared.
        what: String,
        /// The shape found.
        found: String,
        /// The shape needed.
        expected: String,
    },
    /// A source broke off with a panic, or its thread could not be started.
    #[error("the data source failed at step {step}: {reason}")]
    Source {
        /// The step it was making.
        step: u64,
        /// The panic's message, or why no thread could be had.
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
        range: impl Into<String>,
    ) -> Self {
        Self::OutOfRange { field, value: value.to_string(), range: range.into() }
    }
}

/// Checks that a whole number lies in a closed range, whose upper end may be `usize::MAX` for none.
pub(crate) fn check_count(
    field: &'static str,
    value: usize,
    low: usize,
    high: usize,
) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let range = match high {
        usize::MAX => format!("at least {low}"),
        _ => format!("from {low} to {high}"),
    };
    Err(DataError::range(field, value, range))
}

/// Checks that a real number lies in a closed range; NaN does not.
pub(crate) fn check_real(field: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(DataError::range(field, value, format!("from {low} to {high}")))
}
