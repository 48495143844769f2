//! Settings and checkpoints of random models survive a round trip through their files.

use std::path::Path;

use burn::tensor::Device;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pudle_core::{
    Algorithm, AnyPudle, Backend, Continuation, ConvConfig, DenseConfig, DictionaryConfig, Kernels,
    Learned, Proximal, PudleConfig, Step, ThresholdConfig, WeightTying,
};
use pudle_data::{
    DataConfig, DeadLeavesSettings, DigitSettings, MatrixSettings, Missing, NoiseKinds,
    Normalization, Normalize, PhotographSettings, Sigma, StrokeSettings,
};
use pudle_train::{
    Checkpoint, Initialization, LearningRateSchedule, RunConfig, TrainingConfig, UpdateRule,
    Versions,
};

/// Runs `property` on draws of `strategy` until it has held `cases` times.
fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        max_global_rejects: 100 * cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(&strategy, property).unwrap();
}

fn dictionaries() -> impl Strategy<Value = DictionaryConfig> {
    let size = (1..9usize).prop_flat_map(|size| (Just(size), 1..=size));
    (0..3usize, 1..9usize, prop::sample::select(vec![1, 3usize]), size).prop_map(
        |(kind, atoms, channels, (size, stride))| match kind {
            0 => DictionaryConfig::Dense(DenseConfig { dim: channels * size, atoms }),
            1 => DictionaryConfig::Conv1d(ConvConfig { atoms, channels, size, stride }),
            _ => DictionaryConfig::Conv2d(ConvConfig { atoms, channels, size, stride }),
        },
    )
}

fn thresholds() -> impl Strategy<Value = ThresholdConfig> {
    let numbers = (0.0..1e3f64, 0.0..1e3f64, 0.01..1.0f64);
    let sigma = prop::option::of(1e-3..255.0f64);
    (0..4usize, numbers, sigma, any::<bool>(), any::<bool>()).prop_map(
        |(kind, (lambda, first, beta), sigma, per_layer, signed)| match kind {
            0 => ThresholdConfig::constant(lambda),
            1 => ThresholdConfig::decaying(lambda, beta),
            2 => ThresholdConfig::Continuation(Continuation { lambda, first, beta }),
            _ => ThresholdConfig::Learned(Learned { lambda, per_layer, sigma, signed }),
        },
    )
}

fn models() -> impl Strategy<Value = PudleConfig> {
    let words = (
        prop::sample::select(vec!["soft", "relu", "hard", "top-k:2", "group:2", "group:1"]),
        prop::sample::select(vec![
            "ae-ls",
            "dec",
            "ae-lasso",
            "implicit",
            "truncated:2",
            "lasso/last:1",
        ]),
        prop::sample::select(vec![Algorithm::Ista, Algorithm::Fista]),
        prop::sample::select(vec![
            WeightTying::Tied,
            WeightTying::Gain,
            WeightTying::Decoder,
            WeightTying::Untied,
        ]),
        prop::sample::select(vec![Kernels::Auto, Kernels::Fused, Kernels::Composed]),
    );
    let step = prop_oneof![
        Just(Step::Auto),
        (1e-9..1e3f64).prop_map(Step::Given),
        (1e-9..1e3f64).prop_map(Step::Learned),
    ];
    let numbers = (1..200usize, step, -10.0..10.0f64, any::<(bool, bool)>());
    let observations =
        prop::sample::select(vec!["gaussian", "gaussian", "binomial:3", "poisson:2.5"]);
    (dictionaries(), thresholds(), words, numbers, observations).prop_map(
        |(dictionary, threshold, words, numbers, observation)| {
            let (layers, step, offset, (recompute, nonnegative)) = numbers;
            let (prox, gradient, algorithm, tying, kernels) = words;
            let prox: Proximal = prox.parse().unwrap();
            let gradient = gradient.parse().unwrap();
            PudleConfig {
                layers,
                step,
                prox,
                algorithm,
                gradient,
                threshold,
                tying,
                offset,
                kernels,
                recompute,
                nonnegative,
                observation: observation.parse().unwrap(),
                baseline: false,
                shared: false,
                rank_one: false,
                dictionary,
            }
        },
    )
}

fn sigmas() -> impl Strategy<Value = Sigma> {
    prop_oneof![
        (0.0..255.0f32).prop_map(Sigma::At),
        (0.0..50.0f32, 50.0..255.0f32).prop_map(|(low, high)| Sigma::Between([low, high])),
    ]
}

fn noises() -> impl Strategy<Value = Option<NoiseKinds>> {
    let kinds = (0.1..10.0f32, 0.0..1e6f32, 0.0..1.0f32, 1..60u8, 60..=100u8).prop_map(
        |(white, poisson_gaussian, clipped, low, high)| NoiseKinds {
            white,
            poisson_gaussian,
            clipped,
            quality: [low, high],
            ..NoiseKinds::default()
        },
    );
    prop::option::of(kinds)
}

/// A name with whatever a folder can be called.
fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9 ._\"'\\\\#=äß中-]{1,12}", "\\PC{1,8}"]
}

