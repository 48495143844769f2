//! The choice of λ by place.

use std::fs;
use std::path::Path;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

use crate::cli::{folder, words};

fn score(dir: &Path, flags: &str) -> f64 {
    let line = "evaluate --checkpoint blind --images pictures --sigma 25 --json";
    let output = words(dir, &format!("{line} {flags}")).success().get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    report["mean_psnr"].as_f64().unwrap()
}

#[test]
fn a_checkpoint_gets_its_choice_of_lambda() {
    let dir = folder();
    let dir = dir.path();
    // A copy of a blind denoiser, without the choice that may be shipped with it.
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checkpoints/denoise-gray");
    fs::create_dir(dir.join("blind")).unwrap();
    for file in ["config.toml", "model.safetensors"] {
        fs::copy(shipped.join(file), dir.join("blind").join(file)).unwrap();
    }
    let before = score(dir, "");
    let fit = "adapt blind --images pictures --sigma 15,25 --shifts 2 --window 9";
    words(dir, fit).success().stdout(contains("by place").and(contains("local-lambda.toml")));
    // The choice changes the estimate, and can be left out.
    assert_ne!(score(dir, ""), before);
    assert_eq!(score(dir, "--same-lambda"), before);
    words(dir, fit).failure().stderr(contains("--force"));
    let path = dir.join("blind/local-lambda.toml");
    let first = fs::read(&path).unwrap();
    words(dir, &format!("{fit} --force")).success();
    assert_eq!(fs::read(&path).unwrap(), first);
    // The noise that is drawn for the fit is that of its seed.
    words(dir, &format!("{fit} --force --seed 2")).success();
    assert_ne!(fs::read(&path).unwrap(), first);
    // A damaged file is an error that names it, not a silent change of results.
    fs::write(&path, "factor = 0.5").unwrap();
    let line = "evaluate --checkpoint blind --images pictures --sigma 25";
    words(dir, line).failure().stderr(contains("local-lambda.toml"));
}

#[test]
fn models_whose_lambda_is_fixed_are_refused() {
    let dir = folder();
    words(dir.path(), "adapt model --images pictures")
        .failure()
        .stderr(contains("does not depend on"));
    assert!(!dir.path().join("model/local-lambda.toml").exists());
}
