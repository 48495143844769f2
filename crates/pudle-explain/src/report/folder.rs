//! A folder that appears whole or not at all.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{ExplainError, Result};

/// A folder with one of these files is a report or a removal test.
const MARKS: [&str; 2] = ["explanation.json", "check.json"];

/// A folder that is being written in a temporary one beside it.
pub(crate) struct Folder {
    temporary: TempDir,
    place: PathBuf,
}

impl Folder {
    /// Begins a folder at `place`. It must not exist yet, or be empty; with `replace` it may be a report.
    pub fn create(place: &Path, replace: bool) -> Result<Self> {
        check_place(place, replace)?;
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(ExplainError::io(parent))?;
        let temporary = tempfile::Builder::new()
            .prefix(".report-")
            .tempdir_in(parent)
            .map_err(ExplainError::io(parent))?;
        Ok(Self { temporary, place: place.to_path_buf() })
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.temporary.path().join(name);
        let parent = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(ExplainError::io(&self.place.join(name)))
    }

    /// Moves the folder to its place. If that fails, everything is as it was.
    pub fn finish(self) -> Result<()> {
        let failed = ExplainError::io(&self.place);
        let temporary = self.temporary.path();
        set_readable(temporary).map_err(ExplainError::io(&self.place))?;
        let aside = temporary.with_extension("old");
        let replaces = self.place.exists();
        if replaces {
            std::fs::rename(&self.place, &aside).map_err(ExplainError::io(&self.place))?;
        }
        if let Err(error) = std::fs::rename(temporary, &self.place) {
            if replaces {
                std::fs::rename(&aside, &self.place).map_err(ExplainError::io(&aside))?;
            }
            return Err(failed(error));
        }
        // The temporary folder has moved, so it must not be removed.
        let _ = self.temporary.keep();
        if replaces { std::fs::remove_dir_all(&aside).map_err(failed) } else { Ok(()) }
    }
}

/// Only its owner can read a temporary folder. Others may read a report.
fn set_readable(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

/// Returns an error if a report cannot be written to `place`: if the folder holds a report and `replace` is not set, or if it holds
/// anything else.
///
/// # Errors
/// The error names the folder and what it holds.
pub fn check_place(place: &Path, replace: bool) -> Result<()> {
    let unsuitable =
        |reason: &str| Err(ExplainError::Unsuitable(format!("{}: {reason}", place.display())));
    if place.file_name().is_none() {
        return unsuitable("a report needs a folder of its own, with a name");
    }
    let is_report = || MARKS.iter().any(|mark| place.join(mark).is_file());
    match std::fs::read_dir(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ExplainError::io(place)(error)),
        Ok(mut entries) => match (entries.next().is_none(), is_report(), replace) {
            (true, ..) | (_, true, true) => Ok(()),
            (_, true, false) => Err(ExplainError::ReportExists(place.to_path_buf())),
            (_, false, _) => unsuitable("holds other files, which a report would replace"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_replaces_nothing_but_a_report() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/report");
        let folder = Folder::create(&place, false).unwrap();
        folder.write(MARKS[0], b"1").unwrap();
        folder.write("figures/x.png", b"2").unwrap();
        assert!(!place.exists());
        folder.finish().unwrap();
        assert!(Folder::create(&place, false).is_err());
        let folder = Folder::create(&place, true).unwrap();
        folder.write(MARKS[0], b"3").unwrap();
        folder.finish().unwrap();
        assert_eq!(std::fs::read(place.join(MARKS[0])).unwrap(), b"3");
        assert!(!place.join("figures").exists());
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1, "nothing is left");

        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        drop(Folder::create(&other, false).unwrap());
        std::fs::write(other.join("notes.txt"), "mine").unwrap();
        assert!(Folder::create(&other, true).is_err());
        // Experiments have a summary, too.
        std::fs::write(other.join("summary.json"), "{}").unwrap();
        assert!(Folder::create(&other, true).is_err());
        assert!(Folder::create(Path::new("."), true).is_err());
        // One that is given up leaves nothing behind.
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
