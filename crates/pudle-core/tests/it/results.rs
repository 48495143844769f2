//! What a network computes on a device, for a comparison with another one.
#![cfg(all(any(feature = "wgpu", feature = "remote"), feature = "flex"))]

use burn::tensor::{DType, Device, Tensor};
use pudle_core::{
    Configured, DictionaryConfig, Learned, Noise, Pudle, PudleConfig, ThresholdConfig,
};

use crate::common::{conv2d, gradients, normal, values};

/// Results of a model by name: loss, codes, reconstruction, and the gradients of data and weights.
pub fn results<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    device: &Device,
    extent: [usize; D],
    noise: &Noise,
    dtype: DType,
) -> Vec<(String, Vec<f64>)> {
    let device = device.clone().autodiff();
    let typed = |shape: &[usize], seed| normal(shape, seed).convert_dtype(dtype);
    let atoms = typed(&config.dictionary.shape(), 3);
    let model = Pudle::<D, A>::from_data(config, atoms, &device).unwrap().project();
    let data = |seed| Tensor::<D>::from_data(typed(&extent, seed), (&device, dtype));
    let x = data(1).require_grad();
    let objective = model.objective(x.clone(), data(2), noise);
    let mut found = vec![
        ("loss".to_owned(), values(objective.loss.clone())),
        ("code".to_owned(), values(objective.code)),
        ("reconstruction".to_owned(), values(objective.reconstruction)),
        ("reconstruct".to_owned(), values(model.reconstruct(x.clone(), noise))),
    ];
    let grads = objective.loss.backward();
    found.push(("data".to_owned(), x.grad(&grads).map_or_else(Vec::new, values)));
    for ((path, gradient), weight) in gradients(&model, &grads).into_iter().zip(model.weights()) {
        // A weight without a gradient has none, or one of zeros.
        let gradient = if gradient.is_empty() { vec![0.0; weight.len()] } else { gradient };
        found.push((path, gradient));
    }
    found
}

/// A network with few zeros in its gradients.
pub fn network(dictionary: DictionaryConfig, layers: usize) -> PudleConfig {
    PudleConfig::new(dictionary).with_layers(layers).with_step(0.1).with_lambda(0.1)
}

pub fn learned(per_layer: bool, sigma: Option<f64>) -> ThresholdConfig {
    ThresholdConfig::Learned(Learned { lambda: 0.1, per_layer, sigma, signed: false })
}

pub fn images(layers: usize) -> PudleConfig {
    network(conv2d(19, 2, 5, 2), layers)
}

/// Neither the filters' stride nor the sizes of blocks and vectors divide these images.
pub const IMAGES: [usize; 4] = [3, 2, 19, 23];
