//! What the tests share: draws, reading tensors, and models in f64.
#![allow(dead_code)]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use pudle_core::{Configured, ConvConfig, DenseConfig, DictionaryConfig, Pudle, PudleConfig};
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
    DictionaryConfig::Conv1d(ConvConfig { atoms, channels, size, stride })
}

pub fn conv2d(atoms: usize, channels: usize, size: usize, stride: usize) -> DictionaryConfig {
    DictionaryConfig::Conv2d(ConvConfig { atoms, channels, size, stride })
}

/// `max |a − b| / max |b|`.
pub fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(error.is_finite());
    if scale == 0.0 { error } else { error / scale }
}

/// The gradient of every weight, by its path; empty if it has none.
pub fn gradients<const D: usize, A: Configured<D>>(
    model: &Pudle<D, A>,
    grads: &Gradients,
) -> Vec<(String, Vec<f64>)> {
    struct Visitor<'a> {
        path: Vec<String>,
        grads: &'a Gradients,
        found: Vec<(String, Vec<f64>)>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const K: usize>(&mut self, param: &Param<Tensor<K>>) {
            let gradient = param.val().grad(self.grads).map_or_else(Vec::new, values);
            self.found.push((self.path.join("."), gradient));
        }
    }
    let mut visitor = Visitor { path: Vec::new(), grads, found: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}
