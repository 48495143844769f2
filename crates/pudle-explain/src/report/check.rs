//! The folder of a check.

use std::path::Path;

use pudle_plot::{Axis, Chart, Line, Stroke};

use super::{Folder, csv, write_chart};
use crate::check::{Check, Correlation, Faithfulness};
use crate::error::Result;

impl Check {
    /// The correlations as a table in Markdown.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| | ρ, predicted against actual | control: against random removal | prediction for the random ones | cosine of the changes | change over that of random |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for (name, of) in [("atoms", &self.atoms), ("outputs", &self.outputs)] {
            let said = |c: Correlation| format!("{:.2} ({:.2} … {:.2})", c.rho, c.low, c.high);
            text += &format!(
                "| {} {name} | {} | {} | {} | {:.2} | {:.1} |\n",
                of.removals.len(),
                said(of.faithful),
                said(of.control),
                said(of.of_random),
                of.cosine,
                of.ratio
            );
        }
        text
    }
}

/// Writes `check.json`, `summary.md`, `removals.csv` and `figures/` of a check, as reports are written.
///
/// # Errors
/// A folder that is in the way or cannot be written.
pub fn write_check(dir: &Path, force: bool, check: &Check) -> Result<()> {
    let folder = Folder::create(dir, force)?;
    let mut json = serde_json::to_vec_pretty(check).expect("a check is plain values");
    json.push(b'\n');
    folder.write("check.json", &json)?;
    folder.write("summary.md", check.table().as_bytes())?;
    let header = [
        "of",
        "number",
        "predicted",
        "actual",
        "cosine",
        "predicted_of_random",
        "actual_of_random",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for (name, of) in [("atom", &check.atoms), ("output", &check.outputs)] {
        for r in &of.removals {
            let figures =
                [r.predicted, r.actual, r.cosine, r.predicted_of_random, r.actual_of_random];
            let start = [name.to_owned(), r.number.to_string()].into_iter();
            rows.push(start.chain(figures.map(|figure| figure.to_string())).collect());
        }
        write_chart(&folder, &chart(name, of))?;
    }
    folder.write("removals.csv", &csv(rows))?;
    folder.finish()
}

fn chart(name: &str, of: &Faithfulness) -> Chart {
    let points = |pick: fn(&crate::Removal) -> [f64; 2]| of.removals.iter().map(pick).collect();
    let marks =
        |label: &str, points, colour| Line::new(label, points, colour).with_stroke(Stroke::Marks);
    Chart {
        name: format!("{name}s"),
        title: format!("Change of each {name} where training data are removed"),
        x: Axis::log("predicted by the explanation"),
        y: Axis::log("actual, after training on"),
        lines: vec![
            marks("largest contributors", points(|r| [r.predicted, r.actual]), 0),
            marks("random, same class", points(|r| [r.predicted_of_random, r.actual_of_random]), 1),
        ],
    }
}
