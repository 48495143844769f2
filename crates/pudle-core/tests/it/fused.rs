//! The fused pass against the composed one, forward and every gradient, over random problems.
#![cfg(feature = "flex")]

use crate::common::{conv1d, conv2d, dense, gradients, normal, values};
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pudle_core::{
    Algorithm, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary,
    DictionaryConfig, GradientEstimator, Kernels, Learned, Loss, Noise, Proximal, Pudle,
    PudleConfig, Response, ShiftedWindows, Step, ThresholdConfig, WeightTying,
};
use strum::VariantNames;

/// Everything about a comparison but its dictionary and data.
#[derive(Clone, Debug)]
struct Case {
    config: PudleConfig,
    seed: u64,
}

fn gradient(layers: usize) -> impl Strategy<Value = GradientEstimator> {
    let loss = prop_oneof![Just(Loss::Fit), Just(Loss::Lasso)];
    let response = prop_oneof![
        Just(Response::Dropped),
        (1..=layers).prop_map(Response::Last),
        Just(Response::All),
        Just(Response::Implicit),
    ];
    (loss, response).prop_map(|(loss, response)| GradientEstimator { loss, response })
}

/// From full supports (λ = 0) to empty ones (λ = 50).
fn threshold() -> impl Strategy<Value = ThresholdConfig> {
    let lambda = prop_oneof![Just(0.0), Just(50.0), 0.01..1.0];
    lambda.prop_flat_map(|lambda: f64| {
        prop_oneof![
            Just(ThresholdConfig::constant(lambda)),
            (0.5..1.0).prop_map(move |beta| ThresholdConfig::decaying(lambda, beta)),
            Just(ThresholdConfig::learned(lambda)),
            Just(ThresholdConfig::Learned(Learned {
                lambda,
                per_layer: true,
                sigma: None,
                signed: false
            })),
            any::<bool>().prop_map(move |per_layer| {
                ThresholdConfig::Learned(Learned {
                    lambda,
                    per_layer,
                    sigma: Some(2.0),
                    signed: false,
                })
            }),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Given(0.1)), Just(Step::Learned(0.1))]
}

/// Tied in half of the cases.
fn tying() -> impl Strategy<Value = WeightTying> {
    let one = |tying| Just(tying);
    prop_oneof![2 => one(WeightTying::Tied), 1 => one(WeightTying::Gain), 1 => one(WeightTying::Decoder), 1 => one(WeightTying::Untied)]
}

fn case(dictionary: DictionaryConfig) -> impl Strategy<Value = Case> {
    (1usize..7).prop_flat_map(move |layers| {
        let prox = prop_oneof![Just(Proximal::Soft), Just(Proximal::Relu), Just(Proximal::Hard)];
        let algorithm = prop_oneof![Just(Algorithm::Ista), Just(Algorithm::Fista)];
        let network =
            (threshold(), prox, algorithm, step(), tying(), prop_oneof![Just(0.0), Just(0.3)]);
        let all = (gradient(layers), network, any::<bool>(), any::<u64>());
        all.prop_map(move |(gradient, network, recompute, seed)| {
            let (threshold, prox, algorithm, step, tying, offset) = network;
            let config = PudleConfig { step, ..PudleConfig::new(dictionary) }
                .with_layers(layers)
                .with_tying(tying)
                .with_offset(offset)
                .with_gradient(gradient)
                .with_threshold(threshold)
                .with_prox(prox)
                .with_algorithm(algorithm)
                .with_recompute(recompute);
            Case { config, seed }
        })
    })
}

/// Results of a pass by name.
fn run<const D: usize, A: Configured<D>>(
    case: &Case,
    kernels: Kernels,
    extent: [usize; D],
    dtype: DType,
) -> Vec<(String, Vec<f64>)> {
    let recompute = case.config.recompute && kernels == Kernels::Fused;
    let config = case.config.clone().with_kernels(kernels).with_recompute(recompute);
    let device = Device::flex().autodiff();
    let shape = config.dictionary.shape();
    let atoms = normal(&shape, case.seed).iter::<f64>().map(|x| 0.4 * x).collect::<Vec<_>>();
    let atoms = TensorData::new(atoms, shape).convert_dtype(dtype);
    let model = Pudle::<D, A>::from_data(&config, atoms, &device).unwrap();
    // Noise of each datum's own, of all, or not known.
    let each = (0..extent[0]).map(|i| 0.5 + i as f64).collect();
    let noise = [Noise::Unknown, Noise::Same(1.5), Noise::PerDatum(each)];
    let noise = &noise[case.seed as usize % 3];
    let data = |seed| {
        let data = normal(&extent, seed).convert_dtype(dtype);
        Tensor::<D>::from_data(data, (&device, dtype))
    };
    let (x, target) = (data(case.seed ^ 1).require_grad(), data(case.seed ^ 2));
    let objective = model.objective(x.clone(), target, noise);
    let mut results = vec![
        ("loss".to_owned(), values(objective.loss.clone())),
        ("code".to_owned(), values(objective.code)),
        ("reconstruction".to_owned(), values(objective.reconstruction)),
        ("encode".to_owned(), values(model.encode(x.clone(), noise))),
        ("reconstruct".to_owned(), values(model.reconstruct(x.clone(), noise))),
    ];
    let grads = objective.loss.backward();
    let zeros = |n| vec![0.0; n];
    let count = extent.iter().product();
    results.push(("data".to_owned(), x.grad(&grads).map_or_else(|| zeros(count), values)));
    for ((path, gradient), weight) in gradients(&model, &grads).into_iter().zip(model.weights()) {
        assert_eq!(path, weight.path);
        // A weight without a gradient has none in either pass, or one of zeros.
        let gradient = if gradient.is_empty() { zeros(weight.len()) } else { gradient };
        results.push((path, gradient));
    }
    results
}

fn agree<const D: usize, A: Configured<D>>(
    case: &Case,
    extent: [usize; D],
    dtype: DType,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    let fused = run::<D, A>(case, Kernels::Fused, extent, dtype);
    let composed = run::<D, A>(case, Kernels::Composed, extent, dtype);
    for ((name, fused), (_, composed)) in fused.into_iter().zip(composed) {
        // The implicit response is composed in both, and its linear solve magnifies rounding.
        if case.config.gradient.response == Response::Implicit
            && ["dictionary.atoms", "data", "threshold.lambda", "threshold.slope"].contains(&&*name)
        {
            continue;
        }
        prop_assert_eq!(fused.len(), composed.len());
        let scale = composed.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
        for (a, b) in fused.iter().zip(&composed) {
            let off = (a - b).abs() / scale;
            prop_assert!(off <= tolerance, "{}: {} against {}, {:e} of {}", name, a, b, off, scale);
        }
    }
    Ok(())
}

fn property<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    // The same cases every time: a support that rounding changes is no error, but would be reported.
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(&strategy, test).unwrap();
}

