//! Writing files completely or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Cursor, Seek, Write};
use std::path::{Path, PathBuf};

/// Start and end of the name of a temporary file.
const TEMPORARY: (&str, &str) = (".pudle-", ".part");

/// Whether a file of this name is a temporary one of [`write_whole`]. A process that is killed leaves it.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Writes a file completely or not at all. The bytes go to a temporary file in the same folder, which is then
/// renamed to `path`. An existing file stays unchanged until then. A failure leaves no temporary file.
///
/// Symbolic links are followed. Anything that is not a regular file (a pipe, a terminal) is written to
/// directly.
///
/// # Errors
/// Returns the error of the operating system, for example if the folder is missing or cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// The file that [`write_whole_with`] passes to its writer.
pub trait WriteSeek: Write + Seek {}
impl<T: Write + Seek> WriteSeek for T {}

/// [`write_whole`] for bytes that `write` produces.
///
/// # Errors
/// Returns the error of the operating system or of `write`.
pub fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>,
) -> io::Result<()> {
    let path = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            let mut bytes = Cursor::new(Vec::new());
            write(&mut bytes)?;
            return OpenOptions::new().write(true).open(path)?.write_all(bytes.get_ref());
        }
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => PathBuf::from(path),
    };
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Dropping the temporary file removes it, also on an early return.
    let mut file = temporary(folder)?;
    // The file below does not put its name into errors either.
    let mut buffered = BufWriter::with_capacity(1 << 20, file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

/// Checks that [`write_whole`] could write a file to `path`, so that this is known before the work for it. A temporary file is
/// made and removed.
///
/// # Errors
/// Returns the error of the operating system: the folder is missing or cannot be written, the name is too long, or `path` is a
/// folder.
pub fn check_writable(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    temporary(folder).map(drop)
}

/// A new temporary file, open to all users whom the umask allows, as a renamed file must be. Errors do not contain its name.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    builder.make_in(folder, |path| {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(write_whole(&path.join("below"), b"x").is_err());
        assert!(write_whole(dir.path(), b"x").is_err());
        assert!(write_whole(&dir.path().join("missing/file"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        assert!(check_writable(&at("new")).is_ok() && check_writable(&at("file")).is_ok());
        for name in ["", "file/below", "missing/new", &"x".repeat(300)] {
            assert!(check_writable(&at(name)).is_err(), "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_are_those_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let expected = fs::read_dir(&missing).unwrap_err().to_string();
        for error in [write_whole(&missing.join("new"), b"x"), check_writable(&missing.join("new"))]
        {
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_stay_devices() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let null = dir.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write_whole(&null, b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
