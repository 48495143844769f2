//! The fused pass of GPUs against that of the CPU and against composed operations, on whatever adapter the machine has: a
//! driver in software is enough.
//!
//! Errors of a GPU appear at the next read only, so each test reads its results.
#![cfg(all(feature = "wgpu", feature = "flex"))]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{DType, Device, Tensor};
use pudle_core::{
    Algorithm, Backend, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary,
    GradientEstimator, Kernels, Noise, Proximal, Pudle, PudleConfig, Step, ThresholdConfig,
    WeightTying, count_launches,
};

use crate::common::{conv1d, conv2d, dense, normal, relative_error, values};
use crate::results::{IMAGES, images, learned, network, results};

/// A count of launches sees those of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gpu() -> Device {
    Backend::Wgpu.device().expect("an adapter, or a driver in software such as mesa-vulkan-drivers")
}

/// Compares the GPU's fused pass with the CPU's, and returns the GPU's launches.
fn agree<const D: usize, A: Configured<D>>(
    name: &str,
    config: PudleConfig,
    extent: [usize; D],
    noise: &Noise,
) -> BTreeMap<String, usize> {
    agree_in::<D, A>(DType::F32, 1e-4, name, config, extent, noise)
}

/// [`agree`] for numbers of a type, up to relative errors of `most`.
fn agree_in<const D: usize, A: Configured<D>>(
    dtype: DType,
    most: f64,
    name: &str,
    config: PudleConfig,
    extent: [usize; D],
    noise: &Noise,
) -> BTreeMap<String, usize> {
    let config = config.with_kernels(Kernels::Fused);
    let expected = results::<D, A>(&config, &Device::flex(), extent, noise, dtype);
    let found = || results::<D, A>(&config, &gpu(), extent, noise, dtype);
    let (found, launches) = count_launches(found);
    assert!(expected[1].1.iter().any(|code| *code != 0.0), "{name}: all codes are zero");
    for ((what, found), (_, expected)) in found.iter().zip(&expected) {
        if found.is_empty() || expected.is_empty() {
            let rest = found.iter().chain(expected);
            assert!(rest.copied().all(|entry| entry == 0.0), "{name}, {what}: no gradient");
            continue;
        }
        let off = relative_error(found, expected);
        assert!(off < most, "{name}, {what}: {off:e}");
    }
    launches
}

#[test]
fn gradient_estimators_agree() {
    let _turn = alone();
    for estimator in ["dec", "ae-lasso", "ae-ls", "truncated:2", "lasso/last:1"] {
        let estimator: GradientEstimator = estimator.parse().unwrap();
        let config = images(5).with_gradient(estimator);
        agree::<4, ConvDictionary2d>(&estimator.to_string(), config, IMAGES, &Noise::Unknown);
    }
    // The implicit response solves a linear system, which magnifies rounding: fewer atoms than pixels.
    let config = network(conv2d(3, 1, 5, 3), 30).with_gradient(GradientEstimator::IMPLICIT);
    agree::<4, ConvDictionary2d>("implicit", config, [2, 1, 20, 17], &Noise::Unknown);
}

#[test]
fn operators_and_algorithms_agree() {
    let _turn = alone();
    for prox in [Proximal::Relu, Proximal::Hard] {
        let config = images(4).with_prox(prox);
        agree::<4, ConvDictionary2d>(&prox.to_string(), config, IMAGES, &Noise::Unknown);
    }
    for recompute in [false, true] {
        let config = images(7).with_algorithm(Algorithm::Fista).with_recompute(recompute);
        let name = format!("fista, recomputed: {recompute}");
        agree::<4, ConvDictionary2d>(&name, config, IMAGES, &Noise::Unknown);
    }
    let config = images(6).with_recompute(true).with_gradient(GradientEstimator::truncated(5));
    agree::<4, ConvDictionary2d>("truncated, recomputed", config, IMAGES, &Noise::Unknown);
}

#[test]
fn learned_weights_agree() {
    let _turn = alone();
    let noise = Noise::PerDatum(vec![10.0, 25.0, 40.0]);
    for tying in [WeightTying::Gain, WeightTying::Decoder, WeightTying::Untied] {
        let config = images(4).with_tying(tying).with_learned_step(0.1).with_offset(0.2);
        agree::<4, ConvDictionary2d>(&tying.to_string(), config, IMAGES, &Noise::Unknown);
    }
    for (per_layer, sigma) in [(false, None), (true, None), (true, Some(25.0))] {
        let config = PudleConfig { step: Step::Learned(0.1), ..images(4) }
            .with_threshold(learned(per_layer, sigma));
        let name = format!("thresholds, per layer: {per_layer}, noise: {sigma:?}");
        agree::<4, ConvDictionary2d>(&name, config, IMAGES, &noise);
    }
    let config = images(5).with_threshold(ThresholdConfig::decaying(0.2, 0.8));
    agree::<4, ConvDictionary2d>("decaying", config, IMAGES, &Noise::Unknown);
}