fn both<const D: usize, A: Configured<D>>(
    strategy: impl Strategy<Value = (Case, [usize; D])> + Clone,
) {
    property(strategy.clone(), |(case, extent)| agree::<D, A>(&case, extent, DType::F64, 1e-12));
    property(strategy, |(case, extent)| agree::<D, A>(&case, extent, DType::F32, 1e-5));
}

/// Leaves out what a configuration refuses.
fn valid<const D: usize>(
    strategy: impl Strategy<Value = (Case, [usize; D])> + Clone,
) -> impl Strategy<Value = (Case, [usize; D])> + Clone {
    // A support far larger than the dimension leaves the implicit response's solve without a solution.
    let solvable = |case: &Case| {
        case.config.dictionary.atoms() < 64 || case.config.gradient.response != Response::Implicit
    };
    strategy.prop_filter("settings with a meaning", move |(case, _)| {
        case.config.validate().is_ok() && solvable(case)
    })
}

#[test]
fn dense_passes_agree() {
    // From 257 atoms on, the backward pass goes another way.
    let atoms = prop_oneof![3 => 1usize..40, 1 => 257usize..270];
    let shapes = (1usize..20, atoms, 1usize..15);
    both::<2, DenseDictionary>(valid(Arc::new(shapes.prop_flat_map(|(dim, atoms, batch)| {
        case(dense(dim, atoms)).prop_map(move |case| (case, [batch, dim]))
    }))));
}

