//! Experiments in their folders, small enough to be run in a test.

use std::path::Path;

use pudle_core::Backend;
use pudle_data::{DeadLeaves, DeadLeavesConfig};
use pudle_experiments::{
    Baselines, CodeError, DenoisingIngredients, DenoisingTable, DictionaryRecovery, Experiment,
    ExperimentError, GradientDynamics, Ingredient, Initialisation, Summary, perform,
};

fn dynamics() -> GradientDynamics {
    let (_, paper) = GradientDynamics::presets().swap_remove(0);
    GradientDynamics { count: 60, data: 4, seeds: 1, ..paper }
}

fn figure(summary: &Summary, name: &str) -> f64 {
    let row = summary.rows.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("no row {name}")).ours_mean
}

#[test]
fn gradients_do_what_theory_says() {
    let dir = tempfile::tempdir().unwrap();
    let summary = perform(&dynamics(), dir.path(), Backend::Flex).unwrap();
    let slope = figure(&summary, "slope of dec / log ρ, median over data (theory: 1)");
    assert!((slope - 1.0).abs() < 0.02, "{slope}");
    let ratio = figure(&summary, "slope of ae-lasso / slope of dec, median (theory: 2)");
    assert!((1.7..2.2).contains(&ratio), "{ratio}");
    let global = |gradient: &str| figure(&summary, &format!("‖g − g at z*‖, {gradient}, t = 100"));
    assert!(global("ae-ls") < 0.8 * global("dec") && global("ae-ls") < 0.8 * global("ae-lasso"));
    let dec = summary.rows.iter().find(|row| row.name == "‖g − ĝ‖, dec, t = 50").unwrap();
    assert_eq!(dec.published, Some(0.0082));
    for file in [
        "settings.toml",
        "summary.json",
        "summary.md",
        "curves.csv",
        "data.csv",
        "local.svg",
        "local.png",
        "rates.svg",
    ] {
        assert!(dir.path().join(file).metadata().unwrap().len() > 50, "{file}");
    }
    let json = std::fs::read(dir.path().join("summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Summary>(&json).unwrap(), summary);
}

#[test]
fn parts_are_run_once() {
    let dir = tempfile::tempdir().unwrap();
    let device = Backend::Flex;
    let one = dynamics();
    perform(&one, dir.path(), device).unwrap();
    let cell = dir.path().join("cells/seed-0-batch.json");
    let text = std::fs::read_to_string(&cell).unwrap();
    // A part that is there is believed, whatever it says.
    let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
    changed["curves"]["code"][0][1] = 77.0.into();
    std::fs::write(&cell, changed.to_string()).unwrap();
    let two = GradientDynamics { seeds: 2, ..one.clone() };
    let summary = perform(&two, dir.path(), device).unwrap();
    assert!(figure(&summary, "‖z_t − ẑ‖, t = 1") > 30.0);
    assert!(summary.rows[0].ours_sd.is_some());
    assert!(dir.path().join("cells/seed-1-data.json").exists());

    let other = GradientDynamics { lambda: 0.1, ..one };
    let error = perform(&other, dir.path(), device).unwrap_err();
    assert!(matches!(error, ExperimentError::OtherSettings { .. }));
    assert!(error.to_string().contains("lambda is 0.2 there, not 0.1"), "{error}");

    std::fs::write(&cell, "{").unwrap();
    let error = perform(&two, dir.path(), device).unwrap_err().to_string();
    assert!(error.contains("seed-0-batch.json"), "{error}");
}

#[test]
fn ae_ls_learns_the_least_biased_dictionary() {
    let dir = tempfile::tempdir().unwrap();
    let (_, paper) = DictionaryRecovery::presets().swap_remove(0);
    let small = DictionaryRecovery {
        count: 600,
        batch: vec![600],
        layers: vec![50],
        learning_rate: vec![3e-3],
        steps: 200,
        seeds: 1,
        ..paper
    };
    let summary = perform(&small, dir.path(), Backend::Flex).unwrap();
    let error = |gradient: &str| figure(&summary, &format!("{gradient}, T = 50"));
    assert!(error("ae-ls") < 0.7 * error("ae-lasso") && error("ae-ls") < 0.7 * error("dec"));
    assert_eq!(summary.rows[0].published, None, "another learning rate than the paper's");
}

#[test]
fn decaying_and_hard_thresholds_take_the_bias_away() {
    let dir = tempfile::tempdir().unwrap();
    let (_, paper) = Baselines::presets().swap_remove(0);
    let small = Baselines {
        dim: 60,
        atoms: 80,
        sparsity: vec![3],
        count: 8000,
        batch: 100,
        layers: 60,
        steps: 300,
        decay: 0.01,
        decay_every: 50,
        perturbation: 0.02,
        learning_rate: 3e-3,
        epsilon: 1e-6,
        ..paper
    };
    let summary = perform(&small, dir.path(), Backend::Flex).unwrap();
    let error = |method: &str| figure(&summary, &format!("s = 3, {method}: error"));
    assert!(error("decaying") < 0.5 * error("ae-ls"), "{}", summary.table());
    assert!(error("hard") < 0.5 * error("ae-ls"), "{}", summary.table());
    assert!(error("noodl") < 0.1, "{}", summary.table());
}

#[test]
fn the_code_error_has_the_exponents_of_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (_, paper) = CodeError::presets().swap_remove(0);
    let small = CodeError {
        count: 30,
        perturbation: vec![1e-3, 1e-2],
        lambda: vec![0.01, 0.1],
        layers: 300,
        held_layers: 5000,
        seeds: 1,
        ..paper
    };
    let summary = perform(&small, dir.path(), Backend::Flex).unwrap();
    let lambda = figure(&summary, "exponent of λ (bound: 1)");
    assert!((lambda - 1.0).abs() < 0.05, "{lambda}");
    assert!(figure(&summary, "exponent of ‖D_j − D*_j‖ (bound: at least 0.5)") > 0.5);
    assert!(figure(&summary, "factor of e_t from layer to layer, late (bound: < 1)") < 0.99);
}

/// Drawn pictures in place of photographs.
fn pictures(dir: &Path, side: usize, seed: u64, count: usize) {
    let config = DeadLeavesConfig { height: side, width: side, count, seed, ..Default::default() };
    let leaves = DeadLeaves::new(config).unwrap();
    std::fs::create_dir(dir).unwrap();
    for index in 0..count {
        leaves.draw(index).write(&dir.join(format!("{index}.png"))).unwrap();
    }
}

#[test]
fn denoising_improves_in_every_cell_and_leaves_models() {
    let dir = tempfile::tempdir().unwrap();
    let (train, test) = (dir.path().join("train"), dir.path().join("test"));
    pictures(&train, 64, 0, 6);
    pictures(&test, 64, 1, 2);
    let (_, paper) = DenoisingTable::presets().swap_remove(0);
    let small = DenoisingTable {
        train,
        test,
        atoms: 16,
        size: 5,
        stride: 3,
        layers: 20,
        step: 0.2,
        lambdas: vec![0.05, 0.1],
        hard_levels: vec![0.05],
        crop: 41,
        steps: 200,
        points: 3,
        seeds: 2,
        learning_rate: 1e-2,
        ..paper
    };
    let out = dir.path().join("out");
    let summary = perform(&small, &out, Backend::Flex).unwrap();
    for name in ["ae-ls, λ = 0.05", "ae-ls, λ = 0.1", "hard, level 0.05"] {
        let psnr = |protocol| figure(&summary, &format!("{name}: PSNR, {protocol}"));
        assert!(psnr("full") > 20.5, "{name}: {}, where the noise alone is at 20.2", psnr("full"));
        assert!(psnr("paper") <= psnr("full"), "{name}: a picture's maximum is at most 1");
    }
    let margin = figure(&summary, "λ = 0.1: ae-ls above dec, dB");
    let of = |gradient: &str| figure(&summary, &format!("{gradient}, λ = 0.1: PSNR, paper"));
    assert!((margin - of("ae-ls") + of("dec")).abs() < 1e-9);
    assert!(summary.rows.iter().all(|row| row.published.is_none()), "another network");
    for file in [
        "cells.csv",
        "curves.csv",
        "lambda.svg",
        "soft.svg",
        "hard.svg",
        "atoms/dec-lambda-0.1-seed-1.png",
        "models/hard-level-0.05-seed-0/model.safetensors",
    ] {
        assert!(out.join(file).metadata().unwrap().len() > 50, "{file}");
    }
}

#[test]
fn ingredients_are_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let (train, test) = (dir.path().join("train"), dir.path().join("test"));
    pictures(&train, 140, 0, 3);
    pictures(&test, 64, 1, 1);
    let (_, paper) = DenoisingIngredients::presets().swap_remove(0);
    let small = DenoisingIngredients {
        train,
        test,
        ingredients: vec![Ingredient::Published, Ingredient::PerAtom, Ingredient::Untied],
        steps: 16,
        shifts: 2,
        ..paper
    };
    let out = dir.path().join("out");
    let summary = perform(&small, &out, Backend::Flex).unwrap();
    assert_eq!(summary.rows.len(), 6);
    let cells = std::fs::read_to_string(out.join("cells.csv")).unwrap();
    let weights: Vec<&str> =
        cells.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    let bank = 256 * 11 * 11;
    let untied = 3 * bank + 2 * 12 * 256;
    assert_eq!(weights, ["5184".to_string(), (5184 + 64).to_string(), untied.to_string()]);
    assert!(out.join("blind.svg").exists() && out.join("one-level.png").exists());
}

#[test]
fn settings_out_of_range_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let device = Backend::Flex;
    let mut errors = Vec::new();
    errors.push(perform(&GradientDynamics { seeds: 0, ..dynamics() }, &out, device));
    errors.push(perform(&GradientDynamics { step: f64::NAN, ..dynamics() }, &out, device));
    let (_, baselines) = Baselines::presets().swap_remove(0);
    errors.push(perform(&Baselines { decay: 0.5, ..baselines.clone() }, &out, device));
    errors.push(perform(&Baselines { sparsity: vec![], ..baselines }, &out, device));
    let (_, start) = Initialisation::presets().swap_remove(0);
    errors.push(perform(&Initialisation { gap: 0.5, ..start }, &out, device));
    let (_, table) = DenoisingTable::presets().swap_remove(0);
    errors.push(perform(&DenoisingTable { train: dir.path().join("none"), ..table }, &out, device));
    for error in errors {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("must be"), "{error}");
        assert!(!out.exists());
    }
}