#[test]
fn dictionaries_agree() {
    let _turn = alone();
    let none = &Noise::Unknown;
    let learned = |config: PudleConfig| {
        config.with_threshold(learned(true, None)).with_algorithm(Algorithm::Fista)
    };
    for (dim, atoms, batch) in [(7, 3, 2), (20, 37, 5), (70, 90, 67)] {
        let config = learned(network(dense(dim, atoms), 5));
        let name = format!("{dim}×{atoms}");
        agree::<2, DenseDictionary>(&name, config, [batch, dim], none);
    }
    // With the Gram matrix, and without one, each as stored layers and computed again.
    for (dim, atoms, batch) in [(21, 12, 8), (12, 40, 3)] {
        for (recompute, algorithm) in
            [(false, Algorithm::Ista), (true, Algorithm::Ista), (true, Algorithm::Fista)]
        {
            let config = network(dense(dim, atoms), 7)
                .with_learned_step(0.1)
                .with_algorithm(algorithm)
                .with_recompute(recompute)
                .with_gradient(GradientEstimator::truncated(5));
            let name = format!("{dim}×{atoms}, {algorithm}, recomputed: {recompute}");
            agree::<2, DenseDictionary>(&name, config, [batch, dim], none);
        }
        for prox in [Proximal::Relu, Proximal::Hard] {
            let config = network(dense(dim, atoms), 4).with_prox(prox);
            let name = format!("{dim}×{atoms}, {prox}");
            agree::<2, DenseDictionary>(&name, config, [batch, dim], none);
        }
        for gradient in [GradientEstimator::DEC, GradientEstimator::AE_LASSO] {
            let config = network(dense(dim, atoms), 4).with_gradient(gradient);
            let name = format!("{dim}×{atoms}, {gradient}");
            agree::<2, DenseDictionary>(&name, config, [batch, dim], none);
        }
    }
    for (atoms, channels, size, stride, length) in [(5, 1, 9, 4, 103), (17, 3, 4, 1, 21)] {
        let config = learned(network(conv1d(atoms, channels, size, stride), 4));
        let name = format!("{atoms} filters along signals, stride {stride}");
        agree::<3, ConvDictionary1d>(&name, config, [2, channels, length], none);
    }
    for (atoms, channels, size, stride, sides) in [
        (1, 1, 3, 3, [10, 11]),
        (8, 1, 4, 1, [9, 9]),
        (64, 1, 9, 4, [41, 37]),
        (33, 3, 5, 5, [25, 31]),
    ] {
        let config = learned(network(conv2d(atoms, channels, size, stride), 3));
        let name = format!("{atoms} filters, stride {stride}");
        let extent = [2, channels, sides[0], sides[1]];
        agree::<4, ConvDictionary2d>(&name, config, extent, none);
    }
}

/// The launches of a training step, by kernel.
fn launches_of_a_step<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    extent: [usize; D],
) -> BTreeMap<String, usize> {
    let config = config.clone().with_kernels(Kernels::Fused);
    let device = gpu().autodiff();
    let atoms = normal(&config.dictionary.shape(), 3).convert_dtype(DType::F32);
    let model = Pudle::<D, A>::from_data(&config, atoms, &device).unwrap();
    let x = normal(&extent, 1).convert_dtype(DType::F32);
    let x = Tensor::<D>::from_data(x, (&device, DType::F32));
    let (gradient, launches) = count_launches(|| {
        let loss = model.objective(x.clone(), x.clone(), &Noise::Unknown).loss;
        model.dictionary().atoms().grad(&loss.backward()).unwrap()
    });
    assert!(values(gradient).iter().all(|entry| entry.is_finite()));
    launches
}

/// The launches of a pass are those of its kernels: two a layer forward, three backward.
#[test]
fn a_layer_is_five_launches() {
    let _turn = alone();
    let launches = |layers| launches_of_a_step::<4, ConvDictionary2d>(&images(layers), IMAGES);
    let (few, many) = (launches(4), launches(9));
    for kernel in ["Residual", "Update", "Response", "Outer", "StepBack"] {
        assert_eq!(many[kernel] - few[kernel], 5, "{kernel}: {few:?}, {many:?}");
    }
    let all = |launches: &BTreeMap<String, usize>| launches.values().sum::<usize>();
    assert_eq!(all(&many) - all(&few), 5 * 5, "{few:?}, {many:?}");
}

/// Beside its products, a layer of a matrix is a launch forward and two backward.
#[test]
fn a_layer_of_a_matrix_is_three_launches_beside_products() {
    let _turn = alone();
    for (dim, atoms) in [(21, 12), (12, 40)] {
        let launches = |layers| {
            let config = network(dense(dim, atoms), layers);
            launches_of_a_step::<2, DenseDictionary>(&config, [8, dim])
        };
        let (few, many) = (launches(4), launches(9));
        for kernel in ["Descend", "Ascend", "Store"] {
            assert_eq!(many[kernel] - few[kernel], 5, "{kernel}: {few:?}, {many:?}");
        }
    }
}

