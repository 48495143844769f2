//! Writing of files and folders, with errors that name the path.

use std::path::Path;

use crate::error::{Result, TrainError};

/// Calls [`pudle_data::write_whole`] and adds the path to its error.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    pudle_data::write_whole(path, bytes).map_err(TrainError::io(path))
}

/// Creates a directory and its parents.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(TrainError::io(path))
}

/// The line of `sha256sum` for a file with these contents: hash and name.
pub(crate) fn sum_line(path: &Path, bytes: &[u8]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}  {name}\n", pudle_data::sha256(bytes))
}
