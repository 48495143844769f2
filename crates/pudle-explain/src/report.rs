//! The report of a dictionary over digits: one page that needs nothing else, the numbers beside it, and figures.

mod folder;
mod page;

use std::path::Path;

use pudle_plot::{Axis, Chart, Line, Sheet};
use serde::Serialize;

pub(crate) use folder::Folder;
pub use folder::check_place;

use crate::contributors::{Contribution, Contributors};
use crate::digits::DigitExplanation;
use crate::error::Result;
use crate::figures::{an_atom_for_each_class, atom_figure, output_figure};
use crate::subject::DigitModel;

/// Outputs that are drawn as figures.
const FIGURES: usize = 3;
/// Atoms that figures of agreement and cosine are taken over.
pub const HIGHEST: usize = 100;

/// What the explanation of a run says in a few numbers; `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What was explained.
    pub run: String,
    /// Training data.
    pub data: usize,
    /// Atoms, and those of them that some datum uses.
    pub atoms: usize,
    /// Of the atoms those that some datum uses.
    pub used: usize,
    /// What was added to the diagonal of `Z Zᵀ`.
    pub ridge: String,
    /// `‖D − X G Zᵀ‖ / ‖D‖`.
    pub residual: f64,
    /// The same over used atoms.
    pub residual_of_used: f64,
    /// Root mean square of the atoms' own, by energy.
    pub residual_by_energy: f64,
    /// How far training is from rest.
    pub stationarity_gap: f64,
    /// The smallest cosine of an atom and its estimate among the hundred of the highest energy.
    pub smallest_cosine: f64,
    /// Of these atoms the share whose two largest contributors are of one class.
    pub agreement: f64,
    /// Accuracy of a linear classifier on the codes: trained, held out.
    pub accuracy: Option<[f64; 2]>,
    /// Seed of the run.
    pub seed: u64,
    /// Version of this program.
    pub version: String,
}

impl Summary {
    /// Of an explanation.
    pub fn new(run: &str, subject: &DigitModel, found: &DigitExplanation, seed: u64) -> Self {
        let identity = &found.identity;
        Self {
            run: run.into(),
            data: found.encoded.codes.len(),
            atoms: identity.atoms(),
            used: found.uses.iter().filter(|atom| atom.count > 0).count(),
            ridge: identity.ridge().to_string(),
            residual: identity.residual(),
            residual_of_used: identity.residual_of_used(),
            residual_by_energy: identity.residual_by_energy(),
            stationarity_gap: identity.stationarity_gap(),
            smallest_cosine: found.smallest_cosine(HIGHEST),
            agreement: found.agreement(subject, HIGHEST),
            accuracy: found.accuracy.map(|accuracy| [accuracy.trained, accuracy.held_out]),
            seed,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Whether the identity holds, in a word: `holds` where what it leaves out of the atoms that matter is below a tenth, `roughly`
    /// below a half.
    pub fn verdict(&self) -> &'static str {
        match self.residual_by_energy {
            off if off < 0.1 => "holds",
            off if off < 0.5 => "roughly",
            _ => "does not hold",
        }
    }
}

/// Writes the report of an explanation: `report.html`, `summary.json`, `atoms.csv`, `contributions.csv`, and `figures/`. The
/// folder appears whole or not at all; one that is there already is replaced only with `force`, and only if it is a report.
///
/// # Errors
/// A folder that is in the way, or cannot be written.
pub fn write_digit_report(
    dir: &Path,
    force: bool,
    run: &str,
    subject: &DigitModel,
    found: &DigitExplanation,
    seed: u64,
) -> Result<Summary> {
    let folder = Folder::create(dir, force)?;
    let summary = Summary::new(run, subject, found, seed);
    let page = page::page(&summary, subject, found)?;
    folder.write("report.html", page.as_bytes())?;
    let mut json = serde_json::to_vec_pretty(&summary).expect("a summary is plain values");
    json.push(b'\n');
    folder.write("summary.json", &json)?;
    folder.write("atoms.csv", &atoms(found))?;
    folder.write("contributions.csv", &contributions(subject, found))?;
    for sheet in sheets(subject, found)? {
        let (svg, png) = sheet.draw()?;
        folder.write(&format!("figures/{}.svg", sheet.name), svg.as_bytes())?;
        folder.write(&format!("figures/{}.png", sheet.name), &png)?;
    }
    for chart in charts(found) {
        let (svg, png) = chart.draw()?;
        folder.write(&format!("figures/{}.svg", chart.name), svg.as_bytes())?;
        folder.write(&format!("figures/{}.png", chart.name), &png)?;
    }
    folder.finish()?;
    Ok(summary)
}

fn sheets(subject: &DigitModel, found: &DigitExplanation) -> Result<Vec<Sheet>> {
    let mut sheets = Vec::new();
    for atom in an_atom_for_each_class(found) {
        sheets.push(atom_figure(subject, found, atom)?);
    }
    for (k, output) in found.outputs.iter().take(FIGURES).enumerate() {
        sheets.push(output_figure(subject, output, &format!("output-{k}"))?);
    }
    Ok(sheets)
}

fn charts(found: &DigitExplanation) -> Vec<Chart> {
    let along = |value: &dyn Fn(usize) -> f64| -> Vec<[f64; 2]> {
        let place = |(k, j): (usize, &usize)| [k as f64 + 1.0, value(*j)];
        found.by_energy.iter().enumerate().map(place).collect()
    };
    let mut counts = vec![0usize; 40];
    let largest = found.uses.iter().map(|atom| atom.largest).fold(f64::MIN_POSITIVE, f64::max);
    for row in found.encoded.codes.rows() {
        for value in row.values {
            let bar = (f64::from(value.abs()) / largest * counts.len() as f64) as usize;
            counts[bar.min(39)] += 1;
        }
    }
    let width = largest / counts.len() as f64;
    let bars =
        counts.iter().enumerate().map(|(k, count)| [(k as f64 + 0.5) * width, *count as f64]);
    vec![
        Chart {
            name: "energy".into(),
            title: "Energy of the atoms' codes over the training data".into(),
            x: Axis::linear("atom, by energy"),
            y: Axis::log("energy"),
            lines: vec![Line::new("energy", along(&|j| found.uses[j].energy), 0)],
        },
        Chart {
            name: "cosine".into(),
            title: "Cosine of each atom with its estimate from training data".into(),
            x: Axis::linear("atom, by energy"),
            y: Axis::linear("cosine"),
            lines: vec![Line::new("cosine", along(&|j| found.identity.cosine(j)), 0)],
        },
        Chart {
            name: "codes".into(),
            title: "Codes of the training data where they are not zero".into(),
            x: Axis::linear("magnitude"),
            y: Axis::log("how many"),
            lines: vec![Line::new("codes", bars.collect(), 0)],
        },
    ]
}

fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.into_iter().for_each(|row| writer.write_record(row).expect("memory does not fail"));
    writer.into_inner().expect("memory does not fail")
}

