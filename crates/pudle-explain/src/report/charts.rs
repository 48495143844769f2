//! The charts of a report.

use pudle_plot::{Axis, Chart, Line};

use crate::explain::Explanation;

/// Bars of the histogram of codes.
const BARS: usize = 40;

/// Energy and cosine of the atoms, and a histogram of the codes.
pub(crate) fn charts(found: &Explanation) -> Vec<Chart> {
    let by_energy = |value: &dyn Fn(usize) -> f64| -> Vec<[f64; 2]> {
        let point = |(k, j): (usize, &usize)| [k as f64 + 1.0, value(*j)];
        found.by_energy.iter().enumerate().map(point).collect()
    };
    vec![
        Chart {
            name: "energy".into(),
            title: "Energy of the atoms' codes over the training data".into(),
            x: Axis::linear("atom, by energy"),
            y: Axis::log("energy"),
            lines: vec![Line::new("energy", by_energy(&|j| found.uses[j].energy), 0)],
        },
        Chart {
            name: "cosine".into(),
            title: "Cosine of each atom with its estimate from training data".into(),
            x: Axis::linear("atom, by energy"),
            y: Axis::linear("cosine"),
            lines: vec![Line::new("cosine", by_energy(&|j| found.identity.cosine(j)), 0)],
        },
        Chart {
            name: "codes".into(),
            title: "Codes of the training data where they are not zero".into(),
            x: Axis::linear("magnitude"),
            y: Axis::log("how many"),
            lines: vec![Line::new("codes", histogram(found), 0)],
        },
    ]
}

/// The number of codes of each magnitude: middle of a bar, and count.
fn histogram(found: &Explanation) -> Vec<[f64; 2]> {
    let mut counts = [0usize; BARS];
    let largest = found.uses.iter().map(|atom| atom.largest).fold(f64::MIN_POSITIVE, f64::max);
    for row in found.encoded.codes.rows() {
        for value in row.values {
            let bar = (f64::from(value.abs()) / largest * BARS as f64) as usize;
            counts[bar.min(BARS - 1)] += 1;
        }
    }
    let width = largest / BARS as f64;
    let bars = counts.iter().enumerate();
    bars.map(|(k, count)| [(k as f64 + 0.5) * width, *count as f64]).collect()
}
