//! What the tests share: draws, reading tensors, and models in f64.
#![allow(dead_code)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{
    Configured, Conv1dConfig, Conv2dConfig, DenseConfig, DictionaryConfig, Pudle, PudleConfig,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// `N(0, 1)` draws, f64.
pub fn normal(shape: &[usize], seed: u64) -> TensorData {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
    TensorData::new(values, shape.to_vec())
}

pub fn tensor<const D: usize>(data: TensorData, device: &Device) -> Tensor<D> {
    Tensor::from_data(data, (device, DType::F64))
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// A model in f64 whose atoms are `N(0, 1)` draws on the unit sphere.
pub fn model<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    seed: u64,
    device: &Device,
) -> Pudle<D, A> {
    let atoms = normal(&config.dictionary.shape(), seed);
    Pudle::from_data(config, atoms, device).unwrap().project()
}

pub fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f64>()
}

pub fn dense(dim: usize, atoms: usize) -> DictionaryConfig {
    DictionaryConfig::Dense(DenseConfig { dim, atoms })
}

pub fn conv1d(atoms: usize, channels: usize, size: usize, stride: usize) -> DictionaryConfig {
    DictionaryConfig::Conv1d(Conv1dConfig { atoms, channels, size, stride })
}

pub fn conv2d(atoms: usize, channels: usize, size: usize, stride: usize) -> DictionaryConfig {
    DictionaryConfig::Conv2d(Conv2dConfig { atoms, channels, size, stride })
}

/// `max |a − b| / max |b|`.
pub fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(error.is_finite());
    if scale == 0.0 { error } else { error / scale }
}
