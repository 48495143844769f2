//! Proximal operators and threshold schedules: what they do, entry by entry, and what they minimise.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pudle_core::{
    ConfigError, Continuation, DenseDictionary, Level, Noise, Proximal, Pudle, PudleConfig,
    StepSize, ThresholdConfig,
};

use crate::common::{dense, model, normal, scalar, tensor, values};

fn proximal(name: &str) -> Proximal {
    name.parse().unwrap()
}

/// `½‖z − v‖² + α h(z)` for one datum.
fn objective(prox: Proximal, z: &Tensor<2>, v: &Tensor<2>, lambda: f64, alpha: f64) -> f64 {
    let (lambda, step) = (Level::Scalar(lambda), StepSize::Given(alpha));
    let penalty = scalar(prox.penalty(z.clone(), &lambda, &step));
    scalar((z.clone() - v.clone()).square().sum()) / 2.0 + alpha * penalty
}

/// `Φ(v)` minimises `½‖z − v‖² + α h(z)`: no other code that the operator allows is better.
#[test]
fn operators_minimise_their_objective() {
    let device = Device::flex();
    for name in OPERATORS {
        let prox = proximal(name);
        let draws = (any::<u64>(), 0.01..2.0f64, 0.05..1.0f64, -1.0..1.0f64);
        let mut runner = TestRunner::new(Config { cases: 60, ..Config::default() });
        let result = runner.run(&draws, |(seed, lambda, alpha, size)| {
            let v: Tensor<2> = tensor(normal(&[1, 12], seed), &device);
            // The operator's own output, with every entry moved, is another code that it allows.
            let step = StepSize::Given(alpha);
            let level = prox.level(Level::Scalar(lambda), &step);
            let best = prox.apply(v.clone(), &level);
            let least = objective(prox, &best, &v, lambda, alpha);
            let moved: Tensor<2> = tensor(normal(&[1, 12], !seed), &device) * size;
            let support = best.clone().sign().abs();
            let others = [
                best.clone() + moved.clone() * support,
                prox.apply(best.clone() + moved.clone(), &level),
                prox.apply(moved, &level),
                best.zeros_like(),
            ];
            for other in others {
                let other = if name == "relu" { other.clamp_min(0.0) } else { other };
                let value = objective(prox, &other, &v, lambda, alpha);
                prop_assert!(value >= least - 1e-12, "{name}: {value} below {least}");
            }
            Ok(())
        });
        result.unwrap();
    }
}

const OPERATORS: [&str; 6] = ["soft", "relu", "hard", "top-k:5", "group:1", "group:4"];

/// ISTA with `α ≤ 1/‖D‖²` never raises the objective `½‖x − D z‖² + h(z)`.
#[test]
fn objectives_never_rise_over_the_layers() {
    let device = Device::flex();
    for name in OPERATORS {
        let prox = proximal(name);
        for seed in 0..5 {
            let config = PudleConfig::new(dense(8, 12)).with_prox(prox).with_lambda(0.3);
            let config = config.with_layers(30);
            let model: Pudle<2, DenseDictionary> = model(&config, seed, &device);
            let x: Tensor<2> = tensor(normal(&[3, 8], 50 + seed), &device);
            let (lambda, step) = (Level::Scalar(0.3), StepSize::Given(model.step([3, 8])));
            let mut last = f64::INFINITY;
            for z in model.encode_layers(x.clone(), &Noise::Unknown) {
                let residual = model.decode(z.clone(), [3, 8]) - x.clone();
                let value =
                    scalar(residual.square().sum()) / 2.0 + scalar(prox.penalty(z, &lambda, &step));
                // The step size is that of an estimate of ‖D‖², which may be some tenths of a percent too low.
                assert!(value <= last * 1.0001, "{name}, seed {seed}: {value} after {last}");
                last = value;
            }
        }
    }
}

/// A hard threshold's penalty counts non-zeros, so that the lasso loss has no gradient through it.
#[test]
fn the_penalty_of_a_hard_threshold_counts() {
    let code: Tensor<2> =
        Tensor::from_data([[0.0, 2.0, -3.0, 0.0]], (&Device::flex(), burn::tensor::DType::F64));
    let penalty = proximal("hard").penalty(code, &Level::Scalar(0.4), &StepSize::Given(0.1));
    // λ²/(2α) ‖z‖₀
    assert!((scalar(penalty) - 2.0 * 0.16 / 0.2).abs() < 1e-12);
}

