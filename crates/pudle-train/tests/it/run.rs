//! Runs: resumed, damaged, diverging, and what they leave behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use burn::tensor::Device;
use pudle_core::{
    AnyPudle, ConvConfig, DenseConfig, DictionaryConfig, GradientEstimator, PudleConfig,
    ThresholdConfig, WeightTying,
};
use pudle_data::{Amplitude, DeadLeavesSettings, Sigma, SignRule, SparseCodingSettings};
use pudle_train::{
    Checkpoint, DataConfig, Initialization, Interrupter, LearningRateSchedule, Outcome, RunConfig,
    TrainError, TrainingConfig, resume, train,
};

fn leaves(crop: usize) -> DeadLeavesSettings {
    let settings = DeadLeavesSettings::new(crop, Sigma::At(25.0));
    DeadLeavesSettings { side: 40, count: 5, ..settings }
}

fn draws(count: usize, noise: f32) -> SparseCodingSettings {
    let amplitude = Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry };
    SparseCodingSettings { sparsity: 2, count, length: None, amplitude, noise }
}

pub(crate) fn images(steps: u64) -> RunConfig {
    RunConfig {
        seed: 3,
        backend: Default::default(),
        versions: Default::default(),
        model: PudleConfig::conv2d(ConvConfig { atoms: 8, channels: 1, size: 5, stride: 2 })
            .with_layers(3)
            .with_step(0.1)
            .with_threshold(ThresholdConfig::learned(0.1)),
        data: DataConfig::DeadLeaves(leaves(33)),
        training: TrainingConfig {
            steps,
            batch: 2,
            checkpoint_every: 4,
            valid_every: 5,
            ..TrainingConfig::default()
        },
    }
}

pub(crate) fn vectors(steps: u64) -> RunConfig {
    RunConfig {
        model: PudleConfig::dense(DenseConfig { dim: 12, atoms: 18 }).with_step(0.2),
        data: DataConfig::SparseCoding(draws(40, 0.01)),
        training: TrainingConfig {
            batch: 10,
            initialization: Initialization::Perturbed { sd: 0.1 },
            ..images(steps).training
        },
        ..images(steps)
    }
}

pub(crate) fn signals(steps: u64) -> RunConfig {
    let filters = ConvConfig { atoms: 4, channels: 2, size: 7, stride: 2 };
    RunConfig {
        model: PudleConfig::conv1d(filters).with_layers(40).with_step(0.2).with_lambda(0.1),
        data: DataConfig::SparseCoding(SparseCodingSettings {
            sparsity: 3,
            length: Some(45),
            ..draws(200, 0.0)
        }),
        training: TrainingConfig {
            batch: 20,
            learning_rate: 3e-3,
            initialization: Initialization::Perturbed { sd: 0.05 },
            ..images(steps).training
        },
        ..images(steps)
    }
}

pub(crate) fn run(config: RunConfig, dir: &Path) -> Outcome {
    train(config, dir, Interrupter::new()).unwrap()
}

pub(crate) fn more_steps(steps: u64) -> impl FnOnce(&mut RunConfig) -> pudle_train::Result<()> {
    move |config| {
        config.training.steps = steps;
        Ok(())
    }
}

pub(crate) fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap()
}

pub(crate) fn assert_same_end(a: &Path, b: &Path) {
    for name in ["model.safetensors", "metrics.csv", "config.toml", "atoms.png"] {
        assert!(read(a, name) == read(b, name), "{name} differs");
    }
}

#[test]
fn a_resumed_run_ends_as_the_uninterrupted_one() {
    for config in [images, vectors, signals] {
        let dir = tempfile::tempdir().unwrap();
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        assert_eq!(run(config(11), &whole), Outcome::Finished);
        assert_eq!(run(config(5), &parts), Outcome::Finished);
        let stopped = read(&parts, "model.safetensors");
        assert_eq!(resume(&parts, more_steps(11), Interrupter::new()).unwrap(), Outcome::Finished);
        assert_ne!(stopped, read(&parts, "model.safetensors"));
        assert_same_end(&whole, &parts);
    }
}

