use super::*;
use pudle_core::{ConvConfig, DenseConfig};

use crate::amplitude::{Amplitude, SignRule};
use crate::noise::Sigma;
use crate::noise_kinds::NoiseKinds;

const DENSE: DictionaryConfig = DictionaryConfig::Dense(DenseConfig { dim: 784, atoms: 9 });

fn filters(channels: usize) -> ConvConfig {
    ConvConfig { atoms: 3, channels, size: 5, stride: 2 }
}

fn images(channels: usize) -> DictionaryConfig {
    DictionaryConfig::Conv2d(filters(channels))
}

fn signals() -> DictionaryConfig {
    DictionaryConfig::Conv1d(filters(2))
}

fn draws(length: Option<usize>) -> SparseCodingSettings {
    let amplitude = Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerDatum };
    SparseCodingSettings { sparsity: 4, count: 20, length, amplitude, noise: 0.5 }
}

/// Each source as files have it, and with all keys.
fn examples() -> Vec<(DataConfig, &'static str)> {
    let photographs = PhotographSettings::new("some/dir", 33, Sigma::At(25.0));
    let leaves = DeadLeavesSettings { count: 7, ..DeadLeavesSettings::new(33, Sigma::At(5.5)) };
    vec![
        (
            DataConfig::Photographs(photographs.clone()),
            "kind = \"photographs\"\ndir = \"some/dir\"\ncrop = 33\nsigma = 25.0\nflips = true\n",
        ),
        (
            DataConfig::Photographs(PhotographSettings {
                valid: Some("other".into()),
                sigma: Sigma::Between([5.0, 55.0]),
                flips: false,
                cached_images: Some(3),
                ..photographs
            }),
            "kind = \"photographs\"\ndir = \"some/dir\"\nvalid = \"other\"\ncrop = 33\n\
             sigma = [5.0, 55.0]\nflips = false\ncached_images = 3\n",
        ),
        (
            DataConfig::DeadLeaves(leaves.clone()),
            "kind = \"dead-leaves\"\nside = 180\ncount = 7\ncrop = 33\nsigma = 5.5\nflips = true\n",
        ),
        (
            DataConfig::DeadLeaves(DeadLeavesSettings {
                noise: Some(NoiseKinds { correlated: 0.5, jpeg: 0.25, ..NoiseKinds::default() }),
                ..leaves.clone()
            }),
            "kind = \"dead-leaves\"\nside = 180\ncount = 7\ncrop = 33\nsigma = 5.5\nflips = true\n\n\
             [noise]\nwhite = 1.0\npoisson-gaussian = 0.0\ncorrelated = 0.5\ndemosaiced = 0.0\n\
             read = [0.0, 1.0]\nblur = [0.25, 1.0]\nclipped = 0.0\njpeg = 0.25\nquality = [60, 95]\n",
        ),
        (
            DataConfig::DeadLeaves(DeadLeavesSettings { cached_images: Some(0), ..leaves }),
            "kind = \"dead-leaves\"\nside = 180\ncount = 7\ncrop = 33\nsigma = 5.5\nflips = true\n\
             cached_images = 0\n",
        ),
        (
            DataConfig::SparseCoding(draws(None)),
            "kind = \"sparse-coding\"\nsparsity = 4\ncount = 20\nnoise = 0.5\n\n[amplitude]\n\
             kind = \"uniform\"\nlow = 1.0\nhigh = 2.0\nsign_per_datum = true\n",
        ),
        (
            DataConfig::SparseCoding(SparseCodingSettings {
                amplitude: Amplitude::Gaussian { mean: 5.0, sd: 1.0 },
                ..draws(Some(17))
            }),
            "kind = \"sparse-coding\"\nsparsity = 4\ncount = 20\nlength = 17\nnoise = 0.5\n\n\
             [amplitude]\nkind = \"gaussian\"\nmean = 5.0\nsd = 1.0\n",
        ),
        (
            DataConfig::Digits(DigitSettings {
                path: "mnist".into(),
                classes: vec![1, 7],
                without: vec![],
            }),
            "kind = \"digits\"\npath = \"mnist\"\nclasses = [1, 7]\n",
        ),
        (
            DataConfig::Strokes(StrokeSettings {
                without: vec![3],
                ..StrokeSettings::new(50, [0, 9])
            }),
            "kind = \"strokes\"\ncount = 50\nclasses = [0, 9]\nwithout = [3]\n",
        ),
    ]
}

