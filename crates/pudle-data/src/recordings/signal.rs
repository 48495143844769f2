//! Where samples come from.

use std::fmt;
use std::path::Path;

use crate::error::Result;

/// Where samples come from.
pub(super) trait Signal: fmt::Debug + Send + Sync {
    /// Reads samples from `first` on of all channels of a trial, `[C, n]`, where `out` has C times n numbers.
    fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()>;

    /// The file, or a name for what is made.
    fn path(&self) -> &Path;
}