#[test]
fn a_run_stopped_at_any_moment_ends_as_the_uninterrupted_one() {
    let config = || {
        let mut config = images(60);
        config.training.schedule = LearningRateSchedule::Cosine;
        config
    };
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    run(config(), &whole);
    let stop_after = |millis| {
        let interrupter = Interrupter::new();
        let handle = interrupter.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(millis));
            handle.stop(Some("test"));
        });
        interrupter
    };
    // Stops fall where they will: before the first step, at a validation, within one.
    let mut outcome = train(config(), &parts, stop_after(20)).unwrap();
    // The times grow, or a run on a busy machine would never come to its next step.
    let mut least = 30;
    while let Outcome::Stopped { step } = outcome {
        least += 5;
        assert!(step < 60);
        let checkpoint = parts.join("checkpoint").join(format!("model-{step}.bpk"));
        assert!(checkpoint.is_file(), "no checkpoint of step {step}");
        outcome = resume(&parts, |_| Ok(()), stop_after(least + step % 50)).unwrap();
    }
    assert_same_end(&whole, &parts);
}

#[test]
fn a_run_that_diverges_ends_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = images(400);
    config.model = config.model.with_step(40.0);
    let error = train(config, &dir.path().join("step"), Interrupter::new()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 2, .. }), "{error}");
    assert!(error.to_string().contains("above 1/‖D‖²"), "{error}");
}

#[test]
fn two_trainings_never_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let results: Vec<_> = std::thread::scope(|scope| {
        let start = || train(images(40), &path, Interrupter::new());
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let refused =
        |error: &TrainError| matches!(error, TrainError::RunInUse(_) | TrainError::RunExists(_));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| result.as_ref().err().is_none_or(refused)));
    let whole = dir.path().join("whole");
    run(images(40), &whole);
    assert_same_end(&whole, &path);
}

#[test]
fn a_record_tells_other_settings_and_other_data() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let save = |name: &str, seed| {
        pudle_data::scene(60, 50, seed).to_gray().write(&pictures.join(name)).unwrap();
    };
    save("a.png", 1);
    let mut config = images(6);
    let settings = pudle_data::PhotographSettings::new(&pictures, 33, Sigma::At(25.0));
    config.data = DataConfig::Photographs(settings);
    let run_dir = dir.path().join("run");
    run(config, &run_dir);
    let record = fs::read_to_string(run_dir.join("record.toml")).unwrap();
    assert!(record.contains("files = 1"), "{record}");
    // The data may be somewhere else.
    let moved = dir.path().join("moved");
    fs::rename(&pictures, &moved).unwrap();
    assert!(resume(&run_dir, more_steps(8), Interrupter::new()).is_err());
    let change = |config: &mut RunConfig| {
        config.training.steps = 8;
        Ok(config.data.set_folder(moved.clone())?)
    };
    assert_eq!(resume(&run_dir, change, Interrupter::new()).unwrap(), Outcome::Finished);
    let edited = fs::read_to_string(run_dir.join("config.toml")).unwrap();
    fs::write(run_dir.join("config.toml"), edited.replace("seed = 3", "seed = 4")).unwrap();
    let error = resume(&run_dir, more_steps(9), Interrupter::new()).unwrap_err().to_string();
    assert!(error.contains("`seed` was 3, and is 4"), "{error}");
}

#[test]
fn settings_that_do_not_fit_the_checkpoint_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(images(5), dir.path());
    let text = fs::read_to_string(dir.path().join("config.toml")).unwrap();
    for (from, to) in [("atoms = 8", "atoms = 9"), ("kind = \"learned\"", "kind = \"constant\"")] {
        assert!(text.contains(from));
        fs::write(dir.path().join("config.toml"), text.replace(from, to)).unwrap();
        let error = resume(dir.path(), more_steps(9), Interrupter::new()).unwrap_err().to_string();
        assert!(error.contains("trained with") && error.contains("model."), "{error}");
        // A run of an older version has no record; then the weights tell.
        let record = fs::read(dir.path().join("record.toml")).unwrap();
        fs::remove_file(dir.path().join("record.toml")).unwrap();
        let error = resume(dir.path(), more_steps(9), Interrupter::new()).unwrap_err().to_string();
        assert!(error.contains("model-5.bpk") && error.contains("does not fit"), "{error}");
        fs::write(dir.path().join("record.toml"), record).unwrap();
    }
    fs::write(dir.path().join("config.toml"), text).unwrap();
    let error = resume(dir.path(), more_steps(3), Interrupter::new()).unwrap_err().to_string();
    assert!(error.contains("training.steps") && error.contains("at least 5"), "{error}");
}