/// What the kernels do not know runs as composed operations, and gives the same numbers.
#[test]
fn other_passes_are_composed() {
    let _turn = alone();
    let config = images(3).with_prox("top-k:2".parse().unwrap());
    let device = gpu();
    let run = |config: &PudleConfig, device: &Device| {
        let atoms = normal(&config.dictionary.shape(), 3).convert_dtype(DType::F32);
        let model = Pudle::<4, ConvDictionary2d>::from_data(config, atoms, device).unwrap();
        let x = normal(&IMAGES, 1).convert_dtype(DType::F32);
        let x = Tensor::<4>::from_data(x, (device, DType::F32));
        values(model.reconstruct(x, &Noise::Unknown))
    };
    let (found, launches) = count_launches(|| run(&config, &device));
    assert!(!launches.contains_key("Update"), "{launches:?}");
    assert!(relative_error(&found, &run(&config, &Device::flex())) < 1e-4);
    // The same numbers by composed operations of the GPU as by its kernels.
    let config = images(4);
    let fused = run(&config.clone().with_kernels(Kernels::Fused), &device);
    let composed = run(&config.with_kernels(Kernels::Composed), &device);
    assert!(relative_error(&fused, &composed) < 1e-4);
}

/// Where the adapter has double precision, the fused pass has it, too.
#[test]
fn double_precision_agrees() {
    let _turn = alone();
    if !gpu().supports_dtype(DType::F64) {
        println!("no double precision on this adapter");
        return;
    }
    let double = |name: &str| (DType::F64, 1e-11, name.to_owned());
    for prox in [Proximal::Soft, Proximal::Relu, Proximal::Hard] {
        let (dtype, most, name) = double(&prox.to_string());
        let config = images(5).with_prox(prox).with_algorithm(Algorithm::Fista);
        let config = config.with_learned_step(0.1).with_tying(WeightTying::Decoder);
        let launches =
            agree_in::<4, ConvDictionary2d>(dtype, most, &name, config, IMAGES, &Noise::Unknown);
        assert!(launches.contains_key("Update"), "{launches:?}");
    }
    for (dim, atoms, batch) in [(21, 12, 8), (12, 40, 3)] {
        let (dtype, most, name) = double(&format!("{dim}×{atoms}"));
        let config = network(dense(dim, atoms), 7)
            .with_threshold(learned(true, None))
            .with_algorithm(Algorithm::Fista);
        let launches = agree_in::<2, DenseDictionary>(
            dtype,
            most,
            &name,
            config,
            [batch, dim],
            &Noise::Unknown,
        );
        assert!(launches.contains_key("Descend"), "{launches:?}");
    }
}

/// With 16 bits between layers, codes and pictures are near those of 32 bits, and no layer takes another launch. Gradients
/// are those of 32 bits.
#[test]
fn half_precision_is_near() {
    let _turn = alone();
    if !gpu().supports_dtype(DType::F16) {
        println!("no numbers of 16 bits on this adapter");
        return;
    }
    for (prox, algorithm, tying) in [
        (Proximal::Soft, Algorithm::Ista, WeightTying::Decoder),
        (Proximal::Relu, Algorithm::Fista, WeightTying::Gain),
        (Proximal::Soft, Algorithm::Fista, WeightTying::Tied),
    ] {
        // A step size at which the layers converge: numbers of 16 bits end at 65,504.
        let config = PudleConfig { step: Step::default(), ..images(15) };
        let config = config.with_prox(prox).with_algorithm(algorithm).with_tying(tying);
        let run = |kernels| {
            let config = config.clone().with_kernels(kernels);
            let atoms = normal(&config.dictionary.shape(), 3).convert_dtype(DType::F32);
            let model = Pudle::<4, ConvDictionary2d>::from_data(&config, atoms, &gpu()).unwrap();
            let model = model.project();
            let x = normal(&IMAGES, 1).convert_dtype(DType::F32);
            let x = Tensor::<4>::from_data(x, (&gpu(), DType::F32));
            count_launches(|| values(model.reconstruct(x, &Noise::Unknown)))
        };
        let ((full, launches), (half, half_launches)) = (run(Kernels::Fused), run(Kernels::Half));
        let off = relative_error(&half, &full);
        assert!(off > 1e-6 && off < 2e-3, "{prox}, {algorithm}, {tying}: {off:e}");
        for kernel in ["Residual", "Update"] {
            assert_eq!(half_launches[kernel], launches[kernel], "{kernel}");
        }
    }
    let none = &Noise::Unknown;
    let config = images(5);
    let results = |kernels| {
        let config = config.clone().with_kernels(kernels);
        results::<4, ConvDictionary2d>(&config, &gpu(), IMAGES, none, DType::F32)
    };
    let gradients = |found: Vec<(String, Vec<f64>)>| found.into_iter().skip(4).collect::<Vec<_>>();
    let (half, full) = (gradients(results(Kernels::Half)), gradients(results(Kernels::Fused)));
    for ((name, half), (_, full)) in half.iter().zip(&full) {
        assert!(relative_error(half, full) < 1e-6, "{name}");
    }
}