#[test]
fn conv1d_passes_agree() {
    let shapes = (1usize..6, 1usize..4, 1usize..9, 1usize..9, 0usize..300, 1usize..4);
    both::<3, ConvDictionary1d>(valid(Arc::new(shapes.prop_flat_map(
        |(atoms, channels, size, stride, more, batch)| {
            let dictionary = conv1d(atoms, channels, size, stride.min(size));
            case(dictionary).prop_map(move |case| (case, [batch, channels, size + more]))
        },
    ))));
}

#[test]
fn conv2d_passes_agree() {
    let shapes = (1usize..20, 1usize..4, 1usize..7, 1usize..7, (0usize..20, 0usize..20), 1usize..4);
    both::<4, ConvDictionary2d>(valid(Arc::new(shapes.prop_flat_map(
        |(atoms, channels, size, stride, (down, across), batch)| {
            let dictionary = conv2d(atoms, channels, size, stride.min(size));
            let extent = [batch, channels, size + down, size + across];
            case(dictionary).prop_map(move |case| (case, extent))
        },
    ))));
}

/// The operation itself, whose step size and levels per layer no configuration trains.
#[test]
fn steps_and_levels_have_the_gradients_of_composed_layers() {
    let device = Device::flex().autodiff();
    let options = (&device, DType::F64);
    let tensor = |shape: [usize; 2], seed| Tensor::<2>::from_data(normal(&shape, seed), options);
    for seed in 0..20 {
        let (layers, batch, m, p) = (4, 3, 6, 9);
        let (x, atoms) = (tensor([batch, m], seed), tensor([m, p], 100 + seed) * 0.4);
        let atoms = atoms.detach().require_grad();
        let step = Tensor::<1>::from_data(TensorData::from([0.11]), options).require_grad();
        let levels = tensor([layers * batch, p], 200 + seed).abs() * 0.05;
        let levels = levels.reshape([layers, batch, p]).detach().require_grad();
        let weights = tensor([batch, p], 300 + seed);
        let gradients = |fused: bool| {
            let (code, reconstruction) = if fused {
                let network = pudle_kernels::Network {
                    problem: pudle_kernels::Problem::Dense { dim: m },
                    unrolling: pudle_kernels::Unrolling::ista(
                        layers,
                        pudle_kernels::Shrinkage::Soft,
                    ),
                    banks: pudle_kernels::Banks::tied(atoms.clone()),
                    step: step.clone(),
                    levels: levels.clone(),
                };
                network.run(x.clone(), [batch, p]).unwrap()
            } else {
                let mut code = Tensor::<2>::zeros([batch, p], options);
                for t in 0..layers {
                    let residual = x.clone() - code.clone().matmul(atoms.clone().transpose());
                    let ascent = residual.matmul(atoms.clone()) * step.clone().unsqueeze();
                    let theta = levels.clone().narrow(0, t, 1).squeeze_dim(0);
                    let v = code + ascent;
                    let (above, below) = (v.clone() - theta.clone(), -v - theta);
                    code = burn::tensor::activation::relu(above)
                        - burn::tensor::activation::relu(below);
                }
                (code.clone(), code.matmul(atoms.clone().transpose()))
            };
            let loss = (reconstruction - x.clone()).square().sum() + (code * weights.clone()).sum();
            let grads = loss.backward();
            [
                values(step.grad(&grads).unwrap()),
                values(levels.grad(&grads).unwrap()),
                values(atoms.grad(&grads).unwrap()),
            ]
        };
        for (fused, composed) in gradients(true).into_iter().zip(gradients(false)) {
            let scale = composed.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            for (a, b) in fused.iter().zip(&composed) {
                assert!((a - b).abs() <= 1e-12 * scale, "{seed}: {a} against {b}");
            }
        }
    }
}