#[test]
fn old_checkpoints_go() {
    let dir = tempfile::tempdir().unwrap();
    run(images(20), dir.path());
    let mut names: Vec<String> = fs::read_dir(dir.path().join("checkpoint"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let sums = ["checkpoint-16.sha256", "checkpoint-20.sha256"].map(String::from);
    let parts = ["model-16", "model-20", "optim-16", "optim-20", "scheduler-16", "scheduler-20"];
    let parts = parts.map(|name| format!("{name}.bpk"));
    let usage = ["usage-16.csv", "usage-20.csv"].map(String::from);
    assert_eq!(names, sums.into_iter().chain(parts).chain(usage).collect::<Vec<_>>());
}

#[test]
fn a_finished_run_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    run(vectors(2), dir.path());
    let error = train(vectors(2), dir.path(), Interrupter::new()).unwrap_err();
    assert!(matches!(error, TrainError::RunExists(_)), "{error}");
}

#[test]
fn divergence_stops_with_the_step_and_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = vectors(50);
    config.model = config.model.with_step(100.0).with_layers(30);
    let error = train(config, dir.path(), Interrupter::new()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{text}");
    assert!(text.contains("step 1:") && text.contains("1/‖D‖²"), "{text}");
    assert!(!dir.path().join("model.safetensors").exists());
}

#[test]
fn training_recovers_the_dictionary() {
    let mut config = vectors(150);
    config.model = PudleConfig::dense(DenseConfig { dim: 40, atoms: 50 })
        .with_layers(60)
        .with_step(0.2)
        .with_lambda(0.2);
    config.data = DataConfig::SparseCoding(draws(400, 0.0));
    config.training.learning_rate = 3e-3;
    config.training.batch = 40;
    config.training.initialization = Initialization::Perturbed { sd: 0.05 };
    assert_recovered(config);
}

#[test]
fn training_recovers_filters_of_signals() {
    assert_recovered(signals(150));
}

/// Trains for 150 steps and compares the dictionary errors of the first and the last.
fn assert_recovered(config: RunConfig) {
    let dir = tempfile::tempdir().unwrap();
    run(config, dir.path());
    let metrics = String::from_utf8(read(dir.path(), "metrics.csv")).unwrap();
    let errors: Vec<f64> = metrics
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(6).unwrap().parse().unwrap())
        .collect();
    assert_eq!(errors.len(), 150);
    let (first, last) = (errors[0], errors[149]);
    assert!(last < 0.1 * first, "dictionary error from {first} to {last}");
}

#[test]
fn every_gradient_estimator_trains() {
    for gradient in ["dec", "ae-lasso", "ae-ls", "truncated:2", "implicit"] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = vectors(3);
        config.model = config.model.with_gradient(gradient.parse().unwrap());
        run(config, dir.path());
        let saved = RunConfig::read(&dir.path().join("config.toml")).unwrap();
        assert_eq!(saved.model.gradient, gradient.parse::<GradientEstimator>().unwrap());
    }
}

