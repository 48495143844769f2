//! The folder of a removal test.

use std::path::Path;

use pudle_plot::{Axis, Chart, Line, Stroke};

use crate::error::Result;
use crate::removal_test::{Faithfulness, Removal, RemovalTest};
use crate::report::files::{csv, write_chart, write_json};
use crate::report::folder::Folder;
use crate::statistics::Correlation;

impl RemovalTest {
    /// The correlations as a table in Markdown.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| | ρ, predicted against actual | control: against random removal | prediction for the random ones | cosine of the changes | change over that of random |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for (name, of) in [("atoms", &self.atoms), ("outputs", &self.outputs)] {
            let interval = |c: Correlation| format!("{:.2} ({:.2} … {:.2})", c.rho, c.low, c.high);
            text += &format!(
                "| {} {name} | {} | {} | {} | {:.2} | {:.1} |\n",
                of.removals.len(),
                interval(of.faithful),
                interval(of.control),
                interval(of.of_random),
                of.cosine,
                of.ratio
            );
        }
        text
    }
}

/// Writes `check.json`, `summary.md`, `removals.csv` and `figures/` of a removal test. With `replace` an existing one is
/// replaced.
///
/// # Errors
/// Returns an error if `dir` holds anything that may not be replaced, or cannot be written.
pub fn write_removal_test(dir: &Path, replace: bool, test: &RemovalTest) -> Result<()> {
    let folder = Folder::create(dir, replace)?;
    write_json(&folder, "check.json", test)?;
    folder.write("summary.md", test.table().as_bytes())?;
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
    for (name, of) in [("atom", &test.atoms), ("output", &test.outputs)] {
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
    let points = |pick: fn(&Removal) -> [f64; 2]| of.removals.iter().map(pick).collect();
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
