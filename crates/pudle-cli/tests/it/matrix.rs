//! `pudle train` on a matrix of one's own, as a user types it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use pudle_core::ThresholdConfig;
use pudle_train::RunConfig;

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

/// A table of `rows` data, each of two of four directions in 6 dimensions, around a mean of 3.
fn table(dir: &Path, rows: usize) {
    let atoms = [
        [2., 1., 0., 0., 0., 1.],
        [0., 2., 2., 0., 1., 0.],
        [0., 0., 1., 3., 0., 0.],
        [1., 0., 0., 0., 2., 2.],
    ];
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut text = String::new();
    for _ in 0..rows {
        let [one, two] = [(draw() * 4.0) as usize, (draw() * 4.0) as usize];
        let [a, b] = [draw() + 0.5, draw() - 0.5];
        let row: Vec<String> =
            (0..6).map(|k| (3.0 + a * atoms[one][k] + b * atoms[two][k]).to_string()).collect();
        text += &(row.join(",") + "\n");
    }
    fs::write(dir.join("X.csv"), text).unwrap();
}

/// `λ` of a run.
fn lambda(dir: &Path, run: &str) -> f64 {
    match config(dir, run).model.threshold {
        ThresholdConfig::Constant(constant) => constant.lambda,
        other => panic!("{other:?}"),
    }
}

fn config(dir: &Path, run: &str) -> RunConfig {
    RunConfig::read(&dir.join(run).join("config.toml")).unwrap()
}

#[test]
fn a_file_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 400);
    words(dir, "train --data X.csv --steps 60 --out run").success().stdout(
        contains("the preset is vectors")
            .and(contains("400 data of 6 numbers, 24 atoms"))
            .and(contains("λ = "))
            .and(contains("rows held out, step 60: objective")),
    );
    let found = lambda(dir, "run");
    assert!(found > 0.0 && found < 10.0, "{found}");
    assert!(dir.join("run/atoms.png").exists());
    // The same number by hand gives the same weights, to the bit.
    words(dir, &format!("train --data X.csv --steps 60 --lambda {found} --out again")).success();
    let weights = |run: &str| fs::read(dir.join(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("again"));
    // More non-zeros, and a smaller λ.
    words(dir, "train --data X.csv --steps 60 --target-nonzeros 3 --out more").success();
    assert!(lambda(dir, "more") < found);
}

#[test]
fn a_normalised_run_goes_on_as_if_nothing_had_happened() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 300);
    let flags = "train --data X.csv --normalize center+scale --schedule constant --atoms 9 --layers 20 --lambda 0.2";
    words(dir, &format!("{flags} --steps 40 --out whole")).success();
    words(dir, &format!("{flags} --steps 15 --out parts")).success();
    words(dir, "train --resume parts --steps 40").success();
    for file in
        ["model.safetensors", "normalization.safetensors", "normalization.safetensors.sha256"]
    {
        let read = |run: &str| fs::read(dir.join(run).join(file)).unwrap();
        assert_eq!(read("whole"), read("parts"), "{file}");
    }
    words(dir, "export whole --format npz -o file.npz").success();
    words(dir, "import --dictionary file.npz -o back").success();
    let read = |run: &str| fs::read(dir.join(run).join("normalization.safetensors")).unwrap();
    assert_eq!(read("whole"), read("back"));
}

#[test]
fn codes_of_data_with_missing_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 80);
    let text = fs::read_to_string(dir.join("X.csv")).unwrap();
    let holes = text.lines().enumerate().map(|(k, line)| match k % 3 {
        0 => format!("{}\n", &line[..=line.rfind(',').unwrap()]),
        _ => format!("{line}\n"),
    });
    fs::write(dir.join("holes.csv"), holes.collect::<String>()).unwrap();
    words(dir, "train --data holes.csv --steps 5 --lambda 0.2 --out run")
        .failure()
        .stderr(contains("row 0, column 5"));
    words(dir, "train --data holes.csv --missing nan --steps 5 --lambda 0.2 --out run")
        .success()
        .stdout(contains("numbers may be missing, so the update is adam"));
    // The run says what NaN means.
    words(dir, "encode run holes.csv -o codes.npz --stats").success();
    words(dir, "decode run codes.npz -o filled.npy").success();
    words(dir, "encode run holes.csv -o no.npz --missing error")
        .failure()
        .stderr(contains("row 0, column 5"));
    words(dir, "encode run holes.csv -o no.npz --exact").failure().stderr(contains("row 0"));
    words(dir, "encode run holes.csv -o no.npz --exact --missing nan")
        .failure()
        .stderr(contains("whole data only"));
    assert!(!dir.join("no.npz").exists());
}

#[test]
fn the_update_follows_from_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 80);
    let train = |flags: &str, out: &str| {
        words(dir, &format!("train --data X.csv --steps 3 --lambda 0.2 {flags} --out {out}"))
    };
    let chosen = |run: &str| {
        let training = config(dir, run).training;
        (training.update.to_string(), training.learning_rate, training.schedule.to_string())
    };
    let is = |update: &str, rate: f64, schedule: &str| (update.into(), rate, schedule.into());
    train("", "plain").success();
    assert_eq!(chosen("plain"), is("online", 1.0, "constant"));
    train("--gradient ae-ls", "layers")
        .success()
        .stdout(contains("gradient goes through the layers, so the update is adam"));
    assert_eq!(chosen("layers"), is("adam", 0.131, "cosine"));
    train("--update adam --schedule constant --learning-rate 0.01", "adam").success();
    assert_eq!(chosen("adam"), is("adam", 0.01, "constant"));
    train("--update online --gradient ae-ls", "no").failure().stderr(
        contains("`training.update` is online").and(contains("adam for a run whose gradient")),
    );
}

#[test]
fn a_training_ends_when_nothing_gets_better() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 60);
    words(
        dir,
        "train --data X.csv --lambda 0.5 --batch 5 --learning-rate 1e-30 --patience 2 --steps 5000 --out run",
    )
    .success()
    .stdout(contains("finished early, at step 750"))
    .stderr(contains("the weights are those of step 250"));
    assert_eq!(config(dir, "run").training.stopped_at, Some(750));
    words(dir, "info run").success().stderr(predicates::str::is_empty());
    words(dir, "train --resume run").success().stdout(contains("finished early, at step 750"));
}

#[test]
fn columns_and_patches_are_data_too() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    table(dir, 30);
    words(
        dir,
        "train --data X.csv --columns --normalize unit --validation 0 --steps 5 --out columns",
    )
    .success()
    .stdout(contains("6 data of 30 numbers, 6 atoms").and(contains("rows of training, step 5")));
    fs::create_dir(dir.join("pictures")).unwrap();
    pudle_data::scene(40, 32, 1).write(&dir.join("pictures/a.png")).unwrap();
    words(dir, "train --data pictures --patches 5x4 --steps 5 --out patches")
        .success()
        .stdout(contains("data of 20 numbers, 80 atoms"));
    assert!(dir.join("patches/atoms.png").exists());
}