#[test]
fn passes_do_not_depend_on_the_number_of_threads() {
    let config = PudleConfig::new(conv2d(20, 1, 7, 3)).with_layers(6).with_lambda(0.2);
    let case = |config: &PudleConfig| Case { config: config.clone(), seed: 5 };
    let dense = PudleConfig::new(dense(40, 90)).with_layers(6).with_lambda(0.2);
    let all = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (kernels, dtype) = (Kernels::Fused, DType::F32);
            [
                run::<4, ConvDictionary2d>(&case(&config), kernels, [1, 1, 90, 61], dtype),
                run::<4, ConvDictionary2d>(&case(&config), kernels, [7, 1, 40, 31], dtype),
                run::<2, DenseDictionary>(&case(&dense), kernels, [50, 40], dtype),
            ]
        })
    };
    let one = all(1);
    for threads in 2..=4 {
        assert!(one == all(threads), "{threads} threads");
    }
}

#[test]
fn names_of_implementations_round_trip() {
    assert!("fast".parse::<Kernels>().is_err());
    assert_eq!(Kernels::VARIANTS, ["auto", "fused", "half", "composed"]);
    for kernels in [Kernels::Auto, Kernels::Fused, Kernels::Half, Kernels::Composed] {
        assert_eq!(kernels.to_string().parse(), Ok(kernels));
    }
}

#[test]
fn shifted_passes_agree() {
    let device = Device::flex();
    for (k, (stride, channels, count, [height, width])) in [
        (2, 1, 4, [9, 14]),
        (3, 3, 9, [17, 12]),
        (4, 1, 5, [31, 30]),
        (5, 1, 25, [7, 5]),
        (1, 1, 1, [12, 9]),
    ]
    .into_iter()
    .enumerate()
    {
        let config =
            PudleConfig::new(conv2d(11, channels, 5, stride)).with_layers(5).with_lambda(0.1);
        let shape = [2, channels, height, width];
        let x = Tensor::<4>::from_data(normal(&shape, k as u64), (&device, DType::F64));
        let run = |kernels| {
            let model = crate::common::model::<4, ConvDictionary2d>(&config, 7, &device);
            let model = model.with_kernels(kernels).unwrap();
            values(model.reconstruct_shifted(x.clone(), &Noise::Unknown, count))
        };
        let (fused, composed) = (run(Kernels::Fused), run(Kernels::Composed));
        assert!(crate::common::relative_error(&fused, &composed) < 1e-12, "stride {stride}");
    }
}

/// The mean over all shifts knows no grid: it moves along with the picture, away from the borders.
#[test]
fn the_mean_over_all_shifts_moves_with_the_picture() {
    let device = Device::flex();
    let config =
        PudleConfig::new(conv2d(8, 1, 4, 2)).with_layers(3).with_step(0.1).with_lambda(0.1);
    let model = crate::common::model::<4, ConvDictionary2d>(&config, 3, &device);
    let x = Tensor::<4>::from_data(normal(&[1, 1, 40, 40], 4), (&device, DType::F64));
    let crop =
        |x: Tensor<4>, start: usize| x.slice([0..1, 0..1, start..start + 8, start..start + 8]);
    let here = crop(model.reconstruct_shifted(x.clone(), &Noise::Unknown, 4), 17);
    let moved = crop(
        model.reconstruct_shifted(x.slice([0..1, 0..1, 1..40, 1..40]), &Noise::Unknown, 4),
        16,
    );
    assert!(crate::common::relative_error(&values(moved), &values(here)) < 1e-12);
}

