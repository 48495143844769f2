//! A GPU beside the CPU, on whatever adapter the machine has: a driver in software is enough.
#![cfg(all(feature = "wgpu", feature = "flex"))]

use std::fs;

use predicates::str::contains;

use crate::cli::{folder, words};
use crate::runs::{SETTINGS, assert_close, losses};

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
    assert_close("ten steps", &losses(&dir.join("wgpu-10")), &expected, 1e-4);
    // A run that either backend has begun goes on on the other one.
    for (from, to) in [("wgpu", "flex"), ("flex", "wgpu")] {
        train(from, 5);
        let line = format!("train --resume {from}-5 --steps 10 --backend {to}");
        words(dir, &line).success().stdout(contains("finished"));
        let run = dir.join(format!("{from}-5"));
        assert_close(&format!("from {from} to {to}"), &losses(&run), &expected, 1e-4);
    }
}

#[test]
fn pictures_are_denoised_alike() {
    let dir = folder();
    let dir = dir.path();
    for shifts in [1, 4] {
        let read = |backend: &str, kernels: &str| {
            let name = format!("{backend}{kernels}-{shifts}.png");
            let line = format!(
                "denoise picture.png --checkpoint model --sigma 25 --shifts {shifts} \
                 --backend {backend} {kernels} -o {name}"
            );
            words(dir, &line).success();
            image::open(dir.join(name)).unwrap().to_luma8()
        };
        let (expected, found, half) = (read("flex", ""), read("wgpu", ""), read("wgpu", "--half"));
        assert_ne!(expected, image::open(dir.join("picture.png")).unwrap().to_luma8());
        for found in [found, half] {
            assert_eq!(found.dimensions(), expected.dimensions());
            for (found, expected) in found.pixels().zip(expected.pixels()) {
                assert!(found.0[0].abs_diff(expected.0[0]) <= 1, "{shifts} shifts");
            }
        }
    }
}
