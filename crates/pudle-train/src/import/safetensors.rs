//! Safetensors files, of which only the header and the wanted tensors are read.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::array::{Array, Header};
use super::number::Number;
use crate::error::{Result, TrainError};

/// The longest header that is read. That of a model with ten thousand tensors is shorter.
const LONGEST_HEADER: u64 = 16 << 20;

/// The length of the header is a number of eight bytes.
const LENGTH: u64 = 8;

/// An open file.
pub(super) struct Tensors {
    metadata: Metadata,
    file: BufReader<File>,
    data: u64,
}

impl Tensors {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |reason: String| TrainError::weights(path, reason);
        let mut file = File::open(path).map_err(TrainError::io(path))?;
        let length = file.metadata().map_err(TrainError::io(path))?.len();
        let mut start = [0; LENGTH as usize];
        file.read_exact(&mut start).map_err(|_| damaged("is truncated in its header".into()))?;
        let header = u64::from_le_bytes(start);
        if header > LONGEST_HEADER {
            let most = LONGEST_HEADER >> 20;
            return Err(damaged(format!(
                "its header claims {header} bytes, but at most {most} MiB are read"
            )));
        }
        if header > length - LENGTH {
            return Err(damaged(format!(
                "is truncated: its header claims {header} bytes, but the file has {length}"
            )));
        }
        let mut bytes = vec![0; header as usize];
        file.read_exact(&mut bytes).map_err(TrainError::io(path))?;
        // This also checks that the tensors have the sizes of their shapes, and lie one after the other.
        let metadata: Metadata = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(format!("its header is damaged: {error}")))?;
        let data = LENGTH + header;
        let expected = data + metadata.data_len() as u64;
        match length {
            length if length < expected => Err(damaged(format!(
                "is truncated: its tensors take {expected} bytes, but the file has {length}"
            ))),
            length if length > expected => {
                Err(damaged(format!("has {} bytes after its tensors", length - expected)))
            }
            _ => Ok(Self { metadata, file: BufReader::new(file), data }),
        }
    }

    /// The names of the tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.metadata.tensors().into_keys().collect();
        names.sort();
        names
    }

    /// A text of the header's own metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// A tensor.
    pub fn read(&mut self, path: &Path, name: &str) -> Result<Array> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| TrainError::weights(path, format!("no tensor {name:?}")))?;
        let number = match info.dtype {
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            other => {
                let reason =
                    format!("{name:?} is of type {other:?}, but must be F32, F64, F16 or BF16");
                return Err(TrainError::weights(path, reason));
            }
        };
        let header = Header {
            name: name.to_owned(),
            shape: info.shape.clone(),
            number,
            big_endian: false,
            fortran: false,
        };
        let start = self.data + info.data_offsets.0 as u64;
        self.file.seek(SeekFrom::Start(start)).map_err(TrainError::io(path))?;
        header.read(path, &mut self.file)
    }
}
