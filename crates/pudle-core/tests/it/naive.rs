//! The network against a second one written as plain loops in f64: first layer from `z = 0`,
//! threshold `αλ`, FISTA's sequence, strided synthesis and analysis.

use crate::common::{conv1d, conv2d, dense, model, normal, relative_error, values};
use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{
    Algorithm, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary,
    DictionaryConfig, Noise, Proximal, Pudle, PudleConfig, ThresholdConfig,
};

/// `D` as a full matrix of shape (data × code) for one datum, from the definition of each kind.
fn matrix(config: &DictionaryConfig, atoms: &[f64], extent: &[usize]) -> Vec<Vec<f64>> {
    match config {
        DictionaryConfig::Dense(c) => {
            (0..c.dim).map(|i| atoms[i * c.atoms..(i + 1) * c.atoms].to_vec()).collect()
        }
        DictionaryConfig::Conv1d(c) => {
            let n = extent[2];
            let positions = (n - c.size) / c.stride + 1;
            let mut d = vec![vec![0.0; c.atoms * positions]; c.channels * n];
            for j in 0..c.atoms {
                for u in 0..positions {
                    for ch in 0..c.channels {
                        for k in 0..c.size {
                            d[ch * n + u * c.stride + k][j * positions + u] =
                                atoms[(j * c.channels + ch) * c.size + k];
                        }
                    }
                }
            }
            d
        }
        DictionaryConfig::Conv2d(c) => {
            let (h, w) = (extent[2], extent[3]);
            let (rows, columns) = ((h - c.size) / c.stride + 1, (w - c.size) / c.stride + 1);
            let mut d = vec![vec![0.0; c.atoms * rows * columns]; c.channels * h * w];
            for j in 0..c.atoms {
                for (u, v) in (0..rows).flat_map(|u| (0..columns).map(move |v| (u, v))) {
                    for ch in 0..c.channels {
                        for (y, x) in (0..c.size).flat_map(|y| (0..c.size).map(move |x| (y, x))) {
                            let pixel = (ch * h + u * c.stride + y) * w + v * c.stride + x;
                            d[pixel][(j * rows + u) * columns + v] =
                                atoms[((j * c.channels + ch) * c.size + y) * c.size + x];
                        }
                    }
                }
            }
            d
        }
    }
}

fn naive_threshold(prox: Proximal, v: f64, lambda: f64, step: f64) -> f64 {
    match prox {
        Proximal::Soft => v.signum() * (v.abs() - step * lambda).max(0.0),
        Proximal::Relu => (v - step * lambda).max(0.0),
        Proximal::Hard => {
            if v.abs() > lambda {
                v
            } else {
                0.0
            }
        }
        other => panic!("{other} does not work entry by entry"),
    }
}