/// Over all pairs that can be drawn, the loss of two shifts that stand for all has the mean of the loss of all, and so has
/// its gradient.
#[test]
fn two_shifts_stand_for_all_of_them() {
    let device = Device::flex().autodiff();
    let (stride, reach) = (2, 1);
    let config =
        PudleConfig::new(conv2d(6, 1, 4, stride)).with_layers(3).with_step(0.1).with_lambda(0.1);
    let model = crate::common::model::<4, ConvDictionary2d>(&config, 7, &device);
    let side = 4 + 4 * stride + reach;
    let data =
        |seed| Tensor::<4>::from_data(normal(&[2, 1, side, side], seed), (&device, DType::F64));
    let run = |starts: &[[usize; 2]]| {
        let windows = ShiftedWindows { starts: starts.to_vec(), reach, averaged: 4 };
        let objective = model.shifted_objective(data(1), data(2), &Noise::Unknown, &windows);
        let grads = objective.loss.backward();
        let gradient = values(model.dictionary().atoms().grad(&grads).unwrap());
        (values(objective.loss)[0], gradient)
    };
    let all: Vec<[usize; 2]> = (0..4).map(|k| [k / 2, k % 2]).collect();
    let (loss, gradient) = run(&all);
    for drawn in [2, 3] {
        let (mut mean_loss, mut mean_gradient) = (0.0, vec![0.0; gradient.len()]);
        let draws: Vec<Vec<[usize; 2]>> = (0..16u32)
            .filter(|set| set.count_ones() == drawn)
            .map(|set| (0..4).filter(|k| set >> k & 1 == 1).map(|k| all[k]).collect())
            .collect();
        for starts in &draws {
            let (loss, gradient) = run(starts);
            mean_loss += loss / draws.len() as f64;
            for (mean, g) in mean_gradient.iter_mut().zip(gradient) {
                *mean += g / draws.len() as f64;
            }
        }
        assert!((mean_loss - loss).abs() < 1e-10 * loss, "{drawn}: {mean_loss}, {loss}");
        let off = crate::common::relative_error(&mean_gradient, &gradient);
        // Burn's derivative of a division by a number rounds it to f32.
        assert!(off < 1e-7, "{drawn}: {off}");
    }
}

/// The trained mean over shifts is that of inference, and its gradient that of composed operations.
#[test]
fn a_mean_over_shifts_is_trained_as_it_is_used() {
    let device = Device::flex().autodiff();
    let (stride, reach) = (3, 2);
    let threshold = ThresholdConfig::Learned(Learned {
        lambda: 0.1,
        per_layer: true,
        sigma: Some(2.0),
        signed: false,
    });
    let config = PudleConfig::new(conv2d(9, 1, 5, stride))
        .with_layers(4)
        .with_learned_step(0.1)
        .with_offset(0.2)
        .with_threshold(threshold);
    // The parts' own extent is covered, and larger than the window by what they are shifted by.
    let side = 5 + 6 * stride + reach;
    let data =
        |seed| Tensor::<4>::from_data(normal(&[2, 1, side, side], seed), (&device, DType::F64));
    let starts: Vec<[usize; 2]> = (0..9).map(|k| [k / 3, k % 3]).collect();
    let run = |kernels| {
        let model = crate::common::model::<4, ConvDictionary2d>(&config, 7, &device);
        let model = model.with_kernels(kernels).unwrap();
        let noise = Noise::PerDatum(vec![1.0, 2.0]);
        let windows = ShiftedWindows { starts: starts.clone(), reach, averaged: 9 };
        let objective = model.shifted_objective(data(1), data(2), &noise, &windows);
        let grads = objective.loss.backward();
        let mut found = vec![values(objective.loss), values(objective.reconstruction)];
        found.extend(gradients(&model, &grads).into_iter().map(|(_, gradient)| gradient));
        assert!(found.iter().all(|values| !values.is_empty()));
        (model, found)
    };
    let ((model, fused), (_, composed)) = (run(Kernels::Fused), run(Kernels::Composed));
    for (k, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
        assert!(crate::common::relative_error(fused, composed) < 1e-12, "result {k}");
    }
    // A picture that reaches as far as the parts do has no reflected border where they have none: the
    // first datum, at its own noise, away from the borders.
    let inner = |x: Tensor<4>, from: usize| {
        let (from, to) = (from, from + side - 2 * reach - 12);
        x.slice([0..1, 0..1, from..to, from..to])
    };
    let used = model.reconstruct_shifted(data(1), &Noise::Same(1.0), 9);
    let trained = Tensor::<4>::from_data(
        TensorData::new(fused[1].clone(), [2, 1, side - 2 * reach, side - 2 * reach]),
        (&device, DType::F64),
    );
    let (used, trained) = (inner(used, 6 + reach), inner(trained, 6));
    let off = crate::common::relative_error(&values(trained), &values(used));
    // Codes near the borders differ, and what they explain reaches inwards, ever less.
    assert!(off < 0.05, "{off}");
}
