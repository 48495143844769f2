//! The files of a folder and the folders below it.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// What a folder holds.
pub(crate) struct Found {
    /// Files, sorted by path: the file system lists them in any order.
    pub paths: Vec<PathBuf>,
    /// Messages about entries that cannot be read: a folder without permission, a link to nothing or to a folder above it.
    pub unreadable: Vec<String>,
}

/// The files in `dir` and below it that `wanted` accepts. Links are followed. Directories of runs and checkpoints are left
/// out, because the files in them are results; a warning says so.
pub(crate) fn files(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Found {
    let mut found = Found { paths: Vec::new(), unreadable: Vec::new() };
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
            Err(error) => found.unreadable.push(error.to_string()),
        }
    }
    if runs > 0 {
        log::warn!("{}: {runs} run or checkpoint directories are not data", dir.display());
    }
    found.paths.sort();
    found
}

/// Whether a directory is that of a run or a checkpoint.
fn is_run(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).exists();
    has("config.toml") && (has("metrics.csv") || has("model.safetensors") || has("checkpoint"))
}
