//! First atoms, fixed atoms, unused atoms and missing numbers from the command line.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use safetensors::tensor::{Dtype, TensorView};

fn train(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").arg("train");
    command.args(line.split_whitespace()).assert()
}

/// A file with tensors of rows of four numbers.
fn write(path: &Path, tensors: &[(&str, usize)]) {
    let numbers = |rows: usize| -> Vec<u8> {
        (0..4 * rows).flat_map(|i| ((i as f32 * 1.3).sin()).to_le_bytes()).collect()
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, rows)| numbers(*rows)).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, rows), bytes)| {
        (*name, TensorView::new(Dtype::F32, vec![*rows, 4], bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A folder with a table that lacks a number, settings for it, and files of atoms.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows =
        (0..40).map(|i| format!("{},{},{},1\n", i % 3, i % 5, if i == 7 { "" } else { "2" }));
    fs::write(dir.path().join("X.csv"), rows.collect::<String>()).unwrap();
    let settings = "[model]\nlayers = 3\n[model.threshold]\nkind = \"constant\"\nlambda = 0.1\n\
                    [model.dictionary]\nkind = \"dense\"\ndim = 4\natoms = 6\n\
                    [data]\nkind = \"matrix\"\npath = \"X.csv\"\n\
                    [training]\nsteps = 20\nbatch = 10\nunused_window = 5\n";
    fs::write(dir.path().join("own.toml"), settings).unwrap();
    write(&dir.path().join("one.safetensors"), &[("D", 3)]);
    write(&dir.path().join("two.safetensors"), &[("D", 3), ("E", 5)]);
    write(&dir.path().join("many.safetensors"), &[("D", 7)]);
    dir
}

#[test]
fn flags_of_the_start_become_settings_of_the_run() {
    let dir = folder();
    train(
        dir.path(),
        "--config own.toml --missing nan --init data --revive --nonnegative --out data",
    )
    .success()
    .stderr(contains("batches with missing numbers run as composed operations"));
    let config = fs::read_to_string(dir.path().join("data/config.toml")).unwrap();
    for line in ["missing = \"nan\"", "kind = \"data\"", "revive = true", "nonnegative = true"] {
        assert!(config.contains(line), "{line} in {config}");
    }
    let metrics = fs::read_to_string(dir.path().join("data/metrics.csv")).unwrap();
    assert!(metrics.lines().next().unwrap().ends_with(",unused"));
    assert_eq!(metrics.lines().count(), 21);
    train(dir.path(), "--config own.toml --missing nan --init two.safetensors --init-tensor E --fixed-atoms 2 --out file")
        .success()
        .stderr(contains("has 5 atoms, which are the first ones: the other 1 start at random"));
    // A run is a start, too.
    train(dir.path(), "--config own.toml --missing nan --init file --steps 2 --out again")
        .success();
    train(dir.path(), "--resume file --steps 25").success();
    train(dir.path(), "--config own.toml --missing nan --revive --steps 8 --out short")
        .success()
        .stderr(contains("no atom starts again in a run of 8 steps"));
}

#[test]
fn wrong_starts_end_with_one_line_and_leave_nothing() {
    let dir = folder();
    for (line, words) in [
        ("--missing nan --init two.safetensors", "choose one with --init-tensor"),
        ("--missing nan --init nowhere.npy", "nowhere.npy: No such file"),
        ("--missing nan --init X.csv", "X.csv"),
        ("--missing nan --init many.safetensors", "7 atoms, but the model has 6"),
        ("--missing nan --init data --init-tensor D", "--init-tensor is for a file"),
        ("--missing nan --fixed-atoms 7", "`training.fixed_atoms` is 7, but must be at most 6"),
        ("--missing nan --kernels fused", "`model.kernels` is fused"),
    ] {
        train(dir.path(), &format!("--config own.toml {line} --out wrong")).code(1).stderr(
            contains(words).and(predicate::function(|text: &str| {
                text.lines().filter(|line| line.starts_with("error")).count() == 1
            })),
        );
        assert!(!dir.path().join("wrong").exists(), "{line}");
    }
    // The number that lacks is found when its row is read.
    train(dir.path(), "--config own.toml --out error").code(1).stderr(contains("row 7, column 2"));
    train(dir.path(), "--preset digits --missing nan --out wrong")
        .code(1)
        .stderr(contains("`data.kind` is strokes, but must be matrix"));
    train(dir.path(), "--resume wrong --init data").code(2);
}
