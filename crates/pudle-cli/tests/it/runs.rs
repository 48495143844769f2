//! What tests of runs share.

use std::fs;
use std::path::Path;

/// Settings of a small run.
pub const SETTINGS: &str = "seed = 1\n\
    [model]\nlayers = 3\nstep = 0.1\nkernels = \"fused\"\n\
    dictionary = { kind = \"conv2d\", atoms = 6, channels = 1, size = 5, stride = 2 }\n\
    threshold = { kind = \"learned\", lambda = 0.1 }\n\
    [data]\nkind = \"dead-leaves\"\nside = 40\ncount = 3\ncrop = 21\nsigma = 25\nflips = true\n\
    [training]\nbatch = 2\ncheckpoint_every = 5\n";

/// The losses of the steps of a run.
pub fn losses(run: &Path) -> Vec<f64> {
    let metrics = fs::read_to_string(run.join("metrics.csv")).unwrap();
    let rows = metrics.lines().filter(|row| row.contains(",train,"));
    rows.map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect()
}

pub fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= tolerance * expected.abs(), "{what}: {found} against {expected}");
    }
}
