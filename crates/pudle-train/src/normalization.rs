//! The normalisation of a model's data, in a file beside its weights.

use std::collections::HashMap;
use std::path::Path;

use pudle_data::{Normalization, Normalize};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Result, TrainError};
use crate::files::{matches_sum, write_summed};
use crate::weights_file::data;

/// Its file in a checkpoint: the tensors `mean` and `scale` of shape `[m]`, each only where it is used, and the text `kind`.
const FILE: &str = "normalization.safetensors";
const KIND: &str = "kind";

/// Writes the normalisation into the folder of a checkpoint, with its checksum. Where there is none, nothing is written,
/// and a file of before goes.
pub(crate) fn write(normalization: &Normalization, dir: &Path) -> Result<()> {
    let path = dir.join(FILE);
    if normalization.is_none() {
        return write_summed(&path, None);
    }
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let tensors = [("mean", normalization.mean()), ("scale", normalization.scale())];
    let tensors: Vec<(&str, usize, Vec<u8>)> = tensors
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name, values.len(), bytes(values)))
        .collect();
    let failed = |error: safetensors::SafeTensorError| TrainError::weights(&path, error);
    let views = tensors.iter().map(|(name, count, bytes)| {
        TensorView::new(Dtype::F32, vec![*count], bytes).map(|view| (*name, view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    let metadata = HashMap::from([(KIND.to_owned(), normalization.kind().to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    write_summed(&path, Some(&bytes))
}

/// Reads the normalisation of a checkpoint, for data of `width` numbers; `None` if the folder has none.
///
/// # Errors
/// Returns an error if the file is damaged, or is for data of another width.
pub(crate) fn read(dir: &Path, width: usize) -> Result<Option<Normalization>> {
    let path = dir.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::io(&path)(error)),
    };
    matches_sum(&path, &bytes)?;
    let wrong = |reason: String| TrainError::weights(&path, reason);
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
    let kind = metadata.metadata().as_ref().and_then(|texts| texts.get(KIND));
    let kind = kind.and_then(|kind| kind.parse::<Normalize>().ok());
    let kind = kind.ok_or_else(|| wrong("does not name a kind of normalisation".into()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let numbers = |name: &str| match file.tensor(name) {
        Ok(view) => Ok(data(&path, name, &view)?.iter::<f32>().collect()),
        Err(_) => Ok::<Vec<f32>, TrainError>(Vec::new()),
    };
    let (mean, scale) = (numbers("mean")?, numbers("scale")?);
    let normalization = Normalization::new(kind, width, mean, scale);
    normalization.map(Some).map_err(|error| TrainError::in_file(&path, error.into()))
}