/// Code and reconstruction of one datum.
fn naive(config: &PudleConfig, step: f64, d: &[Vec<f64>], x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let p = d[0].len();
    let synthesize = |z: &[f64]| -> Vec<f64> {
        d.iter().map(|row| row.iter().zip(z).map(|(a, b)| a * b).sum()).collect()
    };
    let (mut z, mut y, mut s) = (vec![0.0; p], vec![0.0; p], 1.0f64);
    for t in 0..config.layers {
        let lambda = match config.threshold {
            ThresholdConfig::Decaying(decay) => decay.lambda * decay.beta.powi(t as i32),
            other => other.lambda(),
        };
        let residual: Vec<f64> = synthesize(&y).iter().zip(x).map(|(dy, x)| dy - x).collect();
        let previous = z;
        z = (0..p)
            .map(|j| {
                let gradient: f64 = (0..x.len()).map(|i| d[i][j] * residual[i]).sum();
                naive_threshold(config.prox, y[j] - step * gradient, lambda, step)
            })
            .collect();
        let next_s = (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0;
        let momentum = match config.algorithm {
            Algorithm::Ista => 0.0,
            Algorithm::Fista => (s - 1.0) / next_s,
        };
        y = z.iter().zip(&previous).map(|(z, before)| z + momentum * (z - before)).collect();
        s = next_s;
    }
    let reconstruction = synthesize(&z);
    (z, reconstruction)
}

fn assert_equals_naive<const D: usize, A: Configured<D>>(config: PudleConfig, extent: [usize; D]) {
    let device = Device::flex();
    let model = model::<D, A>(&config, 11, &device);
    let atoms = values(model.dictionary().atoms());
    let x: Vec<f64> = normal(&extent, 12).try_to_vec().unwrap();
    let size = x.len() / extent[0];
    let d = matrix(&config.dictionary, &atoms, &extent);
    let step = model.step(extent);
    let (mut codes, mut reconstructions) = (Vec::new(), Vec::new());
    for datum in x.chunks(size) {
        let (z, reconstruction) = naive(&config, step, &d, datum);
        codes.extend(z);
        reconstructions.extend(reconstruction);
    }
    assert!(codes.iter().any(|z| *z != 0.0) && codes.contains(&0.0), "a telling support");

    let data = TensorData::new(x, extent);
    let code = |model: &Pudle<D, A>, dtype: DType| {
        let x: Tensor<D> = Tensor::from_data(data.clone(), (&device, dtype));
        let code = model.encode(x.clone(), &Noise::Unknown);
        (values(code.clone()), values(model.decode(code, x.dims())))
    };
    let (z, reconstruction) = code(&model, DType::F64);
    assert!(relative_error(&z, &codes) < 1e-12, "{config:?}");
    assert!(relative_error(&reconstruction, &reconstructions) < 1e-12);

    // The same weights in f32, as they are used.
    let atoms: Vec<f32> = atoms.iter().map(|a| *a as f32).collect();
    let atoms = TensorData::new(atoms, config.dictionary.shape());
    let single = Pudle::<D, A>::from_data(&config, atoms, &device).unwrap();
    let (z, reconstruction) = code(&single, DType::F32);
    assert!(relative_error(&z, &codes) < 1e-5, "{config:?}");
    assert!(relative_error(&reconstruction, &reconstructions) < 1e-5);
}

fn variants(dictionary: DictionaryConfig, step: f64) -> Vec<PudleConfig> {
    let base = PudleConfig::new(dictionary).with_lambda(0.4).with_step(step).with_layers(6);
    let mut variants = Vec::new();
    for prox in [Proximal::Soft, Proximal::Relu, Proximal::Hard] {
        for algorithm in [Algorithm::Ista, Algorithm::Fista] {
            // A hard level is not multiplied by the step size.
            let lambda = if prox == Proximal::Hard { step } else { 0.4 };
            let config = base.clone().with_prox(prox).with_algorithm(algorithm);
            variants.push(config.with_lambda(lambda));
        }
    }
    variants.push(base.clone().with_layers(1));
    variants.push(base.with_threshold(ThresholdConfig::decaying(0.6, 0.8)));
    variants
}

#[test]
fn dense_network_is_the_naive_one() {
    for config in variants(dense(10, 14), 0.2) {
        assert_equals_naive::<2, DenseDictionary>(config, [3, 10]);
    }
    let auto = PudleConfig::new(dense(10, 14)).with_lambda(0.4);
    assert_equals_naive::<2, DenseDictionary>(auto, [3, 10]);
}

#[test]
fn conv1d_network_is_the_naive_one() {
    for config in variants(conv1d(5, 2, 7, 3), 0.15) {
        assert_equals_naive::<3, ConvDictionary1d>(config, [2, 2, 24]);
    }
}

#[test]
fn conv2d_network_is_the_naive_one() {
    for config in variants(conv2d(6, 1, 5, 2), 0.1) {
        assert_equals_naive::<4, ConvDictionary2d>(config, [2, 1, 13, 16]);
    }
}

/// An image that the strided atoms do not cover: reflected on the right and below without repeating
/// the edge, encoded, decoded and cropped back.
#[test]
fn reconstruction_of_an_uncovered_image_is_the_naive_one() {
    let device = Device::flex();
    let config = PudleConfig::new(conv2d(16, 1, 9, 4)).with_step(0.1).with_lambda(0.16);
    let model = model::<4, ConvDictionary2d>(&config, 11, &device);
    let atoms = values(model.dictionary().atoms());
    for (height, width, covered_height, covered_width) in [(30, 22, 33, 25), (11, 33, 13, 33)] {
        let image: Vec<f64> = normal(&[height, width], 5).try_to_vec().unwrap();
        let reflected = |i: usize, n: usize| if i < n { i } else { 2 * (n - 1) - i };
        let padded: Vec<f64> = (0..covered_height * covered_width)
            .map(|i| {
                let (y, x) = (i / covered_width, i % covered_width);
                image[reflected(y, height) * width + reflected(x, width)]
            })
            .collect();
        let d = matrix(&config.dictionary, &atoms, &[1, 1, covered_height, covered_width]);
        let (_, reconstruction) = naive(&config, 0.1, &d, &padded);
        let expected: Vec<f64> = (0..height * width)
            .map(|i| reconstruction[i / width * covered_width + i % width])
            .collect();
        let x = Tensor::<4>::from_data(
            TensorData::new(image, [1, 1, height, width]),
            (&device, DType::F64),
        );
        assert!(relative_error(&values(model.reconstruct(x, &Noise::Unknown)), &expected) < 1e-12);
    }
}

/// The network of the published denoiser: 64 filters 9×9, stride 4, α = 0.1, λ = 0.16, 15 layers,
/// on an image that the atoms cover.
#[test]
fn published_denoising_network_is_the_naive_one() {
    let config = PudleConfig::new(conv2d(64, 1, 9, 4)).with_step(0.1).with_lambda(0.16);
    assert_equals_naive::<4, ConvDictionary2d>(config, [1, 1, 33, 37]);
}
