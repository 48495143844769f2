//! Settings in files, and their ranges.

use super::*;

fn config() -> PudleConfig {
    PudleConfig::conv2d(ConvConfig { atoms: 4, channels: 1, size: 5, stride: 2 })
}

#[test]
fn toml_round_trip_is_the_same_configuration() {
    for config in [
        config().with_step(0.1).with_gradient(GradientEstimator::truncated(3)),
        PudleConfig::dense(DenseConfig { dim: 3, atoms: 4 })
            .with_threshold(ThresholdConfig::decaying(0.2, 0.9)),
        config().with_threshold(ThresholdConfig::learned(0.0)),
    ] {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<PudleConfig>(&text).unwrap(), config, "{text}");
    }
}

#[test]
fn unknown_keys_are_refused() {
    for text in [
        "lamda = 1.0\ndictionary = { kind = \"dense\", dim = 2, atoms = 2 }",
        "dictionary = { kind = \"dense\", dim = 2, atoms = 2, stride = 1 }",
        "threshold = { kind = \"constant\", lambda = 1.0, beta = 0.5 }\n\
         dictionary = { kind = \"dense\", dim = 2, atoms = 2 }",
    ] {
        assert!(toml::from_str::<PudleConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn each_error_names_field_value_and_range() {
    let cases: [(PudleConfig, &str, &str); 14] = [
        (config().with_kernels(Kernels::Composed).with_recompute(true), "model.recompute", "true"),
        (
            PudleConfig::dense(DenseConfig { dim: 3, atoms: 4 }).with_kernels(Kernels::Half),
            "model.kernels",
            "half",
        ),
        (config().with_layers(0), "model.layers", "0"),
        (config().with_step(0.0), "model.step", "0"),
        (config().with_step(f64::NAN), "model.step", "NaN"),
        (config().with_lambda(-1.0), "model.threshold.lambda", "-1"),
        (config().with_lambda(f64::NAN), "model.threshold.lambda", "NaN"),
        (
            config().with_threshold(ThresholdConfig::decaying(0.1, 1.5)),
            "model.threshold.beta",
            "1.5",
        ),
        (
            config().with_gradient(GradientEstimator::truncated(16)),
            "model.gradient",
            "truncated:16",
        ),
        (
            config()
                .with_threshold(ThresholdConfig::learned(0.1))
                .with_gradient(GradientEstimator::DEC),
            "model.threshold.kind",
            "learned",
        ),
        (
            config().with_threshold(ThresholdConfig::learned(0.1)).with_prox(Proximal::Hard),
            "model.threshold.kind",
            "learned",
        ),
        (
            PudleConfig::conv2d(ConvConfig { atoms: 4, channels: 1, size: 5, stride: 6 }),
            "model.dictionary.stride",
            "6",
        ),
        (PudleConfig::dense(DenseConfig { dim: 0, atoms: 4 }), "model.dictionary.dim", "0"),
        (
            PudleConfig::dense(DenseConfig { dim: usize::MAX, atoms: 4 }),
            "model.dictionary",
            "18446744073709551615",
        ),
    ];
    for (config, field, value) in cases {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(field) && message.contains(value), "{message}");
        assert!(message.contains("must be"), "{message}");
    }
    config().validate().unwrap();
}
