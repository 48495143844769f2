//! What an explanation costs as the data grow.

use std::time::Instant;

use serde::Serialize;

use crate::contributors::{of_atoms, of_outputs};
use crate::error::{ExplainError, Result};
use crate::identity::Ridge;
use crate::subject::DigitModel;

/// Outputs that are explained in each measurement.
const OUTPUTS: usize = 100;

/// The cost of explaining all atoms, and a hundred outputs, by so many data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Data `n`.
    pub data: usize,
    /// Seconds that one pass took: codes, `Z Zᵀ` and `X Zᵀ`.
    pub pass: f64,
    /// Seconds that `B` took, which depends on the number of atoms alone.
    pub inverse: f64,
    /// Seconds that `α` of all atoms, and `β` of a hundred outputs, took.
    pub weights: f64,
    /// The process' largest resident memory so far in MiB, where the system tells.
    pub peak_mib: Option<f64>,
}

impl Cost {
    /// All of it in seconds.
    pub fn seconds(&self) -> f64 {
        self.pass + self.inverse + self.weights
    }
}

/// Measures the explanation by `counts` data each, repeating the training digits as often as needed; `visit` is told of each.
///
/// # Errors
/// A count out of range, or whatever the explanation fails with.
pub fn growth(
    subject: &DigitModel,
    counts: &[usize],
    ridge: Ridge,
    count: usize,
    mut visit: impl FnMut(&Cost),
) -> Result<Vec<Cost>> {
    if !(2..=64).contains(&count) {
        return Err(ExplainError::range("top", count, "between 2 and 64"));
    }
    for &data in counts {
        if !(OUTPUTS..=10_000_000).contains(&data) {
            let range = format!("between {OUTPUTS} and 10000000");
            return Err(ExplainError::range("growth", data, range));
        }
    }
    let mut costs = Vec::with_capacity(counts.len());
    for &data in counts {
        let start = Instant::now();
        let encoded = subject.encode_digits(subject.trained().cycle().take(data))?;
        let pass = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let identity = encoded.identity(subject.dictionary(), ridge)?;
        let inverse = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let atoms = of_atoms(&identity, &encoded.codes, count);
        let rows: Vec<_> = encoded.codes.rows().take(OUTPUTS).collect();
        let outputs = of_outputs(&identity, &encoded.codes, &rows, count);
        let weights = start.elapsed().as_secs_f64();
        debug_assert!(atoms.len() == identity.atoms() && outputs.len() == OUTPUTS);
        let cost = Cost { data, pass, inverse, weights, peak_mib: peak_mib() };
        visit(&cost);
        costs.push(cost);
    }
    Ok(costs)
}

/// Largest resident memory of this process so far.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
