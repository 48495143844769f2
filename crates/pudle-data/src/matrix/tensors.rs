//! Tensors of safetensors files, read where they lie.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use super::array::Array;
use super::storage::Storage;
use crate::arrays::{Number, TensorsHeader};
use crate::error::{DataError, Result};

/// A file of tensors.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    storage: Storage,
    header: TensorsHeader,
}

impl<'a> Tensors<'a> {
    /// Opens a file, and reads its header.
    pub fn open(path: &'a Path) -> Result<Self> {
        let storage = Storage::open(path)?;
        let io = |e| DataError::io(path, e);
        let size = storage.len().map_err(io)?;
        let file = BufReader::new(File::open(path).map_err(io)?);
        let header = TensorsHeader::read(file, size).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => {
                DataError::format(path, format!("not a safetensors file, or damaged: {error}"))
            }
            _ => io(error),
        })?;
        Ok(Self { path, storage, header })
    }

    /// The names of its tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.metadata.offset_keys();
        names.sort();
        names
    }

    /// The tensor of this name.
    pub fn array(&self, name: &str) -> Result<Array> {
        let info = self
            .header
            .metadata
            .info(name)
            .ok_or_else(|| DataError::format(self.path, format!("no tensor \"{name}\"")))?;
        let number = Number::of_tensor(info.dtype).ok_or_else(|| {
            let reason = format!("\"{name}\" is of type {:?}, which is not read", info.dtype);
            DataError::format(self.path, reason)
        })?;
        let array = Array {
            path: self.path.to_owned(),
            storage: self.storage.clone(),
            offset: self.header.start + info.data_offsets.0 as u64,
            number,
            shape: info.shape.clone(),
            fortran: false,
        };
        array.checked()
    }
}
