//! `pudle import` and `pudle export` as a user types them.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use safetensors::tensor::{Dtype, TensorView};

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

/// A folder with a bank of filters and its checkpoint `model`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<u8> =
        (0..100).flat_map(|i| (((i * 37 % 101) as f32 - 50.0) / 400.0).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![4, 1, 5, 5], &values).unwrap();
    let file = safetensors::serialize([("w", view)], None).unwrap();
    fs::write(dir.path().join("bank.safetensors"), file).unwrap();
    words(
        dir.path(),
        "import --dictionary bank.safetensors --prox soft --lambda 0.1 --step 0.1 --layers 3 --stride 2 -o model",
    )
    .success()
    .stdout(contains("note").and(contains("not 1")));
    dir
}

#[test]
fn a_network_leaves_and_comes_back() {
    let dir = folder();
    let dir = dir.path();
    for format in ["safetensors", "npz", "burnpack"] {
        words(dir, &format!("export model --format {format} -o file.{format}")).success();
        words(dir, &format!("import --dictionary file.{format} -o {format}")).success();
        let read = |name: &str| fs::read(dir.join(name).join("model.safetensors")).unwrap();
        assert_eq!(read(format), read("model"), "{format}");
    }
    words(dir, "export model --format onnx --shifts all -o model.onnx").success();
    words(dir, "export model --format npz --shifts all -o all.npz")
        .failure()
        .stderr(contains("--shifts"));
}

#[test]
fn exports_replace_nothing_by_accident() {
    let dir = folder();
    let dir = dir.path();
    let weights = fs::read(dir.join("model/model.safetensors")).unwrap();
    words(dir, "export model --format npz -o model.npz").success();
    words(dir, "export model --format npz -o model.npz").failure().stderr(contains("--force"));
    words(dir, "export model --format npz -o model.npz --force").success();
    words(dir, "export model --format safetensors -o model/model.safetensors --force")
        .failure()
        .stderr(contains("belongs to the checkpoint"));
    assert_eq!(fs::read(dir.join("model/model.safetensors")).unwrap(), weights);
}

#[test]
fn what_a_file_does_not_say_is_asked_for() {
    let dir = folder();
    let dir = dir.path();
    words(dir, "import --dictionary bank.safetensors --stride 2 -o other")
        .failure()
        .stderr(contains("--prox, --step, --layers"));
    words(dir, "import --dictionary bank.safetensors --stride 2 --prox soft --lambda 1 -o other")
        .failure()
        .stderr(contains("--step and --layers is needed"));
    assert!(!dir.join("other").exists());
}
