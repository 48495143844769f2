//! The tables of the experiment.

use super::settings::Key;
use crate::results::{Results, Table};

fn name(key: &Key) -> [String; 4] {
    [key.gradient.to_string(), key.prox.to_string(), key.lambda.to_string(), key.seed.to_string()]
}

/// The scores of every training.
pub(crate) fn scores(results: &Results<Key>) -> Table {
    let mut table = Table::new(
        "cells",
        &["gradient", "prox", "lambda", "seed", "psnr_paper", "psnr_full", "ssim", "seconds"],
    );
    for (key, measured) in results {
        let scores = ["psnr paper", "psnr full", "ssim"].map(|name| measured.value(name));
        let numbers = scores.into_iter().chain([measured.seconds]).map(|n| n.to_string());
        table.rows.push(name(key).into_iter().chain(numbers).collect());
    }
    table
}

/// The score of every training over its steps.
pub(crate) fn curves(results: &Results<Key>) -> Table {
    let mut table =
        Table::new("curves", &["gradient", "prox", "lambda", "seed", "step", "test_psnr"]);
    for (key, measured) in results {
        for point in measured.curve("test") {
            let point = point.map(|value| value.to_string());
            table.rows.push(name(key).into_iter().chain(point).collect());
        }
    }
    table
}
