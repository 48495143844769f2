//! Trainings whose batches several devices share.

use std::fs;
use std::path::Path;

use predicates::str::contains;

use crate::cli::{folder, words};
use crate::runs::{SETTINGS, assert_close, losses};

/// The last weights of a run.
fn weights(run: &Path) -> Vec<f64> {
    let bytes = fs::read(run.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort();
    let numbers = names.into_iter().flat_map(|name| {
        let tensor = file.tensor(name).unwrap();
        let (numbers, _) = tensor.data().as_chunks::<4>();
        numbers.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect::<Vec<_>>()
    });
    numbers.collect()
}

#[test]
fn devices_share_a_batch_and_find_the_weights_of_one() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("small.toml"), SETTINGS).unwrap();
    let train = |name: &str, flags: &str| {
        let line = format!("train --config small.toml --batch 5 --steps 30 --out {name} {flags}");
        words(dir, &line).success().stdout(contains("finished"));
        (losses(&dir.join(name)), weights(&dir.join(name)))
    };
    let (alone, weights_alone) = train("alone", "");
    // Parts of one, two and two pictures, and as many devices as pictures.
    for devices in ["0,0", "0,0,0", "0,0,0,0,0"] {
        let (shared, weights) =
            train(&format!("shared-{devices}"), &format!("--devices {devices}"));
        assert_close(devices, &shared, &alone, 1e-5);
        let largest = weights_alone.iter().fold(0.0f64, |most, weight| most.max(weight.abs()));
        for (found, expected) in weights.iter().zip(&weights_alone) {
            assert!((found - expected).abs() < 1e-5 * largest, "{devices}: {found}, {expected}");
        }
    }
    let (again, _) = train("again", "--devices 0,0,0 --elastic");
    assert_eq!(again, losses(&dir.join("shared-0,0,0")), "the same devices, the same numbers");
}

#[test]
fn shifts_and_thresholds_are_shared() {
    let dir = folder();
    let dir = dir.path();
    let settings = SETTINGS
        .replace("batch = 2", "batch = 4\nshifts = 2\naveraged = 4")
        .replace("crop = 21", "crop = 22");
    fs::write(dir.join("small.toml"), settings).unwrap();
    let train = |name: &str, flags: &str| {
        let line = format!("train --config small.toml --steps 10 --out {name} {flags}");
        words(dir, &line).success();
        losses(&dir.join(name))
    };
    assert_close("shifts", &train("shared", "--devices 0,0"), &train("alone", ""), 1e-5);
}

#[test]
fn devices_that_cannot_share_are_refused() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("small.toml"), SETTINGS).unwrap();
    for (flags, message) in [
        ("--devices 0,1", "device 1 of backend \"flex\": there are 1, counted from 0"),
        ("--devices 0,0 --batch 1", "`training.batch` is 1, but must be at least 2"),
    ] {
        let line = format!("train --config small.toml --out run --kernels auto {flags}");
        words(dir, &line).code(1).stderr(contains(message));
        assert!(!dir.join("run").exists(), "{flags}");
    }
    words(dir, "train --preset dense --update noodl --learning-rate 20 --devices 0,0 --out run")
        .code(1)
        .stderr(contains("several devices share a batch"));
    words(dir, "train --preset dense --elastic --out run").code(1).stderr(contains("--elastic"));
}
