//! Saliency: the derivative of a code by the datum.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{Configured, Noise, Pudle};

use crate::error::{ExplainError, Result};

/// The derivative `∂z_j/∂x` of entries of the code of one datum, each in the shape of the datum.
///
/// The derivative is that of the layers as they run, so it is exact wherever no pre-activation lies on a threshold: on the active
/// support each layer is affine, and the derivative is the product of the layers' matrices restricted to their supports.
/// Once the supports no longer change and the layers have converged it is a row of `(D_SᵀD_S)⁻¹D_Sᵀ`.
///
/// `x` is a batch of one datum; `entries` are indices into its flattened code. The model must live on a device
/// without autodiff.
///
/// # Errors
/// Returns an error if an entry is beyond the code.
pub fn saliency<const D: usize, A: Configured<D>>(
    model: &Pudle<D, A>,
    x: TensorData,
    entries: &[usize],
) -> Result<Vec<Vec<f64>>> {
    let atoms = model.dictionary().atoms();
    let (device, dtype): (Device, _) = (atoms.device().autodiff(), atoms.dtype());
    let model = model.clone().train();
    let x = Tensor::<D>::from_data(x, (&device, dtype));
    let mut found = Vec::with_capacity(entries.len());
    for &entry in entries {
        // A backward pass uses up its graph.
        let x = x.clone().detach().require_grad();
        let code: Tensor<1> = model.encode(x.clone(), &Noise::Unknown).flatten(0, D - 1);
        let length = code.dims()[0];
        if entry >= length {
            let range = format!("below {length}, the length of the code");
            return Err(ExplainError::range("entry", entry, range));
        }
        let grads = code.narrow(0, entry, 1).backward();
        let gradient = x.grad(&grads).unwrap_or_else(|| x.clone().inner().zeros_like());
        found.push(gradient.into_data().iter::<f64>().collect());
    }
    Ok(found)
}
