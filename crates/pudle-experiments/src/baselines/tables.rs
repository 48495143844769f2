//! The tables of the experiment.

use super::settings::Key;
use crate::results::{Results, Table};

/// The error of every training over its steps and its time.
pub(crate) fn curves(results: &Results<Key>) -> Table {
    let mut table = Table::new("curves", &["s", "method", "seed", "step", "seconds", "error"]);
    for (key, measured) in results {
        for (point, time) in measured.curve("error").iter().zip(measured.curve("seconds")) {
            table.rows.push(vec![
                key.sparsity.to_string(),
                key.method.to_string(),
                key.seed.to_string(),
                point[0].to_string(),
                time[1].to_string(),
                point[1].to_string(),
            ]);
        }
    }
    table
}
