//! Archives of NumPy arrays.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use pudle_data::{ArrayArchive, Packing};

use super::array::Array;
use super::npy::{check_length, header};
use crate::error::{Result, TrainError};

/// Large arrays of weights are not packed tightly.
const PACKING: Packing = Packing { free: 1 << 26, tightest: 100 };

/// The largest array that is not one of numbers, but a text.
const LONGEST_TEXT: u64 = 1 << 20;

/// The bytes of a text in an archive of arrays; `None` if the file is no such archive, or holds no text of this name.
pub(crate) fn archive_text(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut start = [0; 2];
    let mut file = File::open(path).map_err(TrainError::io(path))?;
    match file.read(&mut start).map_err(TrainError::io(path))? {
        2 if &start == b"PK" => Npz::open(path)?.text(path, name),
        _ => Ok(None),
    }
}

/// An open archive.
pub(super) struct Npz {
    archive: ArrayArchive,
}

/// The error of an archive: what is wrong with it, or why it cannot be read.
fn unreadable(path: &Path, error: Error) -> TrainError {
    match error.kind() {
        ErrorKind::InvalidData => TrainError::weights(path, error),
        _ => TrainError::io(path)(error),
    }
}

impl Npz {
    /// Opens an archive.
    pub fn open(path: &Path) -> Result<Self> {
        let archive = ArrayArchive::open(path, PACKING).map_err(|error| unreadable(path, error))?;
        Ok(Self { archive })
    }

    /// Whether PyTorch wrote the archive.
    pub fn is_pytorch(&self) -> bool {
        self.archive.is_pytorch()
    }

    /// The names of the arrays, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.archive.names()
    }

    /// An array of numbers. No more is unpacked than its shape says.
    pub fn read(&mut self, path: &Path, name: &str) -> Result<Array> {
        let mut entry = self.archive.array(name).map_err(|error| unreadable(path, error))?;
        let size = entry.size();
        let (header, start) = header(&mut entry, name, path)?;
        check_length(&header, start, size, path)?;
        header.read(path, entry)
    }

    /// The bytes of a text that is stored as an array of bytes; `None` if there is none of this name.
    pub fn text(&mut self, path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
        if !self.archive.names().iter().any(|known| known == name) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let entry = self.archive.array(name).map_err(|error| unreadable(path, error))?;
        entry.take(LONGEST_TEXT).read_to_end(&mut bytes).map_err(TrainError::io(path))?;
        let damaged = |reason: String| {
            TrainError::weights(path, format!("{name:?} is not an array of bytes: {reason}"))
        };
        let array = npyz::NpyFile::new(&bytes[..]).map_err(|error| damaged(error.to_string()))?;
        if array.len() > LONGEST_TEXT {
            return Err(damaged(format!("its shape is {:?}", array.shape())));
        }
        array.into_vec::<u8>().map(Some).map_err(|error| damaged(error.to_string()))
    }
}
