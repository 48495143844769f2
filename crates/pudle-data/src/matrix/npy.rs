//! NumPy's files: one array (`.npy`), or several in a zip archive (`.npz`).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use npyz::{NpyHeader, Order};
use zip::CompressionMethod;

use super::array::Array;
use super::storage::{Storage, Unpacked};
use crate::arrays::{ArrayArchive, Number, Packing, read_npy_header};
use crate::error::{DataError, Result};

/// A gigabyte may be packed as tightly as it likes: a table of mostly zeros is.
const PACKING: Packing = Packing { free: 1 << 30, tightest: 200 };

/// The array of a `.npy` file.
pub(super) fn open(path: &Path) -> Result<Array> {
    let storage = Storage::open(path)?;
    let mut file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let header = Header::read(path, &mut file)?;
    header.array(path, storage, 0)?.last()
}

/// What stands before the numbers.
struct Header {
    header: NpyHeader,
    /// Number of its bytes.
    length: u64,
}

impl Header {
    fn read(path: &Path, reader: &mut impl Read) -> Result<Self> {
        let (header, length) = read_npy_header(reader).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => DataError::format(path, "ends in its header"),
            ErrorKind::InvalidData => {
                DataError::format(path, format!("not an array of NumPy: {error}"))
            }
            _ => DataError::io(path, error),
        })?;
        Ok(Self { header, length })
    }

    /// The array whose header starts at `offset`.
    fn array(self, path: &Path, storage: Storage, offset: u64) -> Result<Array> {
        let number = Number::of_numpy(&self.header.dtype()).map_err(|what| {
            DataError::format(path, format!("holds {what}, not numbers that are read"))
        })?;
        let shape: Option<Vec<usize>> =
            self.header.shape().iter().map(|axis| usize::try_from(*axis).ok()).collect();
        let shape =
            shape.ok_or_else(|| DataError::format(path, "is too large for this machine"))?;
        let fortran = self.header.order() == Order::Fortran;
        let offset = offset + self.length;
        Array { path: path.to_owned(), storage, offset, number, shape, fortran }.checked()
    }
}

/// An archive of arrays.
pub(super) struct Archive<'a> {
    path: &'a Path,
    storage: Storage,
    archive: ArrayArchive,
}

impl<'a> Archive<'a> {
    /// Opens an archive.
    pub fn open(path: &'a Path) -> Result<Self> {
        let storage = Storage::open(path)?;
        let archive = ArrayArchive::open(path, PACKING).map_err(|e| unreadable(path, e))?;
        if archive.is_pytorch() {
            let reason = "a file of PyTorch (a pickle), which is not read as data: save the array with numpy.save";
            return Err(DataError::format(path, reason));
        }
        Ok(Self { path, storage, archive })
    }

    /// The names of its arrays, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.archive.names()
    }

    /// The array of this name. An uncompressed array is read where it lies; a compressed one is unpacked.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let path = self.path;
        let damaged = |e: &dyn std::fmt::Display| {
            DataError::format(path, format!("\"{name}\" is damaged: {e}"))
        };
        let mut file = self.archive.array(name).map_err(|e| unreadable(path, e))?;
        if let (CompressionMethod::Stored, Some(start)) = (file.compression(), file.data_start()) {
            let header = Header::read(path, &mut file)?;
            return header.array(path, self.storage.clone(), start);
        }
        let size = file.size();
        let mut unpacked = Unpacked::new(path);
        let mut block = vec![0; 1 << 16];
        let mut left = size;
        loop {
            let count = file.read(&mut block).map_err(|e| damaged(&e))?;
            if count == 0 {
                break;
            }
            left = left.checked_sub(count as u64).ok_or_else(|| damaged(&"larger than it says"))?;
            unpacked.append(&block[..count])?;
        }
        let storage = unpacked.finish()?;
        let header = Header::read(path, &mut Positioned { storage: &storage, at: 0 })?;
        header.array(path, storage, 0)
    }
}

/// The error of an archive: what is wrong with it, or why it cannot be read.
fn unreadable(path: &Path, error: std::io::Error) -> DataError {
    match error.kind() {
        ErrorKind::InvalidData => DataError::format(path, error.to_string()),
        _ => DataError::io(path, error),
    }
}

/// Reads a storage from its start.
struct Positioned<'a> {
    storage: &'a Storage,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.storage.len()?.saturating_sub(self.at);
        let count = out.len().min(left as usize);
        self.storage.read_at(&mut out[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
