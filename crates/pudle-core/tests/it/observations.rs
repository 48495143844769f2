//! Counts as data: their gradients, links, steps and supports.

use crate::common::{conv1d, dense, model, normal, relative_error, scalar, tensor, values};
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    Algorithm, Binomial, Configured, ConvDictionary1d, DenseDictionary, Dictionary,
    GradientEstimator, Kernels, Noise, Observation, Poisson, Proximal, Pudle, PudleConfig,
};

const MODELS: [Observation; 3] = [
    Observation::Binomial(Binomial { n: 1 }),
    Observation::Binomial(Binomial { n: 5 }),
    Observation::Poisson(Poisson { most: 4.0 }),
];

/// Counts that the model can have, of shape `extent`.
fn counts<const D: usize>(observation: Observation, extent: [usize; D]) -> Tensor<D> {
    let most = match observation {
        Observation::Binomial(model) => f64::from(model.n),
        _ => 6.0,
    };
    let drawn: Vec<f64> = normal(&extent, 5).iter::<f64>().collect();
    let counts: Vec<f64> = drawn.iter().map(|v| (v.abs() * 1.5).round().min(most)).collect();
    tensor(TensorData::new(counts, extent), &Device::flex())
}

fn settings(base: PudleConfig, observation: Observation) -> PudleConfig {
    base.with_step(0.1)
        .with_lambda(0.05)
        .with_layers(4)
        .with_offset(-0.3)
        .with_observation(observation)
}

