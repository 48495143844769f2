//! The numbers of the experiment.

use super::settings::{Baselines, Key};
use crate::results::{Results, Row, each, select};

/// Errors for which the time to reach them is measured.
pub(crate) const REACHED: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];

/// The final errors, beside the published ones; then the times to reach errors that all seeds reach.
pub(crate) fn rows(experiment: &Baselines, results: &Results<Key>) -> Vec<Row> {
    let (mut errors, mut times) = (Vec::new(), Vec::new());
    for &sparsity in &experiment.sparsity {
        for &method in &experiment.methods {
            let measured = select(results, |key| key.sparsity == sparsity && key.method == method);
            if measured.is_empty() {
                continue;
            }
            let name = format!("s = {sparsity}, {method}");
            let published = experiment.published(sparsity, method);
            errors.push(Row::new(format!("{name}: error"), published, &each(&measured, "error")));
            for error in REACHED {
                let seconds = each(&measured, &format!("seconds to {error:e}"));
                if seconds.iter().all(|seconds| seconds.is_finite()) {
                    times.push(Row::new(format!("{name}: seconds to {error:e}"), None, &seconds));
                }
            }
        }
    }
    errors.extend(times);
    errors
}