#[test]
fn settings_round_trip_through_toml() {
    for (config, text) in examples() {
        assert_eq!(toml::to_string(&config).unwrap(), text);
        assert_eq!(toml::from_str::<DataConfig>(text).unwrap(), config);
        config.validate().unwrap();
        assert!(text.contains(&format!("kind = \"{}\"", config.kind())), "{}", config.kind());
        let unknown = format!("colour = 1\n{text}");
        let error = toml::from_str::<DataConfig>(&unknown).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
    // Whole numbers stand for real ones.
    let text = "kind = \"dead-leaves\"\nside = 40\ncount = 1\ncrop = 9\nsigma = 25\nflips = true";
    let DataConfig::DeadLeaves(leaves) = toml::from_str(text).unwrap() else { panic!("{text}") };
    assert_eq!(leaves.sigma, Sigma::At(25.0));
}

#[test]
fn each_source_fits_its_kind_of_dictionary() {
    let all = [DENSE, signals(), images(1), images(2), images(3)];
    for (config, _) in examples() {
        let fitting = match &config {
            DataConfig::Photographs(_) | DataConfig::DeadLeaves(_) => vec![images(1), images(3)],
            DataConfig::SparseCoding(draws) if draws.length.is_some() => vec![signals()],
            _ => vec![DENSE],
        };
        for dictionary in all {
            let fits = config.fits(&dictionary);
            assert_eq!(fits.is_ok(), fitting.contains(&dictionary), "{config:?}: {fits:?}");
            let Err(error) = fits else { continue };
            let known = ["model.dictionary.kind", "model.dictionary.channels", "data.length"];
            assert!(known.contains(&&*error.field), "{error}");
        }
    }
}

#[test]
fn values_per_datum_are_those_of_a_batch() {
    let small = DictionaryConfig::Dense(DenseConfig { dim: 11, atoms: 20 });
    let dead_leaves = |side| {
        let settings = DeadLeavesSettings::new(9, Sigma::At(25.0));
        DataConfig::DeadLeaves(DeadLeavesSettings { side, count: 4, ..settings })
    };
    for (config, dictionary, shape) in [
        (dead_leaves(16), images(1), vec![3, 1, 9, 9]),
        (dead_leaves(16), images(3), vec![3, 3, 9, 9]),
        (DataConfig::SparseCoding(draws(None)), small, vec![3, 11]),
        (DataConfig::SparseCoding(draws(Some(17))), signals(), vec![3, 2, 17]),
        (DataConfig::Strokes(StrokeSettings::new(10, [3])), DENSE, vec![3, 784]),
    ] {
        let opened = config
            .open(&OpenOptions { dictionary, batch: 3, seed: 1, normalization: None })
            .unwrap();
        let batch = opened.training.batch(0).unwrap();
        assert_eq!(batch.shape, shape);
        assert_eq!(3 * config.values_per_datum(&dictionary), batch.input.len());
        assert_eq!(config.has_dictionary(), opened.dictionary.is_some());
        if let Some(known) = opened.dictionary {
            assert_eq!(known.shape(), dictionary.shape());
        }
        if let Some(validation) = opened.validation {
            for step in 0..validation.batches {
                let batch = validation.source.batch(step).unwrap();
                assert_eq!(batch.shape.len(), shape.len());
            }
        }
    }
}

#[test]
fn pictures_are_read_for_the_dictionary_and_validated_whole() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..3 {
        let image = crate::Image::from_fn(3, 12, 14, |c, y, x| (c + x + y + i) as f32 / 30.0);
        image.write(&dir.path().join(format!("{i}.png"))).unwrap();
    }
    let mut config = DataConfig::DeadLeaves(DeadLeavesSettings::new(9, Sigma::At(25.0)));
    assert!(config.set_validation_folder("x".into()).is_err());
    config.set_folder(dir.path().into()).unwrap();
    config.set_validation_folder(dir.path().into()).unwrap();
    *config.cached_images_mut().unwrap() = Some(1);
    for channels in [1, 3] {
        let options =
            OpenOptions { dictionary: images(channels), batch: 2, seed: 1, normalization: None };
        let opened = config.open(&options).unwrap();
        assert_eq!(opened.training.batch(0).unwrap().shape, [2, channels, 9, 9]);
        let validation = opened.validation.unwrap();
        assert_eq!(validation.batches, 3);
        assert_eq!(validation.source.batch(2).unwrap().shape, [1, channels, 12, 14]);
    }
}

#[test]
fn four_fifths_of_the_digits_are_trained_on() {
    let mut config = DataConfig::Strokes(StrokeSettings::new(50, [0, 1]));
    let open = |config: &DataConfig| {
        config.open(&OpenOptions { dictionary: DENSE, batch: 8, seed: 3, normalization: None })
    };
    let whole = open(&config).unwrap();
    let digits = whole.digits.unwrap();
    assert_eq!((digits.trained, digits.digits.len()), (0..40, 50));
    assert_eq!(whole.validation.unwrap().batches, 1);

    config.set_without((0..20).collect()).unwrap();
    assert_eq!(config.without().len(), 20);
    let half = open(&config).unwrap();
    let counts = |opened: &Opened| -> usize {
        (0..5).map(|step| opened.training.batch(step).unwrap().shape[0]).sum()
    };
    assert_eq!(counts(&half), 20, "a pass over 40 digits without 20");
    config.set_without(vec![40]).unwrap();
    let error = open(&config).err().unwrap().to_string();
    assert!(error.contains("`data.without` is 40") && error.contains("below 40"), "{error}");

    let other = DictionaryConfig::Dense(DenseConfig { dim: 100, atoms: 9 });
    let error = config.fits(&other).unwrap_err().to_string();
    assert!(error.contains("model.dictionary.dim") && error.contains("784"), "{error}");
}

