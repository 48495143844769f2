//! Tensors of safetensors files, read where they lie.

use std::path::Path;

use safetensors::tensor::{Dtype, Metadata};

use super::array::Array;
use super::number::{Kind, Number};
use super::storage::Storage;
use crate::error::{DataError, Result};

/// Longest header that is read.
const LONGEST_HEADER: u64 = 100_000_000;

/// A file of tensors.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    storage: Storage,
    metadata: Metadata,
    /// Position of the first tensor.
    start: u64,
}

impl<'a> Tensors<'a> {
    /// Opens a file, and reads its header.
    pub fn open(path: &'a Path) -> Result<Self> {
        let storage = Storage::open(path)?;
        let io = |e| DataError::io(path, e);
        let size = storage.len().map_err(io)?;
        let damaged = |e: &dyn std::fmt::Display| {
            DataError::format(path, format!("not a safetensors file, or damaged: {e}"))
        };
        let mut length = [0; 8];
        storage.read_at(&mut length, 0).map_err(io)?;
        let header = u64::from_le_bytes(length);
        if header > LONGEST_HEADER || header + 8 > size {
            return Err(damaged(&format_args!("a header of {header} bytes in a file of {size}")));
        }
        let mut bytes = vec![0; 8 + header as usize];
        storage.read_at(&mut bytes, 0).map_err(io)?;
        // The library checks a whole file in memory; its header alone is parsed here, and every tensor is checked
        // against the file when it is opened.
        let text = std::str::from_utf8(&bytes[8..]).map_err(|e| damaged(&e))?;
        let metadata: Metadata = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        Ok(Self { path, storage, metadata, start: 8 + header })
    }

    /// The names of its tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort();
        names
    }

    /// The tensor of this name.
    pub fn array(&self, name: &str) -> Result<Array> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| DataError::format(self.path, format!("no tensor \"{name}\"")))?;
        let number = number(info.dtype).ok_or_else(|| {
            let reason = format!("\"{name}\" is of type {:?}, which is not read", info.dtype);
            DataError::format(self.path, reason)
        })?;
        let array = Array {
            path: self.path.to_owned(),
            storage: self.storage.clone(),
            offset: self.start + info.data_offsets.0 as u64,
            number,
            shape: info.shape.clone(),
            fortran: false,
        };
        array.checked()
    }
}

fn number(dtype: Dtype) -> Option<Number> {
    Some(Number::little(match dtype {
        Dtype::BOOL => Kind::Bool,
        Dtype::I8 => Kind::I8,
        Dtype::I16 => Kind::I16,
        Dtype::I32 => Kind::I32,
        Dtype::I64 => Kind::I64,
        Dtype::U8 => Kind::U8,
        Dtype::U16 => Kind::U16,
        Dtype::U32 => Kind::U32,
        Dtype::U64 => Kind::U64,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::BF16,
        Dtype::F32 => Kind::F32,
        Dtype::F64 => Kind::F64,
        _ => return None,
    }))
}
