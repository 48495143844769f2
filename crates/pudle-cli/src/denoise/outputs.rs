//! Output files before the work, and their folders.

use std::path::Path;

use pudle_data::check_writable;

use super::plan::{check_file, is_taken, same_file};
use crate::failure::Failure;

/// Returns an error if writing `path` would replace a file without `force`.
pub fn check_replaced(path: &Path, force: bool) -> Result<(), Failure> {
    if !force && is_taken(path) {
        return Err(format!("{}: exists; replace it with --force", path.display()).into());
    }
    Ok(())
}

/// Returns an error if the panel cannot be written, or if it has the same path as the estimate.
pub fn check_panel(panel: &Path, output: Option<&Path>) -> Result<(), Failure> {
    if output.is_some_and(|output| same_file(output, panel)) {
        return Err(
            format!("{}: the estimate and the panel have the same path", panel.display()).into()
        );
    }
    check_file(panel)
}

/// Returns an error if an output file cannot be written. Its folder may not exist yet.
pub fn check_output(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder.is_dir() {
        check_writable(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Creates the folder of an output file, with the folders above it.
pub fn make_folder_of(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()).into())
}
