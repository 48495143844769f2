//! Burn's own format.

use std::path::Path;

use burn::store::burn_pack::{DType, Reader, Tensor};
use pudle_data::{Number, NumberKind};

use super::array::{Array, Header};
use crate::error::{Result, TrainError};

/// An open file.
pub(super) struct Pack {
    tensors: Vec<Tensor>,
    text: std::collections::BTreeMap<String, String>,
}

impl Pack {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |error| TrainError::weights(path, format!("is a damaged burnpack: {error}"));
        let reader = Reader::from_file_exact(path).map_err(damaged)?;
        let text = reader.metadata().clone();
        Ok(Self { tensors: reader.into_tensors().map_err(damaged)?, text })
    }

    /// The names of the tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }

    /// A text beside the tensors.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.text.get(key).map(String::as_str)
    }

    /// A tensor.
    pub fn read(&self, path: &Path, name: &str) -> Result<Array> {
        let tensor = self
            .tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| TrainError::weights(path, format!("no tensor {name:?}")))?;
        let kind = match tensor.dtype {
            DType::F16 => NumberKind::F16,
            DType::BF16 => NumberKind::BF16,
            DType::F32 => NumberKind::F32,
            DType::F64 => NumberKind::F64,
            other => {
                let reason =
                    format!("{name:?} is of type {other:?}, but must be F32, F64, F16 or BF16");
                return Err(TrainError::weights(path, reason));
            }
        };
        let header = Header {
            name: name.to_owned(),
            shape: tensor.shape.to_vec(),
            number: Number::little(kind),
            fortran: false,
        };
        header.count(path)?;
        let bytes = tensor.to_bytes().map_err(|error| TrainError::weights(path, error))?;
        header.read(path, &bytes[..])
    }
}
