//! What is not read, and the limits of what is read.

use std::path::Path;

use image::{ImageError, Limits};

use crate::error::DataError;

/// A file whose pixels need more bytes than this counts as damaged.
pub(super) const MOST_BYTES: u64 = 16 << 30;

/// What is known of a picture from its header.
pub(crate) struct Header {
    /// Height and width as it is shown.
    pub sides: [usize; 2],
    pub colored: bool,
}

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Problem {
    Reason(String),
    /// It holds so many pages or frames, and none was chosen.
    Pages(usize),
    NoPage {
        page: usize,
        count: usize,
    },
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl Problem {
    pub(super) fn of(self, path: &Path) -> DataError {
        match self {
            Self::Reason(reason) => DataError::decode(path, reason),
            Self::Pages(count) => DataError::Pages { path: path.to_owned(), count },
            Self::NoPage { page, count } => {
                let reason = match count {
                    1 => format!("has one page, so there is no page {page}"),
                    _ => format!("has no page {page}, only pages 1 to {count}"),
                };
                DataError::format(path, reason)
            }
        }
    }
}

/// The limits of decoders.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    limits
}

/// A decoder's error without names of types.
pub(super) fn plain_words(error: ImageError) -> Problem {
    Problem::Reason(match error {
        ImageError::Unsupported(_) => {
            "it is of a rare variant that is not read; save it again with another program".into()
        }
        ImageError::Limits(_) => "it needs too much memory".into(),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the file ends before the picture does".into()
        }
        ImageError::IoError(error) => error.to_string(),
        _ => "its data are damaged".into(),
    })
}
