//! Where atoms start, what they may become, and what happens to those that are not used.

use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use pudle_core::{
    Backend, ConvConfig, DenseConfig, GradientEstimator, Kernels, Noise, Proximal, PudleConfig,
    ThresholdConfig, WeightTying,
};
use pudle_data::{
    Amplitude, DeadLeavesSettings, MatrixSettings, Missing, Sigma, SignRule, SparseCodingSettings,
};
use pudle_train::{
    Checkpoint, DataConfig, Initialization, Interrupter, LearningRateSchedule, Outcome, RunConfig,
    TrainingConfig, UpdateRule, resume, train,
};
use safetensors::tensor::{Dtype, TensorView};

fn vectors(steps: u64) -> RunConfig {
    let amplitude = Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry };
    RunConfig {
        seed: 3,
        backend: Backend::default(),
        versions: Default::default(),
        model: PudleConfig::dense(DenseConfig { dim: 12, atoms: 18 })
            .with_step(0.2)
            .with_threshold(ThresholdConfig::learned(0.1))
            .with_tying(WeightTying::Gain),
        data: DataConfig::SparseCoding(SparseCodingSettings {
            sparsity: 2,
            count: 200,
            length: None,
            amplitude,
            noise: 0.01,
        }),
        training: TrainingConfig {
            steps,
            batch: 20,
            checkpoint_every: 7,
            valid_every: 1000,
            unused_window: 5,
            learning_rate: 0.01,
            ..TrainingConfig::default()
        },
    }
}

/// A run of online dictionary learning.
fn online(steps: u64) -> RunConfig {
    let mut config = vectors(steps);
    config.model = PudleConfig::dense(DenseConfig { dim: 12, atoms: 18 })
        .with_gradient(GradientEstimator::DEC)
        .with_prox("top-k:2".parse().unwrap());
    config.training.update = UpdateRule::Online;
    config
}

fn filters(steps: u64) -> RunConfig {
    let leaves = DeadLeavesSettings::new(33, Sigma::At(25.0));
    RunConfig {
        model: PudleConfig::conv2d(ConvConfig { atoms: 8, channels: 1, size: 5, stride: 2 })
            .with_layers(3)
            .with_step(0.1)
            .with_lambda(0.1)
            .with_offset(0.5),
        data: DataConfig::DeadLeaves(DeadLeavesSettings { side: 40, count: 5, ..leaves }),
        training: TrainingConfig { batch: 2, ..vectors(steps).training },
        ..vectors(steps)
    }
}

/// The same run from a file in which all atoms but three are zero, so that no datum uses them.
fn useless(mut config: RunConfig, dir: &Path) -> RunConfig {
    let shape = config.model.dictionary.shape();
    let value = |i: usize| {
        let atom = if shape.len() == 2 { i % shape[1] } else { i / (shape[2] * shape[3]) };
        if atom < 3 { (i as f32 * 0.7).sin() } else { 0.0 }
    };
    let bytes: Vec<u8> = (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.clone(), &bytes).unwrap();
    let path = dir.join("useless.safetensors");
    fs::write(&path, safetensors::serialize([("D", view)], None).unwrap()).unwrap();
    config.training.initialization = Initialization::File { path, tensor: None };
    config
}

fn run(config: &RunConfig, dir: &Path) -> Checkpoint {
    assert_eq!(train(config.clone(), dir, Interrupter::new()).unwrap(), Outcome::Finished);
    Checkpoint::read(dir, &Backend::default().device().unwrap()).unwrap()
}

