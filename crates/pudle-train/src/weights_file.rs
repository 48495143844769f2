//! Weights in safetensors files.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use pudle_core::{AnyPudle, Weight};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Result, TrainError};

/// Writes the weights of a model as f32 in the format of a safetensors file, with a text beside them. Errors name `path`.
pub(crate) fn to_safetensors(
    model: &AnyPudle,
    (key, text): (&str, String),
    path: &Path,
) -> Result<Vec<u8>> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = model
        .weights()
        .into_iter()
        .map(|weight| {
            let bytes = weight.to_vec().iter().flat_map(|value| value.to_le_bytes()).collect();
            (weight.path, weight.values.shape().to_vec(), bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>();
    // One entry: several would have the random order of a hash map, and equal weights must give equal files.
    let metadata = HashMap::from([(key.to_owned(), text)]);
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| TrainError::weights(path, error))
}

/// The model with the weights of a safetensors file. Errors name `path`.
///
/// # Errors
/// Returns an error if the file is damaged, or if its tensors are not the model's weights.
pub(crate) fn from_safetensors(model: AnyPudle, bytes: &[u8], path: &Path) -> Result<AnyPudle> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| TrainError::weights(path, error))?;
    let tensors = file.iter().map(|(name, view)| Ok((name.to_owned(), data(path, name, &view)?)));
    let tensors: Vec<_> = tensors.collect::<Result<_>>()?;
    model.with_weights(tensors).map_err(|error| TrainError::weights(path, error))
}

/// A tensor of a safetensors file.
///
/// # Errors
/// Returns an error if it does not hold floating-point numbers.
pub(crate) fn data(path: &Path, name: &str, view: &TensorView<'_>) -> Result<TensorData> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => {
            let reason =
                format!("\"{name}\" is of type {other:?}, but must be F32, F64, F16 or BF16");
            return Err(TrainError::weights(path, reason));
        }
    };
    Ok(TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype))
}

/// The name of a weight in a NumPy archive: `atoms`, `analysis` and `decoder` for atoms, `lambda` and `lambda_slope`
/// for thresholds, otherwise its path.
pub(crate) fn array_name(weight: &Weight) -> &str {
    match weight.path.as_str() {
        "dictionary.atoms" => "atoms",
        "threshold.lambda" => "lambda",
        "threshold.slope" => "lambda_slope",
        path => path.strip_suffix(".atoms").unwrap_or(path),
    }
}

/// The shape of a weight in a NumPy archive. Thresholds that all layers share have shape `[p]`.
pub(crate) fn array_shape(weight: &Weight) -> Vec<usize> {
    match weight.values.shape().to_vec()[..] {
        [1, p] if weight.path.starts_with("threshold.") => vec![p],
        ref shape => shape.to_vec(),
    }
}