fn atoms(found: &DigitExplanation) -> Vec<u8> {
    let header = [
        "atom",
        "energy",
        "uses",
        "mean",
        "largest",
        "class",
        "class_share",
        "lambda",
        "cosine",
        "residual",
        "alpha_norm",
        "attractor",
        "attractor_cosine",
        "attractor_rate",
    ];
    let rows = found.uses.iter().enumerate().map(|(j, atom)| {
        let path = &found.attraction.from_atoms[j];
        let (class, share) = match atom.class() {
            Some((class, share)) => (class.to_string(), share.to_string()),
            None => (String::new(), String::new()),
        };
        vec![
            j.to_string(),
            atom.energy.to_string(),
            atom.count.to_string(),
            atom.mean.to_string(),
            atom.largest.to_string(),
            class,
            share,
            found.thresholds[j.min(found.thresholds.len() - 1)].to_string(),
            found.identity.cosine(j).to_string(),
            found.identity.residual_of(j).to_string(),
            found.contributors[j].norm.to_string(),
            path.atom.to_string(),
            path.cosine.to_string(),
            path.rate.to_string(),
        ]
    });
    csv(std::iter::once(header.map(String::from).to_vec()).chain(rows))
}

fn contributions(subject: &DigitModel, found: &DigitExplanation) -> Vec<u8> {
    let header = ["of", "name", "by", "kind", "rank", "datum", "class", "weight"];
    let (first, labels) = (subject.trained().start, subject.digits().labels());
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut add = |of: &str, name: &str, by: &str, contributors: &Contributors| {
        let lists = [("most", &contributors.most), ("least", &contributors.least)];
        for (kind, list) in lists {
            for (rank, Contribution { datum, weight }) in list.iter().enumerate() {
                let datum = first + datum;
                let (rank, label) = (rank + 1, labels[datum]);
                let row = [of, name, by, kind].map(String::from).into_iter();
                let numbers =
                    [rank.to_string(), datum.to_string(), label.to_string(), weight.to_string()];
                rows.push(row.chain(numbers).collect());
            }
        }
    };
    for (j, (alpha, code)) in found.contributors.iter().zip(&found.by_code).enumerate() {
        add("atom", &j.to_string(), "alpha", alpha);
        add("atom", &j.to_string(), "code", code);
    }
    for output in &found.outputs {
        add("output", &output.name, "beta", &output.contributors);
        add("output", &output.name, "code", &output.by_code);
    }
    csv(rows)
}