#[test]
fn unsuitable_settings_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let mut wrong: Vec<(RunConfig, &str)> = Vec::new();
    let mut with = |field, change: fn(&mut RunConfig)| {
        let mut config = images(2);
        change(&mut config);
        wrong.push((config, field));
    };
    with("training.steps", |config| config.training.steps = 0);
    with("training.learning_rate", |config| config.training.learning_rate = f64::NAN);
    with("training.epsilon", |config| config.training.epsilon = 0.0);
    with("training.beta_2", |config| config.training.beta_2 = 1.0);
    with("training.clip", |config| config.training.clip = Some(0.0));
    // Two drawn of the four that there are.
    with("training.averaged", |config| config.training.averaged = Some(4));
    with("training.averaged", |config| {
        (config.training.shifts, config.training.averaged) = (2, Some(5));
    });
    with("training.initialization", |config| {
        config.training.initialization = Initialization::Perturbed { sd: 0.1 };
    });
    with("data.crop", |config| {
        config.data = DataConfig::DeadLeaves(leaves(3));
    });
    with("model.dictionary.kind", |config| {
        config.model.dictionary = DictionaryConfig::Dense(DenseConfig { dim: 5, atoms: 5 });
    });
    for (config, field) in wrong {
        let error = train(config, &out, Interrupter::new()).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn a_run_can_start_from_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("first");
    run(images(6), &first);
    let read = |dir: &Path| Checkpoint::read(dir, &Device::flex()).unwrap().model;
    // A learning rate so low that nothing moves by more than rounding.
    let from = |change: fn(&mut RunConfig)| {
        let mut config = images(1);
        config.training.learning_rate = 1e-12;
        config.training.initialization = Initialization::Checkpoint { dir: first.clone() };
        change(&mut config);
        config
    };
    let same = dir.path().join("same");
    run(from(|_| ()), &same);
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    let (was, is) = (read(&first), read(&same));
    let lambda = |model: &AnyPudle| model.weight("threshold.lambda").unwrap().to_vec();
    assert!(near(&was.atoms(), &is.atoms()));
    assert!(near(&lambda(&was), &lambda(&is)));
    assert!(lambda(&was).iter().any(|lambda| (lambda - 0.1).abs() > 1e-4), "it was learned");

    // Banks of their own start from the dictionary, and thresholds that the other has, too, from its.
    let untied = dir.path().join("untied");
    run(from(|config| config.model.tying = WeightTying::Untied), &untied);
    let is = read(&untied);
    let paths: Vec<String> = is.weights().into_iter().map(|weight| weight.path).collect();
    assert!(paths.iter().any(|path| path == "analysis.atoms"), "{paths:?}");
    for weight in is.weights() {
        let of_lambda = weight.path == "threshold.lambda";
        let expected = if of_lambda { lambda(&was) } else { was.atoms() };
        assert!(near(&weight.to_vec(), &expected), "{}", weight.path);
    }

    // Grey filters start colour ones, and stay as sensitive to noise.
    let colour = dir.path().join("colour");
    run(
        from(|config| {
            let filters = ConvConfig { atoms: 10, channels: 3, size: 5, stride: 2 };
            config.model.dictionary = DictionaryConfig::Conv2d(filters);
        }),
        &colour,
    );
    let is = read(&colour);
    let (grey, atoms) = (was.atoms(), is.atoms());
    assert_eq!(is.config().dictionary.shape(), [10, 3, 5, 5]);
    for (filter, grey) in atoms.chunks(75).zip(grey.chunks(25)) {
        let spread: Vec<f32> = grey.iter().map(|value| value / 3f32.sqrt()).collect();
        assert!(filter.chunks(25).all(|channel| near(channel, &spread)));
    }
    assert!(atoms.chunks(75).all(|f| (f.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5));
    let (was_lambda, lambda) = (lambda(&was), lambda(&is));
    assert!(near(&lambda[..8], &was_lambda) && near(&lambda[8..], &[0.1, 0.1]));

    for (change, word) in [
        (
            (|config| {
                config.training.initialization = Initialization::Checkpoint { dir: "none".into() }
            }) as fn(&mut RunConfig),
            "none",
        ),
        (
            |config| {
                config.model.dictionary = DictionaryConfig::Conv2d(ConvConfig {
                    atoms: 9,
                    channels: 1,
                    size: 5,
                    stride: 2,
                })
            },
            "first",
        ),
    ] {
        let error = train(from(change), &dir.path().join("x"), Interrupter::new()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// Ten steps on another backend, on the same data from the same atoms.
#[cfg(any(feature = "ndarray", feature = "wgpu"))]
#[test]
fn other_backends_agree_with_flex() {
    use pudle_core::Backend;
    let losses = |backend| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = images(10);
        config.backend = backend;
        run(config, dir.path());
        let metrics = String::from_utf8(read(dir.path(), "metrics.csv")).unwrap();
        let rows = metrics.lines().filter(|row| row.contains(",train,"));
        rows.map(|row| row.split(',').nth(2).unwrap().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let flex = losses(Backend::Flex);
    assert_eq!(flex.len(), 10);
    let others = [Backend::Ndarray, Backend::Wgpu];
    for backend in others.into_iter().filter(|backend| backend.device().is_ok()) {
        for (a, b) in flex.iter().zip(losses(backend)) {
            assert!((a - b).abs() <= 1e-3 * a.abs(), "{backend}: {b} against {a}");
        }
    }
}
