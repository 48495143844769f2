//! Properties that hold for every model: adjoints, projections, and the descent of the objective.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pudle_core::{
    AnyPudle, Configured, ConvConfig, ConvDictionary1d, ConvDictionary2d, DenseDictionary,
    DictionaryConfig, GradientEstimator, Level, ModelVisitor, Noise, Proximal, Pudle, PudleConfig,
    StepSize, ThresholdConfig, WeightTying,
};

use crate::common::{conv1d, conv2d, dense, model, normal, scalar, tensor};

/// Runs `property` on `cases` draws of `strategy`.
fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, property).unwrap();
}

/// Filters of any number, channels, size and stride, and how many samples longer than a filter the data are.
fn filters() -> impl Strategy<Value = (ConvConfig, [usize; 2], u64)> {
    let shape = (1..6usize, 1..4usize, 1..7usize);
    let shape = shape.prop_flat_map(|(atoms, channels, size)| {
        (1..=size).prop_map(move |stride| ConvConfig { atoms, channels, size, stride })
    });
    (shape, [0..15usize, 0..15usize], any::<u64>())
}

/// `⟨D z, x⟩ = ⟨z, Dᵀ x⟩`.
fn adjoint<const D: usize, A: Configured<D>>(
    config: DictionaryConfig,
    extent: [usize; D],
    seed: u64,
) -> Result<(), TestCaseError> {
    let device = Device::flex();
    let model = model::<D, A>(&PudleConfig::new(config), seed, &device);
    let dictionary = model.dictionary();
    let shape = dictionary.code_shape(extent).expect("the data fit the atoms");
    let x: Tensor<D> = tensor(normal(&extent, seed ^ 1), &device);
    let z: Tensor<D> = tensor(normal(&shape, seed ^ 2), &device);
    let left = scalar((dictionary.synthesize(z.clone(), extent) * x.clone()).sum());
    let right = scalar((z * dictionary.analyze(x)).sum());
    prop_assert!((left - right).abs() <= 1e-11 * left.abs().max(1.0), "{left} {right}: {config:?}");
    Ok(())
}

#[test]
fn dense_dictionaries_have_their_adjoint() {
    check(100, (1..20usize, 1..20usize, any::<u64>()), |(m, p, seed)| {
        adjoint::<2, DenseDictionary>(dense(m, p), [3, m], seed)
    });
}

#[test]
fn filters_along_signals_have_their_adjoint() {
    check(150, filters(), |(ConvConfig { atoms, channels, size, stride }, [more, _], seed)| {
        let config = conv1d(atoms, channels, size, stride);
        adjoint::<3, ConvDictionary1d>(config, [2, channels, size + more], seed)
    });
}

#[test]
fn filters_over_images_have_their_adjoint() {
    check(
        150,
        filters(),
        |(ConvConfig { atoms, channels, size, stride }, [down, across], seed)| {
            let config = conv2d(atoms, channels, size, stride);
            let extent = [2, channels, size + down, size + across];
            adjoint::<4, ConvDictionary2d>(config, extent, seed)
        },
    );
}

/// A model of any kind that learns as many kinds of weights as it can.
fn models() -> impl Strategy<Value = (PudleConfig, u64)> {
    let kind = (0..3usize, 0..4usize, any::<bool>(), any::<bool>());
    (filters(), kind).prop_map(|((filters, _, seed), (kind, tying, learned, per_layer))| {
        let ConvConfig { atoms, channels, size, stride } = filters;
        let dictionary = match kind {
            0 => dense(channels * size, atoms),
            1 => conv1d(atoms, channels, size, stride),
            _ => conv2d(atoms, channels, size, stride),
        };
        let mut config = PudleConfig::new(dictionary)
            .with_layers(3)
            .with_gradient(GradientEstimator::AE_LS)
            .with_learned_step(0.1);
        config.tying =
            [WeightTying::Tied, WeightTying::Gain, WeightTying::Decoder, WeightTying::Untied]
                [tying];
        if let (true, ThresholdConfig::Learned(mut schedule)) =
            (learned, ThresholdConfig::learned(0.2))
        {
            schedule.per_layer = per_layer;
            config.threshold = ThresholdConfig::Learned(schedule);
        }
        (config, seed)
    })
}

/// Projects the model whose atoms are `N(0, 1)` draws, and other weights their magnitudes, once and twice.
struct ProjectTwice(u64);

