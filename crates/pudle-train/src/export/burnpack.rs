//! Burn's own format.

use std::path::Path;

use burn::store::burn_pack::{Bytes, DType, Tensor, Writer};
use pudle_core::AnyPudle;

use crate::error::{Result, TrainError};

/// The weights of a model as f32, with a text beside them. Errors name `path`.
pub(super) fn to_burnpack(
    model: &AnyPudle,
    (key, text): (&str, &str),
    path: &Path,
) -> Result<Vec<u8>> {
    let tensors = model.weights().into_iter().map(|weight| {
        let bytes: Vec<u8> = weight.to_vec().iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = weight.values.shape().to_vec();
        Tensor::new(weight.path, DType::F32, shape, None, Bytes::from_bytes_vec(bytes))
    });
    let bytes = Writer::new(tensors.collect()).with_metadata(key, text).into_bytes();
    bytes.map(|bytes| bytes.to_vec()).map_err(|error| TrainError::weights(path, error))
}
