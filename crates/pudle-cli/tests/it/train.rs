//! `pudle train`.

use std::fs;

use predicates::str::contains;

use crate::cli::{IMPORT, folder, names, words};

#[test]
fn train_obeys_its_flags_and_resumes() {
    let dir = folder();
    let dir = dir.path();
    let config = "seed = 1\n\
        [model]\nlayers = 2\nstep = 0.1\n\
        dictionary = { kind = \"conv2d\", atoms = 4, channels = 1, size = 5, stride = 2 }\n\
        [data]\nkind = \"dead-leaves\"\nside = 40\ncount = 3\ncrop = 21\nsigma = 25\nflips = true\n\
        [training]\ncheckpoint_every = 2\n";
    fs::write(dir.join("small.toml"), config).unwrap();
    let line = "train --config small.toml --data pictures --valid pictures --gradient ae-lasso \
                --lambda 0.2 --steps 3 --batch 2 --learning-rate 0.01 --schedule cosine --seed 4 \
                --backend flex --out run";
    words(dir, line).success().stdout(contains("seed 4")).stderr(contains("step 3/3"));
    let saved = fs::read_to_string(dir.join("run/config.toml")).unwrap();
    for expected in [
        "seed = 4",
        "kind = \"photographs\"",
        "dir = \"/",
        "valid = \"/",
        "gradient = \"ae-lasso\"",
        "lambda = 0.2",
        "steps = 3",
        "batch = 2",
        "learning_rate = 0.01",
        "schedule = \"cosine\"",
        "backend = \"flex\"",
        "[versions]",
    ] {
        assert!(saved.contains(expected), "{expected} in\n{saved}");
    }
    assert_eq!(
        names(&dir.join("run")),
        [
            "atoms.png",
            "checkpoint",
            "config.toml",
            "metrics.csv",
            "model.safetensors",
            "model.safetensors.sha256",
            "record.toml"
        ]
    );
    words(dir, "train --resume run --steps 5").success().stdout(contains("finished"));
    let metrics = fs::read_to_string(dir.join("run/metrics.csv")).unwrap();
    let steps = metrics.lines().filter(|row| row.contains(",train,")).count();
    assert_eq!(steps, 5);
    assert_eq!(metrics.lines().filter(|row| row.contains(",valid,")).count(), 2);
    words(dir, "train --resume run --steps 4").failure().stderr(contains("at least 5"));
    words(dir, "train --resume run --steps 5").success();
    words(dir, &IMPORT.replace("-o model", "-o run --force")).failure().stderr(contains("a run"));
    words(dir, "info run").success();
    words(dir, "denoise picture.png --checkpoint run").success();
    // The first free directory is taken where none is named.
    words(dir, "train --config small.toml --steps 1").success().stdout(contains("small-1"));
    words(dir, "train --config small.toml --steps 1").success().stdout(contains("small-2"));
}

#[test]
fn presets_train() {
    let dir = tempfile::tempdir().unwrap();
    for preset in ["denoise", "denoise-blind", "dense", "digits"] {
        let line = format!("train --preset {preset} --steps 1 --out {preset}");
        words(dir.path(), &line).success();
        assert!(dir.path().join(preset).join("atoms.png").is_file());
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_after_the_step_with_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pudle"))
        .current_dir(dir.path())
        .args(["train", "--preset", "denoise", "--steps", "100000", "--out", "run"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The file of metrics is made just before the first step.
    while !dir.path().join("run/metrics.csv").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let step = stdout.split("after step ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert!(dir.path().join(format!("run/checkpoint/model-{step}.bpk")).is_file());
    assert!(dir.path().join("run/model.safetensors").is_file());
}

#[test]
fn a_run_is_never_mixed_with_other_files() {
    let dir = folder();
    let dir = dir.path();
    let start = "train --preset dense --steps 2 --out";
    words(dir, &format!("{start} pictures")).failure().stderr(contains("other files"));
    words(dir, &format!("{start} a/b/run")).success();
    words(dir, &format!("{start} a/b/run")).failure().stderr(contains("--resume"));
    // An error in the settings leaves no directory.
    words(dir, &format!("{start} none --lambda -1")).failure();
    words(dir, "train --preset denoise --steps 2 --data nowhere --out none").failure();
    assert!(!dir.join("none").exists());
    fs::remove_dir_all(dir.join("a/b/run/checkpoint")).unwrap();
    words(dir, "train --resume a/b/run --steps 9").failure().stderr(contains("no checkpoint"));
}
