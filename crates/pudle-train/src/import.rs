//! Import of dictionaries from other programs.

use std::path::Path;

use burn::tensor::{Device, TensorData};
use pudle_core::{AnyPudle, ConvConfig, DenseConfig, DictionaryConfig, PudleConfig};
use pudle_data::Sigma;
use safetensors::SafeTensors;

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::sigma::check_sigma;
use crate::weights_file::data;

/// Settings of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions<'a> {
    /// Name of the tensor. Needed if the file has more than one.
    pub tensor: Option<&'a str>,
    /// Stride of the filters in samples, from 1 to their size. Needed for filters, not allowed for a matrix.
    pub stride: Option<usize>,
    /// The other settings of the model. Their dictionary settings are replaced by those of the file.
    pub settings: PudleConfig,
    /// Standard deviation of the noise that the dictionary was trained for, on the scale 0 … 255, if it is known.
    pub sigma: Option<f32>,
}

/// Reads a dictionary from a safetensors file: a filter bank `p×C×k×k` for images, `p×C×k` for signals, or a matrix
/// `m×p`; f32, f64, f16 or bf16. The atoms are used as they are, without projection.
///
/// # Errors
/// Returns an error if the file, the tensor or the settings do not describe a dictionary.
pub fn import_dictionary(
    path: &Path,
    options: &ImportOptions<'_>,
    device: &Device,
) -> Result<Checkpoint> {
    if let Some(sigma) = options.sigma {
        check_sigma("sigma", sigma)?;
    }
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|error| TrainError::weights(path, error))?;
    let name = tensor_name(&file, options.tensor, path)?;
    let listed = || quoted(&file.names());
    let view = file.tensor(name).map_err(|_| {
        TrainError::weights(path, format!("no tensor \"{name}\" among {}", listed()))
    })?;
    let dictionary = kind(path, name, view.shape(), options.stride)?;
    let config = PudleConfig { dictionary, ..options.settings.clone() };
    config.validate()?;
    let values: Vec<f32> = data(path, name, &view)?.iter::<f32>().collect();
    if !values.iter().all(|value| value.is_finite()) {
        let reason = format!("\"{name}\" holds values that are not finite");
        return Err(TrainError::weights(path, reason));
    }
    let atoms = TensorData::new(values, config.dictionary.shape());
    let model = AnyPudle::from_data(&config, atoms, device)?;
    Ok(Checkpoint { config, model, sigma: options.sigma.map(Sigma::At) })
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// The name of the tensor to import: the given name, or that of the only tensor.
fn tensor_name<'a>(
    file: &'a SafeTensors<'_>,
    wanted: Option<&'a str>,
    path: &Path,
) -> Result<&'a str> {
    match (wanted, file.names().as_slice()) {
        (Some(name), _) => Ok(name),
        (None, [only]) => Ok(only),
        (None, []) => Err(TrainError::weights(path, "holds no tensor")),
        (None, names) => {
            Err(TrainError::SeveralTensors { path: path.to_path_buf(), names: quoted(names) })
        }
    }
}

/// The kind of dictionary that a tensor of this shape holds.
fn kind(
    path: &Path,
    name: &str,
    shape: &[usize],
    stride: Option<usize>,
) -> Result<DictionaryConfig> {
    let tensor = || format!("\"{name}\" of {}", path.display());
    match (shape, stride) {
        (&[dim, atoms], None) => Ok(DictionaryConfig::Dense(DenseConfig { dim, atoms })),
        (&[_, _], Some(_)) => {
            Err(TrainError::StrideOfMatrix { tensor: tensor(), shape: shape.to_vec() })
        }
        (&[atoms, channels, size], Some(stride)) => {
            Ok(DictionaryConfig::Conv1d(ConvConfig { atoms, channels, size, stride }))
        }
        (&[atoms, channels, size, columns], Some(stride)) if size == columns => {
            Ok(DictionaryConfig::Conv2d(ConvConfig { atoms, channels, size, stride }))
        }
        (&[_, _, rows, columns], _) if rows != columns => {
            Err(TrainError::weights(path, format!("filters of {rows}×{columns} are not square")))
        }
        (&[_, _, _] | &[_, _, _, _], None) => {
            Err(TrainError::NoStride { tensor: tensor(), shape: shape.to_vec() })
        }
        _ => {
            let reason = format!("\"{name}\" has shape {shape:?}, none of p×C×k×k, p×C×k and m×p");
            Err(TrainError::weights(path, reason))
        }
    }
}
