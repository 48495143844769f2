//! Writing of files and folders, with errors that name the path.

use std::path::{Path, PathBuf};

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

/// The file of the checksum of a file, in the format of `sha256sum`.
fn sum_path(path: &Path) -> PathBuf {
    path.with_added_extension("sha256")
}

/// Removes a file if it exists.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file with its checksum beside it, or removes both if there are no `bytes`.
pub(crate) fn write_summed(path: &Path, bytes: Option<&[u8]>) -> Result<()> {
    // The old checksum goes first, so that it never stands beside new contents.
    let sum = sum_path(path);
    remove(&sum)?;
    let Some(bytes) = bytes else { return remove(path) };
    write_whole(path, bytes)?;
    write_whole(&sum, sum_line(path, bytes).as_bytes())
}

/// Compares the contents of a file with the checksum beside it, if there is one.
///
/// # Errors
/// Returns an error if they differ.
pub(crate) fn matches_sum(path: &Path, bytes: &[u8]) -> Result<()> {
    match std::fs::read_to_string(sum_path(path)) {
        Ok(sum) if sum != sum_line(path, bytes) => {
            let reason = "does not have the checksum in the file beside it, so it is damaged or has been replaced";
            Err(TrainError::weights(path, reason))
        }
        _ => Ok(()),
    }
}
