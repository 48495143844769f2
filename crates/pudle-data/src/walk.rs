//! The files of a folder and the folders below it.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// What a folder holds.
pub(crate) struct Found {
    /// Files, sorted by path: the file system lists them in any order.
    pub paths: Vec<PathBuf>,
    /// Entries that cannot be read, with a message: a folder without permission, a link to nothing.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Messages about links to a folder above them, which are not followed.
    pub loops: Vec<String>,
}

/// The files in `dir` and below it that `wanted` accepts. Links are followed. Directories of runs and checkpoints are left
/// out, because the files in them are results; a warning says so.
pub(crate) fn files(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Found {
    let mut found = Found { paths: Vec::new(), unreadable: Vec::new(), loops: Vec::new() };
    let mut runs = 0;
    let mut entries = WalkDir::new(dir).follow_links(true).into_iter();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() && is_run(entry.path()) => {
                runs += 1;
                entries.skip_current_dir();
            }
            Ok(entry) if entry.file_type().is_file() && wanted(entry.path()) => {
                found.paths.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) if error.loop_ancestor().is_some() => found.loops.push(error.to_string()),
            Err(error) => {
                let path = error.path().unwrap_or(dir).to_path_buf();
                let message = match error.io_error() {
                    Some(cause) => format!("{}: {cause}", path.display()),
                    None => error.to_string(),
                };
                found.unreadable.push((path, message));
            }
        }
    }
    if runs > 0 {
        log::warn!("{}: {runs} run or checkpoint directories are not data", dir.display());
    }
    found.paths.sort();
    found.unreadable.sort();
    found.loops.sort();
    found
}

/// Whether a directory is that of a run or a checkpoint.
fn is_run(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).exists();
    has("config.toml") && (has("metrics.csv") || has("model.safetensors") || has("checkpoint"))
}
