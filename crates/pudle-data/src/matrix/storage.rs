//! Bytes that are read at a position: of a file, of an unnamed temporary file, or in memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile};

use crate::error::{DataError, Result};

/// Most bytes of an unpacked array in memory. Larger ones go to a temporary file.
const IN_MEMORY: usize = 64 << 20;

/// Bytes that can be read at any position, by several threads at once.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

impl Storage {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let meta = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
        if !meta.is_file() {
            return Err(DataError::format(path, "not a file"));
        }
        Ok(Self::File(Arc::new(File::open(path).map_err(|e| DataError::io(path, e))?)))
    }

    /// Number of bytes.
    pub fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `out` with the bytes from position `at` on.
    pub fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => read_exact_at(file, out, at),
            Self::Memory(bytes) => {
                let start = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                let end = start.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                let part = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
                out.copy_from_slice(part);
                Ok(())
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                out = &mut out[count..];
                at += count as u64;
            }
        }
    }
    Ok(())
}

/// Takes the bytes of an array that is unpacked: in memory while they are few, then in a temporary file without a name,
/// in the system's folder for such files. The system removes it when it is closed.
pub(super) struct Unpacked {
    path: PathBuf,
    file: SpooledTempFile,
}

impl Unpacked {
    /// Starts with no bytes. Errors name `path`, the file that is unpacked.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: spooled_tempfile(IN_MEMORY) }
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| self.failed(e))
    }

    fn failed(&self, error: io::Error) -> DataError {
        let folder = std::env::temp_dir();
        let reason = format!("cannot be unpacked into {}: {error}", folder.display());
        DataError::format(&self.path, reason)
    }

    /// The bytes, to be read.
    pub fn finish(mut self) -> Result<Storage> {
        self.file.flush().map_err(|e| self.failed(e))?;
        match self.file.into_inner() {
            SpooledData::InMemory(bytes) => Ok(Storage::Memory(bytes.into_inner().into())),
            SpooledData::OnDisk(file) => Ok(Storage::File(Arc::new(file))),
        }
    }
}