#[test]
fn signals_need_a_length_that_filters_cover() {
    let signals =
        |length, sparsity| SparseCodingSettings { sparsity, ..draws(length) }.fits(&signals());
    // Seven positions of three filters.
    signals(Some(17), 21).unwrap();
    for (length, sparsity, field) in [
        (None, 4, "data.length"),
        (Some(4), 1, "data.length"),
        (Some(18), 4, "data.length"),
        (Some(17), 22, "data.sparsity"),
    ] {
        assert_eq!(signals(length, sparsity).unwrap_err().field, field);
    }
    let error = draws(Some(17)).fits(&DENSE).unwrap_err();
    assert_eq!(error.field, "data.length");
}

#[test]
fn settings_out_of_range_are_named() {
    let leaves = DeadLeavesSettings::new(33, Sigma::At(25.0));
    let strokes = StrokeSettings::new(5, [1]);
    let gaussian = |mean, sd| Amplitude::Gaussian { mean, sd };
    let uniform = |low, high| Amplitude::Uniform { low, high, sign: SignRule::PerEntry };
    for (field, config) in [
        ("data.crop", DataConfig::Photographs(PhotographSettings::new("x", 0, Sigma::At(1.0)))),
        ("data.sigma", DataConfig::Photographs(PhotographSettings::new("x", 9, Sigma::At(256.0)))),
        (
            "data.sigma",
            DataConfig::DeadLeaves(DeadLeavesSettings {
                sigma: Sigma::Between([20.0, 10.0]),
                ..leaves.clone()
            }),
        ),
        ("data.side", DataConfig::DeadLeaves(DeadLeavesSettings { side: 32, ..leaves.clone() })),
        (
            "data.noise.jpeg",
            DataConfig::DeadLeaves(DeadLeavesSettings {
                noise: Some(NoiseKinds { jpeg: 2.0, ..NoiseKinds::default() }),
                ..leaves.clone()
            }),
        ),
        ("data.count", DataConfig::DeadLeaves(DeadLeavesSettings { count: 0, ..leaves.clone() })),
        ("data.crop", DataConfig::DeadLeaves(DeadLeavesSettings { crop: 4097, ..leaves })),
        (
            "data.sparsity",
            DataConfig::SparseCoding(SparseCodingSettings { sparsity: 0, ..draws(None) }),
        ),
        ("data.count", DataConfig::SparseCoding(SparseCodingSettings { count: 0, ..draws(None) })),
        (
            "data.noise",
            DataConfig::SparseCoding(SparseCodingSettings { noise: -1.0, ..draws(None) }),
        ),
        (
            "data.amplitude.low",
            DataConfig::SparseCoding(SparseCodingSettings {
                amplitude: uniform(3.0, 2.0),
                ..draws(None)
            }),
        ),
        (
            "data.amplitude.sd",
            DataConfig::SparseCoding(SparseCodingSettings {
                amplitude: gaussian(0.0, 0.0),
                ..draws(None)
            }),
        ),
        (
            "data.classes",
            DataConfig::Strokes(StrokeSettings { classes: vec![], ..strokes.clone() }),
        ),
        (
            "data.classes",
            DataConfig::Strokes(StrokeSettings { classes: vec![10], ..strokes.clone() }),
        ),
        ("data.count", DataConfig::Strokes(StrokeSettings { count: 10_000_001, ..strokes })),
    ] {
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn a_folder_replaces_draws_of_the_same_kind() {
    let mut strokes = DataConfig::Strokes(StrokeSettings::new(5, [1, 2]));
    strokes.set_folder("mnist".into()).unwrap();
    let DataConfig::Digits(digits) = &mut strokes else { panic!("{strokes:?}") };
    assert_eq!((digits.path.to_str(), &digits.classes[..]), (Some("mnist"), &[1, 2][..]));
    strokes.set_folder("other".into()).unwrap();
    assert!(matches!(&strokes, DataConfig::Digits(digits) if digits.path.ends_with("other")));
    let mut draws = DataConfig::SparseCoding(draws(None));
    for error in [
        draws.set_folder("x".into()).unwrap_err(),
        draws.set_validation_folder("x".into()).unwrap_err(),
        draws.set_without(vec![1]).unwrap_err(),
    ] {
        assert_eq!((&*error.field, &*error.value), ("data.kind", "sparse-coding"), "{error}");
    }
    assert!(draws.cached_images_mut().is_none());
}