/// The column of the metrics.
fn column(dir: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(dir.join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at = lines.next().unwrap().iter().position(|column| *column == name).unwrap();
    lines.filter(|row| row[1] == "train").map(|row| row[at].parse().unwrap()).collect()
}

/// Atoms as lists of numbers.
fn atoms(checkpoint: &Checkpoint) -> Vec<Vec<f32>> {
    let (values, shape) = (checkpoint.model.atoms(), checkpoint.config.dictionary.shape());
    match shape[..] {
        [_, p] => (0..p).map(|j| values.iter().skip(j).step_by(p).copied().collect()).collect(),
        _ => values.chunks(values.len() / shape[0]).map(<[f32]>::to_vec).collect(),
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn atoms_start_as_data_and_resume_alike() {
    let dir = tempfile::tempdir().unwrap();
    for (k, mut config) in [vectors(10), filters(10)].into_iter().enumerate() {
        config.training.initialization = Initialization::Data;
        // A tiny step leaves the atoms almost where they start.
        config.training.learning_rate = 1e-9;
        let whole = dir.path().join(format!("whole{k}"));
        let start = run(&config, &whole);
        for atom in atoms(&start) {
            assert!((norm(&atom) - 1.0).abs() < 1e-5);
        }
        match &config.data {
            DataConfig::SparseCoding(_) => {
                // Every atom is a row of the data.
                let batches = config.open_data().unwrap();
                let mut data = Vec::new();
                for step in 0..10 {
                    data.extend(
                        batches
                            .training
                            .batch(step)
                            .unwrap()
                            .target
                            .chunks(12)
                            .map(<[f32]>::to_vec),
                    );
                }
                for atom in atoms(&start) {
                    let found = data.iter().any(|datum| {
                        let norm = norm(datum) as f32;
                        atom.iter().zip(datum).all(|(a, x)| (a - x / norm).abs() < 1e-4)
                    });
                    assert!(found);
                }
            }
            _ => {
                // The offset means that patches have no mean.
                for atom in atoms(&start) {
                    assert!(atom.iter().sum::<f32>().abs() < 1e-3);
                }
            }
        }
        // Interrupted and resumed.
        let parts = dir.path().join(format!("parts{k}"));
        let mut half = config.clone();
        half.training.steps = 6;
        run(&half, &parts);
        let more = |config: &mut RunConfig| {
            config.training.steps = 10;
            Ok(())
        };
        resume(&parts, more, Interrupter::new()).unwrap();
        let weights = |dir: &Path| fs::read(dir.join("model.safetensors")).unwrap();
        assert!(weights(&whole) == weights(&parts));
        for name in ["loss", "unused"] {
            assert_eq!(column(&whole, name), column(&parts, name));
        }
    }
}

#[test]
fn unused_atoms_come_to_life_and_resumed_runs_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let top = "top-k:2".parse::<Proximal>().unwrap();
    let mut picked = vectors(60);
    picked.model = PudleConfig::dense(DenseConfig { dim: 12, atoms: 18 }).with_prox(top);
    let mut noodl = picked.clone();
    noodl.training.update = UpdateRule::Noodl;
    let runs = [vectors(60), filters(60), online(60), picked, noodl];
    for (k, config) in runs.into_iter().enumerate() {
        let mut config = useless(config, dir.path());
        let place = |name: &str| dir.path().join(format!("{name}{k}"));
        let (plain, whole, parts) = (place("plain"), place("whole"), place("parts"));
        let start = run(&config, &plain);
        let dead = atoms(&start).iter().filter(|atom| norm(atom) == 0.0).count();
        assert_eq!(dead, config.model.dictionary.atoms() - 3);
        let end = |dir: &Path, name: &str| *column(dir, name).last().unwrap();
        assert!(end(&plain, "unused") >= dead as f64);
        config.training.revive = true;
        let revived = run(&config, &whole);
        assert!(atoms(&revived).iter().all(|atom| (norm(atom) - 1.0).abs() < 1e-5));
        assert!(end(&whole, "unused") <= 1.0, "{:?}", column(&whole, "unused"));
        assert!(end(&whole, "fit") < end(&plain, "fit"));

        let stop = Interrupter::new();
        stop_at_first_checkpoint(&stop, &parts);
        train(config, &parts, stop).unwrap();
        resume(&parts, |_| Ok(()), Interrupter::new()).unwrap();
        for name in ["model.safetensors", "metrics.csv", "checkpoint/usage-60.csv"] {
            let [whole, parts] = [&whole, &parts].map(|dir| fs::read(dir.join(name)).unwrap());
            assert!(whole == parts, "{name} of {k}");
        }
    }
}

/// Asks for a stop as soon as the run has a checkpoint.
fn stop_at_first_checkpoint(stop: &Interrupter, dir: &Path) {
    let (stop, path) = (stop.clone(), dir.join("checkpoint/checkpoint-7.sha256"));
    std::thread::spawn(move || {
        for _ in 0..20_000 {
            if path.exists() {
                return stop.stop(None);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
}

#[test]
fn fixed_atoms_never_change() {
    let dir = tempfile::tempdir().unwrap();
    for (k, mut config) in [vectors(30), filters(30), online(30)].into_iter().enumerate() {
        config.training.initialization = Initialization::Data;
        config.training.clip = (config.training.update == UpdateRule::Adam).then_some(0.5);
        config.training.steps = 1;
        config.training.learning_rate = 1e-9;
        config.training.fixed_atoms = 8;
        let start = run(&config, &dir.path().join(format!("start{k}")));
        config.training.steps = 30;
        config.training.learning_rate = 0.01;
        config.training.schedule = LearningRateSchedule::Cosine;
        config.training.revive = true;
        let end = run(&config, &dir.path().join(format!("end{k}")));
        let (start, end) = (atoms(&start), atoms(&end));
        assert_eq!(start[..8], end[..8]);
        if start.len() > 8 {
            assert!(start[8..].iter().zip(&end[8..]).all(|(a, b)| a != b));
        }
        config.training.fixed_atoms = 1000;
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("training.fixed_atoms") && error.contains("1000"), "{error}");
    }
}

#[test]
fn a_file_gives_the_first_atoms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.safetensors");
    let write = |shape: Vec<usize>, value: fn(usize) -> f32| {
        let bytes: Vec<u8> =
            (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, shape, &bytes).unwrap();
        fs::write(&path, safetensors::serialize([("D", view)], None).unwrap()).unwrap();
    };
    // Five atoms of 12 numbers as rows: the known dimension decides, not the norm.
    write(vec![5, 12], |i| ((i * 37 % 11) as f32 - 5.0) * if i < 12 { 0.125 } else { 0.3 });
    let mut config = vectors(2);
    config.training.initialization = Initialization::File { path: path.clone(), tensor: None };
    config.training.fixed_atoms = 1;
    let found = atoms(&run(&config, &dir.path().join("five")));
    let first: Vec<f32> = (0..12).map(|i| ((i * 37 % 11) as f32 - 5.0) * 0.125).collect();
    assert_eq!(found[0], first, "an atom that never changes keeps its norm");
    assert!(found[1..].iter().all(|atom| (norm(atom) - 1.0).abs() < 1e-5));
    config.model.nonnegative = true;
    let error = train(config.clone(), &dir.path().join("signs"), Interrupter::new()).unwrap_err();
    assert!(error.to_string().contains("below zero"), "{error}");
    config.training.fixed_atoms = 0;
    let mut summed = online(20);
    summed.training = TrainingConfig {
        initialization: config.training.initialization.clone(),
        learning_rate: 1.0,
        ..summed.training
    };
    summed.model.nonnegative = true;
    for (name, config) in [("positive", &config), ("summed", &summed)] {
        let found = atoms(&run(config, &dir.path().join(name)));
        assert!(found.iter().flatten().all(|value| *value >= 0.0));
        assert!(found.iter().all(|atom| (norm(atom) - 1.0).abs() < 1e-5));
    }
    for (shape, words) in
        [(vec![5, 11], "[5, 11]"), (vec![40, 12], "40 atoms"), (vec![3, 1, 5, 5], "shape")]
    {
        write(shape, |i| i as f32);
        let error = train(config.clone(), &dir.path().join("bad"), Interrupter::new()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!dir.path().join("bad").exists());
    }
}

/// A matrix of rank 3 with a fifth of its numbers missing, and the whole one.
fn matrix(path: &Path) -> Vec<f32> {
    let wave = |i: usize, j: usize, k: usize| {
        ((i * (k + 2) * 7 % 23) as f32 - 11.0) * (j as f32 * 0.4 * (k + 1) as f32).sin() / 11.0
    };
    let value = |i: usize| (0..3).map(|k| wave(i / 16, i % 16, k)).sum::<f32>();
    let whole: Vec<f32> = (0..400 * 16).map(value).collect();
    let missing = |i: usize| i * 7919 % 5 == i / 16 % 5;
    let text: Vec<String> = whole
        .chunks(16)
        .enumerate()
        .map(|(row, values)| {
            let shown = values.iter().enumerate().map(|(j, value)| match missing(row * 16 + j) {
                true => String::new(),
                false => value.to_string(),
            });
            shown.collect::<Vec<_>>().join(",")
        })
        .collect();
    fs::write(path, text.join("\n")).unwrap();
    whole
}

#[test]
fn missing_numbers_are_filled_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("X.csv");
    let whole = matrix(&path);
    let mut config = vectors(400);
    config.model =
        PudleConfig::dense(DenseConfig { dim: 16, atoms: 6 }).with_lambda(0.01).with_layers(30);
    let settings =
        MatrixSettings { missing: Missing::Nan, validation: 0.1, ..MatrixSettings::new(path) };
    config.data = DataConfig::Matrix(settings);
    config.training.unused_window = 50;
    config.training.epsilon = 1e-8;
    config.training.valid_every = 100;
    let checkpoint = run(&config, &dir.path().join("run"));
    let pudle_core::AnyPudle::Dense(model) = checkpoint.model else { panic!() };
    let device = Backend::default().device().unwrap();
    let missing = |i: usize| i * 7919 % 5 == i / 16 % 5;
    let count = whole.len() / 16;
    let numbers = |value: &dyn Fn(usize) -> f32| {
        let values: Vec<f32> = (0..whole.len()).map(value).collect();
        Tensor::<2>::from_data(TensorData::new(values, [count, 16]), &device)
    };
    let mask = numbers(&|i| if missing(i) { 0.0 } else { 1.0 });
    let x = numbers(&|i| if missing(i) { 0.0 } else { whole[i] });
    let code = model.encode_masked(x, &mask, &Noise::Unknown);
    let filled: Vec<f32> = model.decode(code, [count, 16]).into_data().iter::<f32>().collect();
    let error = |of: &dyn Fn(usize) -> f32| {
        let places = (0..whole.len()).filter(|i| missing(*i));
        places.map(|i| f64::from(of(i) - whole[i]).powi(2)).sum::<f64>().sqrt()
    };
    // The mean of the numbers is about zero.
    let (found, of_zero) = (error(&|i| filled[i]), error(&|_| 0.0));
    assert!(found < 0.2 * of_zero, "{found} for {of_zero}");

    config.model.kernels = Kernels::Fused;
    let error = config.validate().unwrap_err().to_string();
    assert!(error.contains("model.kernels"), "{error}");
    config.model.kernels = Kernels::Auto;
    config.data = match config.data {
        DataConfig::Matrix(settings) => {
            DataConfig::Matrix(MatrixSettings { missing: Missing::Error, ..settings })
        }
        other => other,
    };
    let error =
        train(config, &dir.path().join("error"), Interrupter::new()).unwrap_err().to_string();
    assert!(error.contains("no number"), "{error}");
}

#[test]
fn metrics_of_older_versions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().join("run");
    run(&vectors(7), &run_dir);
    // As a version without the figure wrote them.
    let path = run_dir.join("metrics.csv");
    let text = fs::read_to_string(&path).unwrap();
    let old: Vec<&str> = text.lines().map(|line| line.rsplit_once(',').unwrap().0).collect();
    fs::write(&path, old.join("\n") + "\n").unwrap();
    fs::remove_file(run_dir.join("checkpoint/usage-7.csv")).unwrap();
    fs::remove_file(run_dir.join("checkpoint/checkpoint-7.sha256")).unwrap();
    let more = |config: &mut RunConfig| {
        config.training.steps = 9;
        Ok(())
    };
    resume(&run_dir, more, Interrupter::new()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 10);
    assert!(rows[7].ends_with(',') && rows[9].ends_with(",0"), "{text}");
}