/// Each datum, and each position of a filter bank, has k codes, those of largest magnitude; equal ones count.
#[test]
fn top_k_leaves_the_largest() {
    let options = (&Device::flex(), burn::tensor::DType::F64);
    let level = Level::Scalar(0.0);
    let v = Tensor::<2>::from_data([[3.0, -4.0, 0.5, 0.0], [1.0, 1.0, 1.0, 1.0]], options);
    let z = values(proximal("top-k:2").apply(v, &level));
    assert_eq!(z[..4], [3.0, -4.0, 0.0, 0.0]);
    assert_eq!(z[4..].iter().filter(|z| **z == 1.0).count(), 2);
    // Three atoms at two positions.
    let v = Tensor::<3>::from_data([[[1.0, -2.0], [3.0, 0.5], [-2.0, 5.0]]], options);
    let z = values(proximal("top-k:1").apply(v, &level));
    assert_eq!(z, [0.0, 0.0, 3.0, 0.0, 0.0, 5.0]);
}

/// A group shrinks as a vector, and is zero as a whole; groups of one are a soft threshold.
#[test]
fn groups_shrink_as_vectors() {
    let options = (&Device::flex(), burn::tensor::DType::F64);
    let v = Tensor::<2>::from_data([[3.0, 4.0, 0.3, -0.4, 0.0, 0.0]], options);
    let z = values(proximal("group:2").apply(v.clone(), &Level::Scalar(1.0)));
    let expected = [2.4, 3.2, 0.0, 0.0, 0.0, 0.0];
    assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-12), "{z:?}");
    let one = values(proximal("group:1").apply(v.clone(), &Level::Scalar(0.35)));
    let soft = values(proximal("soft").apply(v, &Level::Scalar(0.35)));
    assert!(one.iter().zip(soft).all(|(a, b)| (a - b).abs() < 1e-12), "{one:?}");
    // Four atoms at two positions: groups are of atoms, not of positions.
    let v = Tensor::<3>::from_data([[[3.0, 0.1], [4.0, 0.1], [0.0, 6.0], [0.1, 8.0]]], options);
    let z = values(proximal("group:2").apply(v, &Level::Scalar(5.0)));
    let expected = [0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 4.0];
    assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-12), "{z:?}");
}

#[test]
fn settings_of_operators_are_checked() {
    for (name, word) in WRONG {
        let config = PudleConfig::new(dense(4, 10)).with_prox(proximal(name));
        let Err(ConfigError::Range(error)) = config.validate() else { panic!("{name} is valid") };
        assert!(error.to_string().contains(word), "{error}");
    }
}

const WRONG: [(&str, &str); 2] = [("top-k:11", "between 1 and 10"), ("group:4", "divides 10")];

/// `λ` of each layer, as the formulas of the schedules say.
#[test]
fn schedules_have_their_formulas() {
    for (schedule, expected) in schedules() {
        schedule_is(schedule, &expected);
    }
}

fn schedule_is(schedule: ThresholdConfig, expected: &[f64]) {
    let config = PudleConfig::new(dense(3, 4)).with_threshold(schedule).with_layers(expected.len());
    config.validate().unwrap();
    let model: Pudle<2, DenseDictionary> = model(&config, 1, &Device::flex());
    for (t, expected) in expected.iter().enumerate() {
        let lambda = match model.threshold().lambda(t, &Noise::Unknown) {
            Level::Scalar(lambda) => vec![lambda],
            Level::PerAtom(lambda) => values(lambda),
        };
        assert!(lambda.iter().all(|l| (l - expected).abs() < 1e-12), "layer {t}: {lambda:?}");
    }
    let varies = expected.windows(2).any(|pair| pair[0] != pair[1]);
    assert!(!varies || schedule.varies_over_layers(), "the fused pass needs every layer's λ");
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<PudleConfig>(&text).unwrap(), config, "{text}");
}

fn schedules() -> Vec<(ThresholdConfig, Vec<f64>)> {
    vec![
        (ThresholdConfig::constant(0.2), vec![0.2; 3]),
        (ThresholdConfig::decaying(0.4, 0.5), vec![0.4, 0.2, 0.1]),
        (
            ThresholdConfig::Continuation(Continuation { lambda: 0.15, first: 0.4, beta: 0.5 }),
            vec![0.4, 0.2, 0.15, 0.15],
        ),
        (ThresholdConfig::learned(0.3), vec![0.3; 3]),
    ]
}

/// Layers whose analysis is longer than the dictionary would diverge from the start.
#[test]
fn banks_of_their_own_start_as_the_dictionary() {
    use burn::tensor::Device;
    use pudle_core::{AnyPudle, ConvConfig, PudleConfig, WeightTying};
    let filters = ConvConfig { atoms: 5, channels: 1, size: 4, stride: 2 };
    let config = PudleConfig { tying: WeightTying::Untied, ..PudleConfig::conv2d(filters) };
    let model = AnyPudle::new(&config, 3, &Device::flex()).unwrap();
    for path in ["analysis.atoms", "decoder.atoms"] {
        assert_eq!(model.weight(path).unwrap().to_vec(), model.atoms(), "{path}");
    }
    let norm: f32 = model.atoms()[..16].iter().map(|value| value * value).sum();
    assert!((norm - 1.0).abs() < 1e-5);
}
