//! What an explanation costs as the number of data grows.

use std::time::Instant;

use serde::Serialize;

use crate::contributors::{of_atoms, of_outputs};
use crate::data::{Encoded, Split};
use crate::error::{Result, within};
use crate::explain::check_top;
use crate::ridge::Ridge;
use crate::subject::Subject;

/// Outputs that are explained in each measurement.
const OUTPUTS: usize = 100;

/// The cost of explaining all atoms and a hundred outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Number of data `n`.
    pub data: usize,
    /// Seconds for one pass: codes, `Z Zᵀ` and `X Zᵀ`.
    pub pass: f64,
    /// Seconds for `B`; they depend only on the number of atoms.
    pub inverse: f64,
    /// Seconds for `α` of all atoms and `β` of a hundred outputs.
    pub weights: f64,
    /// The process' largest resident memory so far in MiB, if the system reports it.
    pub peak_mib: Option<f64>,
}

impl Cost {
    /// All of it in seconds.
    pub fn seconds(&self) -> f64 {
        self.pass + self.inverse + self.weights
    }
}

/// Measures explanations by `counts` data each; training data are repeated as often as needed. `top` contributors are ranked.
/// `visit` is called with each measurement.
///
/// # Errors
/// Returns an error if a count or `top` is out of range, and those of the explanation.
pub fn growth(
    subject: &dyn Subject,
    counts: &[usize],
    ridge: Ridge,
    top: usize,
    mut visit: impl FnMut(&Cost),
) -> Result<Vec<Cost>> {
    check_top(top)?;
    for &data in counts {
        within("growth", data, OUTPUTS, 10_000_000)?;
    }
    let mut costs = Vec::with_capacity(counts.len());
    for &data in counts {
        let start = Instant::now();
        let encoded = encode_repeated(subject, data)?;
        let pass = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let identity = encoded.identity(subject.dictionary(), ridge)?;
        let inverse = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let atoms = of_atoms(&identity, &encoded.codes, top);
        let rows: Vec<_> = encoded.codes.rows().take(OUTPUTS).collect();
        let outputs = of_outputs(&identity, &encoded.codes, &rows, top);
        let weights = start.elapsed().as_secs_f64();
        debug_assert!(atoms.len() == identity.atoms() && outputs.len() == OUTPUTS);
        let cost = Cost { data, pass, inverse, weights, peak_mib: peak_mib() };
        visit(&cost);
        costs.push(cost);
    }
    Ok(costs)
}

/// Encodes `count` training data, starting again at the first as often as needed.
fn encode_repeated(subject: &dyn Subject, count: usize) -> Result<Encoded> {
    let mut encoded = Encoded::new(subject.atoms(), subject.dim())?;
    while encoded.codes.len() < count {
        for batch in subject.batches(Split::Training) {
            let mut batch = batch?;
            batch.truncate(count - encoded.codes.len());
            encoded.add(&batch);
            if encoded.codes.len() == count {
                break;
            }
        }
    }
    Ok(encoded)
}

/// The largest resident memory of this process so far.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