/// Data that fit the dictionary, more often than not.
fn data_for(dictionary: DictionaryConfig) -> impl Strategy<Value = DataConfig> {
    let (size, stride) = match dictionary {
        DictionaryConfig::Conv2d(filters) => (filters.size, filters.stride),
        _ => (8, 1),
    };
    let numbers = (0..6usize, 0..20usize, 1..100usize, any::<bool>(), 0.0..0.9f64);
    let options = (prop::option::of(0..999usize), noises(), prop::option::of(names()));
    let classes = prop::collection::vec(0..10u8, 1..5);
    (numbers, sigmas(), options, names(), classes).prop_map(
        move |(
            (kind, more, count, flag, share),
            sigma,
            (cached_images, noise, other),
            name,
            classes,
        )| {
            let crop = size + more * stride;
            let path = Path::new(&name).to_path_buf();
            match (dictionary, kind) {
                (DictionaryConfig::Dense(_), 0) => {
                    DataConfig::Strokes(StrokeSettings { count, classes, without: vec![0, count] })
                }
                (DictionaryConfig::Dense(_), 1) => {
                    DataConfig::Digits(DigitSettings { path, classes, without: Vec::new() })
                }
                (DictionaryConfig::Dense(_), _) => DataConfig::Matrix(MatrixSettings {
                    path,
                    tensor: other,
                    columns: flag,
                    patches: (kind == 3).then_some([count, crop]),
                    normalize: [Normalize::None, Normalize::CenterScale, Normalize::Unit][kind % 3],
                    validation: share,
                    missing: if flag { Missing::Nan } else { Missing::Error },
                }),
                (_, 0..3) => DataConfig::DeadLeaves(DeadLeavesSettings {
                    side: crop + count,
                    count,
                    crop,
                    sigma,
                    flips: flag,
                    cached_images,
                    noise,
                }),
                _ => DataConfig::Photographs(PhotographSettings {
                    dir: path,
                    valid: other.map(Into::into),
                    crop,
                    sigma,
                    flips: flag,
                    cached_images,
                    recolored: share as f32,
                    drawn: if flag { 0.25 } else { 0.0 },
                    noise,
                }),
            }
        },
    )
}

fn trainings() -> impl Strategy<Value = TrainingConfig> {
    let counts =
        (1..u64::from(u32::MAX), 1..64usize, 1..9999u64, 1..99usize, 1..9999u64, 1..32usize);
    let rates = (1e-9..1.0f64, 0.0..0.999f32, 0.0..0.999f32, 1e-12..1.0f32);
    let start = prop_oneof![
        Just(Initialization::Random),
        names().prop_map(|dir| Initialization::Checkpoint { dir: dir.into() }),
    ];
    let rest = (any::<bool>(), 0..999u64, prop::option::of(1e-6..1e6f32), 1..5usize);
    (counts, rates, start, rest).prop_map(
        |(counts, (learning_rate, beta_1, beta_2, epsilon), initialization, rest)| {
            let (steps, batch, checkpoint_every, keep, valid_every, ahead) = counts;
            let (cosine, warm_up, clip, shifts) = rest;
            TrainingConfig {
                steps,
                batch,
                update: UpdateRule::Adam,
                learning_rate,
                schedule: match cosine {
                    true => LearningRateSchedule::Cosine,
                    false => LearningRateSchedule::Constant,
                },
                beta_1,
                beta_2,
                epsilon,
                initialization,
                fixed_atoms: batch % 3,
                revive: cosine,
                unused_window: valid_every,
                patience: cosine.then_some(warm_up + 1),
                stopped_at: None,
                warm_up,
                shifts,
                averaged: (shifts > 1).then_some(shifts),
                tangent: cosine,
                refit: false,
                smooth: 0.0,
                clip,
                checkpoint_every,
                keep,
                valid_every,
                ahead,
            }
        },
    )
}

fn runs() -> impl Strategy<Value = RunConfig> {
    models().prop_flat_map(|model| {
        let data = data_for(model.dictionary);
        (any::<u64>(), Just(model), data, trainings()).prop_map(|(seed, model, data, training)| {
            let (backend, versions) = (Backend::default(), Versions::default());
            RunConfig { seed: seed >> 1, backend, versions, model, data, training }
        })
    })
}

/// Valid settings are written, and what is read is the same.
#[test]
fn settings_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    check(150, runs(), |config| {
        prop_assume!(config.validate().is_ok());
        config.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read = RunConfig::parse(&text, &path);
        prop_assert_eq!(
            read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?,
            config
        );
        Ok(())
    });
}

/// A checkpoint is written and read with the same settings and the same bits of every weight.
#[test]
fn checkpoints_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::flex();
    check(
        60,
        (models(), any::<u64>(), prop::option::of(1.0..255.0f32)),
        |(config, seed, sigma)| {
            let config = config.with_kernels(Kernels::Auto).with_recompute(false);
            prop_assume!(config.validate().is_ok());
            let model = AnyPudle::new(&config, seed, &device).unwrap();
            let written = Checkpoint {
                config,
                model,
                sigma: sigma.map(Sigma::At),
                normalization: Normalization::default(),
            };
            written.write(dir.path()).unwrap();
            let read = Checkpoint::read(dir.path(), &device).unwrap();
            prop_assert_eq!(&read.config, &written.config);
            prop_assert_eq!(read.sigma, written.sigma);
            let bits = |checkpoint: &Checkpoint| -> Vec<(String, Vec<u32>)> {
                let weights = checkpoint.model.weights();
                let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
                weights.into_iter().map(|w| (w.path.clone(), bits(w.to_vec()))).collect()
            };
            prop_assert_eq!(bits(&read), bits(&written));
            Ok(())
        },
    );
}
