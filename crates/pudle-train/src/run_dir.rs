//! The directory of a run: who writes into it, and what belongs to it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Result, TrainError};
use crate::files::create_dir;

/// The settings of a run.
pub(crate) const CONFIG: &str = "config.toml";

/// A run directory that this process alone writes into.
///
/// The operating system holds the lock. It gives it back when the value is dropped, and also when the process is killed.
/// A directory that this value has created, and that is still empty when it is dropped, is removed again.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Folders that did not exist before, the innermost first.
    created: Vec<PathBuf>,
    /// Holds the lock.
    _lock: Option<File>,
}

impl RunDir {
    /// Takes `path` for a new run. It may not exist yet, or be an empty directory.
    ///
    /// # Errors
    /// Returns an error if the directory holds a run or other files, if another process uses it, or if it cannot be
    /// created.
    pub fn create(path: &Path) -> Result<Self> {
        let dir = Self::take(path)?;
        match dir.is_free()? {
            true => Ok(dir),
            false if is_run(path) => Err(TrainError::RunExists(path.to_path_buf())),
            false => Err(TrainError::ForeignFiles(path.to_path_buf())),
        }
    }

    /// Takes the first of `folder/name-1`, `folder/name-2`, … that does not exist. Two processes never get the same one.
    ///
    /// # Errors
    /// Returns an error if the directory cannot be created.
    pub fn numbered(folder: &Path, name: &str) -> Result<Self> {
        let mut created = missing(folder);
        create_dir(folder)?;
        for number in 1_u64.. {
            let path = folder.join(format!("{name}-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    created.insert(0, path.clone());
                    let lock = lock(&path)?;
                    return Ok(Self { path, created, _lock: lock });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(TrainError::io(&path)(error)),
            }
        }
        unreachable!("there is always another number")
    }

    /// Takes the directory of an existing run, to go on with it. Files that a killed process left half-written are removed.
    ///
    /// # Errors
    /// Returns an error if `path` holds no run, or if another process uses it.
    pub fn open(path: &Path) -> Result<Self> {
        let config = path.join(CONFIG);
        fs::metadata(&config).map_err(TrainError::io(&config))?;
        let dir = Self { path: path.to_path_buf(), created: Vec::new(), _lock: lock(path)? };
        for folder in [path.to_path_buf(), path.join("checkpoint")] {
            remove_unfinished(&folder)?;
        }
        Ok(dir)
    }

    /// Takes `path` whatever it holds.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let created = missing(path);
        create_dir(path)?;
        Ok(Self { path: path.to_path_buf(), created, _lock: lock(path)? })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_free(&self) -> Result<bool> {
        let mut entries = fs::read_dir(&self.path).map_err(TrainError::io(&self.path))?;
        let others = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK));
        Ok(!others)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        for path in &self.created {
            // A directory that holds something stays.
            if fs::remove_dir(path).is_err() {
                break;
            }
        }
    }
}

/// Whether a directory holds a run or a checkpoint.
pub(crate) fn is_run(path: &Path) -> bool {
    path.join(CONFIG).is_file()
}

/// `path` and the folders above it that do not exist, the innermost first.
fn missing(path: &Path) -> Vec<PathBuf> {
    path.ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_path_buf)
        .collect()
}

/// Name of the file that is locked where a directory cannot be.
const LOCK: &str = "lock";

/// Locks a directory. File systems without locks give none, which a warning says.
fn lock(dir: &Path) -> Result<Option<File>> {
    let file = match cfg!(unix) {
        true => File::open(dir),
        false => File::create(dir.join(LOCK)),
    };
    let file = file.map_err(TrainError::io(dir))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(TrainError::RunInUse(dir.to_path_buf())),
        Err(TryLockError::Error(error)) => {
            let dir = dir.display();
            log::warn!("{dir}: cannot be locked ({error}); start no second training in it");
            Ok(None)
        }
    }
}

/// Removes the temporary files of a process that was killed. The caller holds the lock, so nobody writes them any more.
fn remove_unfinished(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = name.ends_with(".tmp") || pudle_data::is_temporary(&name);
        if unfinished && entry.path().is_file() {
            fs::remove_file(entry.path()).map_err(TrainError::io(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_writer() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/a");
        let first = RunDir::create(&path).unwrap();
        let error = RunDir::create(&path).unwrap_err();
        assert!(matches!(error, TrainError::RunInUse(_)), "{error}");
        fs::write(path.join(CONFIG), "").unwrap();
        drop(first);
        assert!(matches!(RunDir::create(&path).unwrap_err(), TrainError::RunExists(_)));
        let resumed = RunDir::open(&path).unwrap();
        assert!(matches!(RunDir::open(&path).unwrap_err(), TrainError::RunInUse(_)));
        drop(resumed);
        RunDir::open(&path).unwrap();
    }

    #[test]
    fn empty_directories_and_half_written_files_go() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/deep/a");
        drop(RunDir::create(&path).unwrap());
        assert!(!root.path().join("runs").exists());
        let dir = RunDir::create(&path).unwrap();
        fs::create_dir(path.join("checkpoint")).unwrap();
        let names = ["config.toml", "checkpoint/model-4.bpk", "notes.txt"];
        let unfinished = ["checkpoint/model-8.bpk.12-0.tmp", ".pudle-abc.part"];
        for name in names.iter().chain(&unfinished) {
            fs::write(path.join(name), "x").unwrap();
        }
        drop(dir);
        drop(RunDir::open(&path).unwrap());
        assert!(names.iter().all(|name| path.join(name).exists()));
        assert!(unfinished.iter().all(|name| !path.join(name).exists()));
    }

    #[test]
    fn foreign_files_are_never_mixed_with_a_run() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "x").unwrap();
        let error = RunDir::create(root.path()).unwrap_err();
        assert!(matches!(error, TrainError::ForeignFiles(_)), "{error}");
        assert!(RunDir::open(root.path()).is_err());
    }

    #[test]
    fn numbered_directories_are_taken_by_one_each() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("runs");
        let dirs: Vec<RunDir> = std::thread::scope(|scope| {
            let take = || RunDir::numbered(&folder, "dense").unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let paths: std::collections::BTreeSet<_> = dirs.iter().map(RunDir::path).collect();
        assert_eq!(paths.len(), 8);
        assert!(paths.contains(folder.join("dense-8").as_path()));
    }
}
