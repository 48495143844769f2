//! Safetensors files, of which only the header and the wanted tensors are read.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Seek, SeekFrom};
use std::path::Path;

use pudle_data::{Number, TensorsHeader};

use super::array::{Array, Header};
use crate::error::{Result, TrainError};

/// An open file.
pub(super) struct Tensors {
    header: TensorsHeader,
    file: BufReader<File>,
}

impl Tensors {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(TrainError::io(path))?;
        let length = file.metadata().map_err(TrainError::io(path))?.len();
        let mut file = BufReader::new(file);
        let header =
            TensorsHeader::read(&mut file, length).map_err(|error| match error.kind() {
                ErrorKind::InvalidData => TrainError::weights(path, error),
                _ => TrainError::io(path)(error),
            })?;
        Ok(Self { header, file })
    }

    /// The names of the tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.metadata.tensors().into_keys().collect();
        names.sort();
        names
    }

    /// A text of the header's own metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.header.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// A tensor.
    pub fn read(&mut self, path: &Path, name: &str) -> Result<Array> {
        let info = self
            .header
            .metadata
            .info(name)
            .ok_or_else(|| TrainError::weights(path, format!("no tensor {name:?}")))?;
        let number = Number::of_tensor(info.dtype).filter(|number| number.is_float());
        let number = number.ok_or_else(|| {
            let reason =
                format!("{name:?} is of type {:?}, but must be F32, F64, F16 or BF16", info.dtype);
            TrainError::weights(path, reason)
        })?;
        let header =
            Header { name: name.to_owned(), shape: info.shape.clone(), number, fortran: false };
        let start = self.header.start + info.data_offsets.0 as u64;
        self.file.seek(SeekFrom::Start(start)).map_err(TrainError::io(path))?;
        header.read(path, &mut self.file)
    }
}
