//! A GPU beside the CPU, on whatever adapter the machine has: a driver in software is enough.
#![cfg(all(feature = "wgpu", feature = "flex"))]

use std::fs;
use std::path::Path;

use predicates::str::contains;

use crate::cli::{folder, words};

const SETTINGS: &str = "seed = 1\n\
    [model]\nlayers = 3\nstep = 0.1\nkernels = \"fused\"\n\
    dictionary = { kind = \"conv2d\", atoms = 6, channels = 1, size = 5, stride = 2 }\n\
    threshold = { kind = \"learned\", lambda = 0.1 }\n\
    [data]\nkind = \"dead-leaves\"\nside = 40\ncount = 3\ncrop = 21\nsigma = 25\nflips = true\n\
    [training]\nbatch = 2\ncheckpoint_every = 5\n";

/// The losses of the steps of a run.
fn losses(run: &Path) -> Vec<f64> {
    let metrics = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let rows = metrics.lines().filter(|row| row.contains(",train,"));
    rows.map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= 1e-4 * expected.abs(), "{what}: {found} against {expected}");
    }
}

#[test]
fn runs_agree_and_go_on_on_the_other_backend() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("small.toml"), SETTINGS).unwrap();
    let train = |backend: &str, steps: usize| {
        let line = format!(
            "train --config small.toml --steps {steps} --backend {backend} --out {backend}-{steps}"
        );
        words(dir, &line).success().stdout(contains(format!("on {backend}")));
    };
    train("flex", 10);
    train("wgpu", 10);
    let expected = losses(&dir.join("flex-10"));
    assert_eq!(expected.len(), 10);
    assert_close("ten steps", &losses(&dir.join("wgpu-10")), &expected);
    // A run that either backend has begun goes on on the other one.
    for (from, to) in [("wgpu", "flex"), ("flex", "wgpu")] {
        train(from, 5);
        let line = format!("train --resume {from}-5 --steps 10 --backend {to}");
        words(dir, &line).success().stdout(contains("finished"));
        let run = dir.join(format!("{from}-5"));
        assert_close(&format!("from {from} to {to}"), &losses(&run), &expected);
    }
}

#[test]
fn pictures_are_denoised_alike() {
    let dir = folder();
    let dir = dir.path();
    for shifts in [1, 4] {
        let read = |backend: &str| {
            let line = format!(
                "denoise picture.png --checkpoint model --sigma 25 --shifts {shifts} \
                 --backend {backend} -o {backend}-{shifts}.png"
            );
            words(dir, &line).success();
            image::open(dir.join(format!("{backend}-{shifts}.png"))).unwrap().to_luma8()
        };
        let (expected, found) = (read("flex"), read("wgpu"));
        assert_ne!(expected, image::open(dir.join("picture.png")).unwrap().to_luma8());
        assert_eq!(found.dimensions(), expected.dimensions());
        for (found, expected) in found.pixels().zip(expected.pixels()) {
            assert!(found.0[0].abs_diff(expected.0[0]) <= 1, "{shifts} shifts");
        }
    }
}
