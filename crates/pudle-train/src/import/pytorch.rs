//! State dicts of PyTorch. The reader follows the pickle's instructions, but has no Python: what the pickle would call
//! is never called.

use std::path::Path;

use pudle_data::{Number, NumberKind};
use pytorch_reader::{DType, PytorchReader};

use super::array::{Array, Header};
use crate::error::{Result, TrainError};

/// An open file.
pub(super) struct StateDict {
    reader: PytorchReader,
}

impl StateDict {
    /// Opens a file: a state dict, or a module, of which the state dict is read.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = PytorchReader::new(path).map_err(|error| {
            let reason = format!(
                "cannot be read as a state dict ({error}). If it holds a whole module that you trust, run in Python: \
                 `m = torch.load({:?}, weights_only=False)` and `torch.save(m.state_dict(), \"weights.pt\")`",
                path.display().to_string()
            );
            TrainError::weights(path, reason)
        })?;
        Ok(Self { reader })
    }

    /// The names of the tensors, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.reader.keys();
        names.sort();
        names
    }

    /// A tensor.
    pub fn read(&self, path: &Path, name: &str) -> Result<Array> {
        let tensor = self
            .reader
            .get(name)
            .ok_or_else(|| TrainError::weights(path, format!("no tensor {name:?}")))?;
        let kind = match tensor.dtype() {
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
            shape: tensor.shape().to_vec(),
            // Read in the order of the machine.
            number: Number { kind, big_endian: cfg!(target_endian = "big") },
            fortran: false,
        };
        header.count(path)?;
        let bytes = tensor.read().map_err(|error| TrainError::weights(path, error))?;
        header.read(path, &bytes[..])
    }
}
