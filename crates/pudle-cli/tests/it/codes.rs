//! `pudle encode` and `pudle decode` as a user types them.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use pudle_data::{ColorMode, Image, Matrix, Rows, scene};

use crate::cli::folder;

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

fn values(path: &Path) -> Vec<f32> {
    let matrix = Matrix::open(path, None, false).unwrap();
    let mut values = vec![0.0; matrix.len() * matrix.width()];
    matrix.read(0, &mut values).unwrap();
    values
}

#[test]
fn a_table_is_encoded_and_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let rows: Vec<String> = (0..30).map(|i| format!("{},{},1.5", i % 7, (i * i) % 5)).collect();
    fs::write(dir.join("table.csv"), format!("a,b,c\n{}\n", rows.join("\n"))).unwrap();
    // Three atoms along the axes.
    let identity: Vec<u8> =
        (0..9).flat_map(|k| if k % 4 == 0 { 1.0f32 } else { 0.0 }.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 3], &identity)
        .unwrap();
    let file = safetensors::serialize([("D", view)], None).unwrap();
    fs::write(dir.join("D.safetensors"), file).unwrap();
    words(
        dir,
        "import --dictionary D.safetensors --prox soft --lambda 0.5 --step 1 --layers 3 -o model",
    )
    .success();
    words(dir, "encode model table.csv -o z.npz --stats")
        .success()
        .stdout(contains("atoms in use    3 of 3").and(contains("data            30")));
    words(dir, "encode model table.csv -o z.npz").failure().stderr(contains("--force"));
    words(dir, "encode model table.csv -o z.npy --exact").success();
    assert_eq!(values(&dir.join("z.npy")), values(&dir.join("z.npz")));
    let output = words(dir, "encode model table.csv -o z.npz --force --json").success();
    let report: serde_json::Value =
        serde_json::from_slice(&output.get_output().stdout).expect("one JSON object");
    assert_eq!((&report["atoms_in_use"], &report["layers"]), (&3.into(), &3.into()));
    words(dir, "decode model z.npz -o x.npy").success();
    // Each code is the number less λ.
    let (table, decoded) = (values(&dir.join("table.csv")), values(&dir.join("x.npy")));
    for (x, y) in table.iter().zip(&decoded) {
        assert!(((x - 0.5).max(0.0) - y).abs() < 1e-5, "{x} {y}");
    }
}

#[test]
fn a_picture_and_a_folder_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("in")).unwrap();
    for (name, seed) in [("in/a.png", 1), ("in/b.png", 2)] {
        scene(45, 38, seed).to_gray().write(&dir.join(name)).unwrap();
    }
    let gray = |name: &str| Image::read(&dir.join(name), ColorMode::Gray).unwrap();
    words(dir, "encode denoise-gray in/a.png -o z.npz").success().stderr(contains("noise"));
    words(dir, "encode denoise-gray in/a.png -o z.npz --sigma 5 --force")
        .success()
        .stderr(contains("warn").not());
    words(dir, "decode denoise-gray z.npz -o a.png").success();
    assert!(gray("a.png").psnr(&gray("in/a.png"), 1.0) > 28.0);
    words(dir, "encode denoise-published in -o all.npz").success();
    words(dir, "decode denoise-published all.npz -o out").success();
    for name in ["a.png", "b.png"] {
        let (from, to) = (gray(&format!("in/{name}")), gray(&format!("out/{name}")));
        assert!(from.shape() == to.shape() && to.psnr(&from, 1.0) > 20.0, "{name}");
    }
}

#[test]
fn pictures_without_codes_or_scores_are_counted_and_change_the_status() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("pictures/torn.png"), b"not a picture").unwrap();
    let whole = "encode model pictures -o codes.npz --stats";
    words(dir, whole).code(1).stdout(contains("wrote codes.npz")).stderr(
        contains("torn.png").and(contains("error: pictures: 1 of 3 pictures have no codes")),
    );
    assert!(dir.join("codes.npz").is_file());
    let line = "evaluate --checkpoint model --images pictures --sigma 25";
    words(dir, line)
        .code(1)
        .stdout(contains("mean of 2"))
        .stderr(contains("error: pictures: 1 of 3 pictures have no score"));
}