impl ModelVisitor for ProjectTwice {
    type Output = [Vec<(String, Vec<f32>)>; 2];

    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        _: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output {
        let model = model.expect("there is a model");
        let drawn = model.weights().into_iter().enumerate().map(|(k, weight)| {
            let shape = weight.values.shape().to_vec();
            let values = normal(&shape, self.0.wrapping_add(k as u64)).convert::<f32>();
            let mut values = values.try_to_vec::<f32>().unwrap();
            // A step size, a gain or a threshold below zero is refused, not projected.
            if !weight.path.ends_with("atoms") {
                values.iter_mut().for_each(|value| *value = value.abs() + 1e-3);
            }
            (weight.path, TensorData::new(values, shape))
        });
        let once = model.clone().with_weights(drawn.collect::<Vec<_>>()).unwrap().project();
        let list = |model: &Pudle<D, A>| {
            model.weights().into_iter().map(|weight| (weight.path.clone(), weight.to_vec()))
        };
        let first = list(&once).collect();
        [first, list(&once.project()).collect()]
    }
}

/// What is in the constraints' set stays where it is. The set is kept up to the last bits of a norm.
#[test]
fn projection_is_idempotent() {
    check(100, models(), |(config, seed)| {
        config.validate().unwrap();
        let model = AnyPudle::new(&config, seed, &Device::flex()).unwrap();
        let [once, twice] = model.visit(ProjectTwice(seed));
        for ((path, first), (_, second)) in once.iter().zip(&twice) {
            let moved = first.iter().zip(second).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(moved <= 3e-7, "{path} moves by {moved}: {config:?}");
        }
        let (_, atoms) = once.iter().find(|(path, _)| path == "dictionary.atoms").unwrap();
        let energy: f32 = atoms.iter().map(|value| value * value).sum();
        let count = config.dictionary.atoms() as f32;
        prop_assert!((energy / count - 1.0).abs() < 1e-4, "{energy} for {count} atoms");
        Ok(())
    });
}

/// `‖D‖²` as the largest eigenvalue of `Dᵀ D`, by more iterations of the power method than the model's own estimate has.
fn squared_norm<const D: usize, A: Configured<D>>(
    dictionary: &A,
    extent: [usize; D],
    seed: u64,
) -> f64 {
    let shape = dictionary.code_shape(extent).unwrap();
    let mut z: Tensor<D> = tensor(normal(&shape, seed), &Device::flex());
    let mut norm = 0.0;
    for _ in 0..300 {
        z = dictionary.analyze(dictionary.synthesize(z, extent));
        norm = scalar(z.clone().square().sum()).sqrt();
        z = z / norm;
    }
    norm
}

/// The largest `½‖x − D z‖² + λ‖z‖₁` of a layer less that of the layer before, over the first one's value.
fn rise<const D: usize, A: Configured<D>>(
    config: DictionaryConfig,
    extent: [usize; D],
    (lambda, share, seed): (f64, f64, u64),
) -> f64 {
    let device = Device::flex();
    let plain = model::<D, A>(&PudleConfig::new(config), seed, &device);
    let alpha = share / squared_norm(plain.dictionary(), extent, seed ^ 3);
    let config = PudleConfig::new(config).with_layers(20).with_lambda(lambda).with_step(alpha);
    let model = model::<D, A>(&config, seed, &device);
    let x: Tensor<D> = tensor(normal(&extent, seed ^ 4), &device);
    let (level, step) = (Level::Scalar(lambda), StepSize::Given(alpha));
    let value = |z: Tensor<D>| {
        let residual = model.decode(z.clone(), extent) - x.clone();
        scalar(residual.square().sum()) / 2.0 + scalar(Proximal::Soft.penalty(z, &level, &step))
    };
    let values: Vec<f64> =
        model.encode_layers(x.clone(), &Noise::Unknown).into_iter().map(value).collect();
    let highest = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MIN, f64::max);
    highest / values[0]
}

/// The lasso objective never rises under ISTA with `α ≤ 1/‖D‖²` (Beck & Teboulle, 2009, lemma 2.3).
#[test]
fn the_lasso_objective_never_rises() {
    let draws = (filters(), 0..3usize, 0.0..1.0f64, 0.05..0.999f64);
    check(80, draws, |((filters, [down, across], seed), kind, lambda, share)| {
        let ConvConfig { atoms, channels, size, stride } = filters;
        let numbers = (lambda, share, seed);
        let rise = match kind {
            0 => rise::<2, DenseDictionary>(dense(size, atoms), [2, size], numbers),
            1 => rise::<3, ConvDictionary1d>(
                conv1d(atoms, channels, size, stride),
                [1, channels, size + down],
                numbers,
            ),
            _ => rise::<4, ConvDictionary2d>(
                conv2d(atoms, channels, size, stride),
                [1, channels, size + down, size + across],
                numbers,
            ),
        };
        prop_assert!(rise <= 1e-12, "the objective rises by {rise} of its value: {filters:?}");
        Ok(())
    });
}