/// Central differences of the loss in every number of the atoms, with the code constant for `dec`.
fn gradients_agree<const D: usize, A: Configured<D>>(config: &PudleConfig, extent: [usize; D]) {
    let device = Device::flex();
    let atoms = values(model::<D, A>(config, 21, &device).dictionary().atoms());
    let x = counts::<D>(config.observation, extent);
    let with = |gradient, atoms: &[f64], device: &Device| {
        let config = config.clone().with_gradient(gradient);
        let data = TensorData::new(atoms.to_vec(), config.dictionary.shape());
        Pudle::<D, A>::from_data(&config, data, device).unwrap()
    };
    for gradient in [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS]
    {
        let recording = device.clone().autodiff();
        let trained = with(gradient, &atoms, &recording);
        let (input, noise) = (x.clone().autodiff(), &Noise::Unknown);
        let objective = trained.objective(input.clone(), input, noise);
        let grads = objective.loss.backward();
        let exact = values(trained.dictionary().atoms().grad(&grads).expect("a gradient"));
        let code = with(gradient, &atoms, &device).encode(x.clone(), noise);
        let loss = |atoms: &[f64]| {
            let model = with(gradient, atoms, &device);
            if gradient == GradientEstimator::DEC {
                let u = model.dictionary().synthesize(code.clone(), extent) + config.offset;
                return scalar(config.observation.loss(u, x.clone()).sum()) / extent[0] as f64;
            }
            scalar(model.objective(x.clone(), x.clone(), noise).loss)
        };
        let differences: Vec<f64> = (0..atoms.len())
            .map(|i| {
                let moved = |h: f64| {
                    let mut atoms = atoms.clone();
                    atoms[i] += h;
                    loss(&atoms)
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            })
            .collect();
        let error = relative_error(&exact, &differences);
        assert!(error < 1e-6, "{gradient} {}: {error:e}", config.observation);
    }
}

#[test]
fn gradients_of_counts_equal_finite_differences() {
    for observation in MODELS {
        for prox in [Proximal::Soft, Proximal::Relu] {
            for algorithm in [Algorithm::Ista, Algorithm::Fista] {
                let vectors = settings(PudleConfig::new(dense(7, 5)), observation);
                let vectors = vectors.with_prox(prox).with_algorithm(algorithm);
                gradients_agree::<2, DenseDictionary>(&vectors, [3, 7]);
                let signals = settings(PudleConfig::new(conv1d(3, 2, 4, 1)), observation);
                let signals = signals.with_prox(prox).with_algorithm(algorithm);
                gradients_agree::<3, ConvDictionary1d>(&signals, [2, 2, 12]);
            }
        }
    }
}

#[test]
fn the_mean_is_the_gradient_of_the_loss_and_the_link_its_inverse() {
    let u = tensor::<1>(TensorData::from([-3.0, -0.5, 0.0, 0.7, 1.3, 1.5, 3.0]), &Device::flex());
    let x = u.zeros_like();
    for observation in MODELS {
        let mean = values(observation.mean(u.clone()));
        let loss = |h: f64| values(observation.loss(u.clone() + h, x.clone()));
        let (above, below) = (loss(1e-6), loss(-1e-6));
        let slopes: Vec<f64> = above.iter().zip(&below).map(|(a, b)| (a - b) / 2e-6).collect();
        assert!(relative_error(&slopes, &mean) < 1e-8, "{observation}");
        let back = values(observation.link(observation.mean(u.clone())));
        assert!(relative_error(&back, &values(u.clone())) < 1e-12, "{observation}");
    }
}

#[test]
fn the_automatic_step_never_increases_the_objective() {
    for observation in MODELS {
        let mut config = settings(PudleConfig::new(dense(10, 14)), observation).with_layers(30);
        config.step = pudle_core::Step::Auto;
        let x = counts::<2>(observation, [4, 10]);
        let pudle = model::<2, DenseDictionary>(&config, 3, &Device::flex());
        let mut last = f64::INFINITY;
        for code in pudle.encode_layers(x.clone(), &Noise::Unknown) {
            let u = pudle.dictionary().synthesize(code.clone(), [4, 10]) + config.offset;
            let fit = scalar(observation.loss(u, x.clone()).sum());
            let objective = fit + 0.05 * scalar(code.abs().sum());
            assert!(objective <= last + 1e-9, "{observation}: {objective} after {last}");
            last = objective;
        }
    }
}

#[test]
fn large_counts_do_not_overflow() {
    let u = tensor::<1>(TensorData::from([-800.0, 800.0]), &Device::flex());
    for observation in MODELS {
        for found in [observation.mean(u.clone()), observation.loss(u.clone(), u.zeros_like())] {
            assert!(values(found).iter().all(|value| value.is_finite()), "{observation}");
        }
    }
}

#[test]
fn codes_stay_on_their_support() {
    let config = settings(PudleConfig::new(conv1d(2, 1, 5, 1)), MODELS[0]);
    let pudle = model::<3, ConvDictionary1d>(&config, 4, &Device::flex());
    let x = counts::<3>(MODELS[0], [2, 1, 20]);
    let allowed: Vec<f64> = (0..2 * 2 * 16).map(|k| f64::from(u8::from(k % 5 == 2))).collect();
    let support = tensor::<3>(TensorData::new(allowed.clone(), [2, 2, 16]), &Device::flex());
    let code = values(pudle.encode_within(x.clone(), &support, &Noise::Unknown));
    assert!(code.iter().any(|value| *value != 0.0));
    assert!(code.iter().zip(&allowed).all(|(value, allowed)| *value == 0.0 || *allowed == 1.0));
    let objective = pudle.supported_objective(x.clone(), x, support, None, &Noise::Unknown);
    assert_eq!(values(objective.code), code);
}

#[test]
fn counts_have_no_fused_pass_and_no_implicit_gradient() {
    let config = settings(PudleConfig::new(dense(3, 4)), MODELS[0]);
    let fused = config.clone().with_kernels(Kernels::Fused).validate().unwrap_err().to_string();
    assert!(fused.contains("model.kernels") && fused.contains("binomial:1"), "{fused}");
    let implicit = config.clone().with_gradient(GradientEstimator::IMPLICIT);
    assert!(implicit.validate().unwrap_err().to_string().contains("model.observation"));
    config.validate().unwrap();
    for (text, model) in
        [("bernoulli", MODELS[0]), ("binomial:5", MODELS[1]), ("poisson:4", MODELS[2])]
    {
        assert_eq!(text.parse::<Observation>().unwrap(), model);
    }
    for text in ["binomial:0", "poisson:-1", "poisson", "cauchy"] {
        assert!(text.parse::<Observation>().unwrap_err().to_string().contains(text));
    }
}

/// A support on which a third of the code may be other than zero.
fn support(extent: [usize; 3]) -> Tensor<3> {
    let allowed: Vec<f64> =
        (0..extent.iter().product()).map(|k| f64::from(u8::from(k % 3 == 1))).collect();
    tensor(TensorData::new(allowed, extent), &Device::flex())
}

#[test]
fn gradients_with_baselines_shared_codes_and_missing_data_equal_finite_differences() {
    let (extent, code) = ([2, 2, 12], [2, 3, 9]);
    let device = Device::flex();
    let known: Vec<f64> = (0..48).map(|k| f64::from(u8::from(k % 7 != 3))).collect();
    let mask: Tensor<3> = tensor(TensorData::new(known, extent), &device);
    for observation in [Observation::default(), MODELS[1], MODELS[2]] {
        for (shared, algorithm) in [(false, Algorithm::Ista), (true, Algorithm::Fista)] {
            for gradient in [GradientEstimator::AE_LS, GradientEstimator::AE_LASSO] {
                let config = settings(PudleConfig::new(conv1d(3, 2, 4, 1)), observation)
                    .with_baseline(true)
                    .with_shared(shared)
                    .with_algorithm(algorithm)
                    .with_gradient(gradient);
                let x = counts::<3>(observation, extent);
                let atoms =
                    values(model::<3, ConvDictionary1d>(&config, 21, &device).dictionary().atoms());
                let objective = |atoms: &[f64], device: &Device| {
                    let data = TensorData::new(atoms.to_vec(), config.dictionary.shape());
                    let model =
                        Pudle::<3, ConvDictionary1d>::from_data(&config, data, device).unwrap();
                    let on = |t: Tensor<3>| match device.is_autodiff() {
                        true => t.autodiff(),
                        false => t,
                    };
                    let (x, s, m) = (on(x.clone()), on(support(code)), on(mask.clone()));
                    let objective =
                        model.supported_objective(x.clone(), x, s, Some(m), &Noise::Unknown);
                    let loss = objective.loss + model.roughness(&objective.code) * 0.3;
                    (model, loss, objective.baseline, objective.code)
                };
                let (trained, loss, baseline, codes) =
                    objective(&atoms, &device.clone().autodiff());
                let grads = loss.backward();
                assert_eq!(baseline.expect("a baseline").dims(), [2, 2, 1]);
                if shared {
                    let codes = values(codes.inner());
                    let first: Vec<f64> = codes
                        .chunks(9)
                        .take(3)
                        .map(|row| *row.iter().find(|v| **v != 0.0).unwrap_or(&0.0))
                        .collect();
                    for (k, row) in codes.chunks(9).enumerate() {
                        assert!(row.iter().all(|v| *v == 0.0 || (v - first[k % 3]).abs() < 1e-12));
                    }
                }
                let exact = values(trained.dictionary().atoms().grad(&grads).unwrap());
                // The sizes in the roughness are constants.
                let constant = objective(&atoms, &device).3;
                let moved = |i: usize, h: f64| {
                    let mut atoms = atoms.clone();
                    atoms[i] += h;
                    let data = TensorData::new(atoms.clone(), config.dictionary.shape());
                    let model =
                        Pudle::<3, ConvDictionary1d>::from_data(&config, data, &device).unwrap();
                    let objective = model.supported_objective(
                        x.clone(),
                        x.clone(),
                        support(code),
                        Some(mask.clone()),
                        &Noise::Unknown,
                    );
                    scalar(objective.loss + model.roughness(&constant) * 0.3)
                };
                let differences: Vec<f64> =
                    (0..atoms.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect();
                let error = relative_error(&exact, &differences);
                assert!(error < 1e-6, "{observation} {shared} {gradient}: {error:e}");
            }
        }
    }
}

#[test]
fn baselines_and_shared_codes_descend_to_the_optimum() {
    let (extent, code) = ([3, 1, 40], [3, 2, 36]);
    let device = Device::flex();
    for observation in [Observation::default(), MODELS[0], MODELS[2]] {
        let mut config = settings(PudleConfig::new(conv1d(2, 1, 5, 1)), observation)
            .with_baseline(true)
            .with_shared(true)
            .with_lambda(0.0);
        config.step = pudle_core::Step::Auto;
        let mut last = f64::INFINITY;
        let mut end = None;
        for layers in [1, 2, 5, 20, 3000] {
            let config = config.clone().with_layers(layers);
            let pudle = model::<3, ConvDictionary1d>(&config, 3, &device);
            let x = counts::<3>(observation, extent);
            let found = pudle.supported_objective(
                x.clone(),
                x.clone(),
                support(code),
                None,
                &Noise::Unknown,
            );
            let fit = scalar(found.fit);
            assert!(fit <= last + 1e-12, "{observation}, {layers} layers: {fit} after {last}");
            last = fit;
            end = Some((pudle, x, found.code, found.baseline.unwrap(), found.reconstruction));
        }
        // At the optimum the residual has no part along any atom's events, nor along a constant.
        let (pudle, x, _, baseline, mean) = end.unwrap();
        assert_eq!(baseline.dims(), [3, 1, 1]);
        let residual = x - mean;
        let along = values(residual.clone().mean_dim(2));
        assert!(along.iter().all(|value| value.abs() < 1e-5), "{observation}: {along:?}");
        let ascent = pudle.dictionary().analyze(residual) * support(code);
        let by_atom = values(ascent.sum_dim(0).sum_dim(2));
        assert!(by_atom.iter().all(|value| value.abs() < 1e-4), "{observation}: {by_atom:?}");
    }
}

#[test]
fn baselines_and_shared_codes_are_refused_where_they_have_no_meaning() {
    let base = settings(PudleConfig::new(conv1d(2, 1, 5, 1)), Observation::default());
    let refused = |config: PudleConfig, field: &str| {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    };
    let implicit = |config: PudleConfig| config.with_gradient(GradientEstimator::IMPLICIT);
    refused(implicit(base.clone().with_baseline(true)), "model.baseline");
    refused(implicit(base.clone().with_shared(true)), "model.shared");
    refused(base.clone().with_shared(true).with_prox("top-k:2".parse().unwrap()), "model.shared");
    refused(base.clone().with_baseline(true).with_kernels(Kernels::Fused), "model.kernels");
    refused(PudleConfig::new(dense(3, 4)).with_rank_one(true), "model.rank_one");
    refused(base.clone().with_rank_one(true).with_nonnegative(true), "model.rank_one");
    base.with_baseline(true).with_shared(true).with_rank_one(true).validate().unwrap();
}

#[test]
fn projected_filters_of_rank_one_are_the_nearest_ones() {
    let config = PudleConfig::new(conv1d(3, 4, 6, 1)).with_rank_one(true);
    let pudle = model::<3, ConvDictionary1d>(&config, 8, &Device::flex());
    let atoms = values(pudle.dictionary().atoms());
    for atom in atoms.chunks(24) {
        // Every row is a multiple of every other one, and the norm is 1.
        for (a, b) in atom.chunks(6).zip(atom.chunks(6).skip(1)) {
            for i in 0..6 {
                for j in 0..6 {
                    assert!((a[i] * b[j] - a[j] * b[i]).abs() < 1e-7);
                }
            }
        }
        assert!((atom.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-10);
    }
    let again = values(pudle.clone().project().dictionary().atoms());
    assert!(relative_error(&again, &atoms) < 1e-10);
    // No product of a waveform and weights is nearer than the projection of a sum of two, of which one is larger.
    let outer = |w: [f64; 2], v: [f64; 3], s: f64| -> Vec<f64> {
        w.iter().flat_map(|w| v.iter().map(move |v| s * w * v)).collect()
    };
    let (large, small) =
        (outer([0.6, 0.8], [1.0, 0.0, 0.0], 2.0), outer([-0.8, 0.6], [0.0, 0.6, 0.8], 1.0));
    let sum: Vec<f64> = large.iter().zip(&small).map(|(a, b)| a + b).collect();
    let config = PudleConfig::new(conv1d(1, 2, 3, 1)).with_rank_one(true);
    let data = TensorData::new(sum, [1, 2, 3]);
    let pudle = Pudle::<3, ConvDictionary1d>::from_data(&config, data, &Device::flex()).unwrap();
    let found = values(pudle.project().dictionary().atoms());
    let expected: Vec<f64> = large.iter().map(|v| v / 2.0).collect();
    assert!(relative_error(&found, &expected) < 1e-8, "{found:?}");
}
