//! Reports: one page that needs nothing else, the numbers beside it, and figures.

mod check;
mod digits;
mod folder;
mod page;
mod photos;

use pudle_data::Image;
use pudle_plot::{Chart, Sheet};
use serde::Serialize;

pub use check::write_check;
pub use digits::write_digit_report;
use folder::Folder;
pub use folder::check_place;
pub use photos::write_photo_report;

use crate::contributors::Contributors;
use crate::error::Result;
use crate::identity::Identity;
use crate::usage::Use;

/// Atoms that figures of agreement and cosine are taken over.
pub const HIGHEST: usize = 100;

/// What the explanation of a run says in a few numbers; `explanation.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What was explained.
    pub run: String,
    /// Training data.
    pub data: usize,
    /// Atoms.
    pub atoms: usize,
    /// Those of them that some datum uses.
    pub used: usize,
    /// What was added to the diagonal of `Z Zᵀ`.
    pub ridge: String,
    /// `‖D − X G Zᵀ‖ / ‖D‖`.
    pub residual: f64,
    /// The same over used atoms.
    pub residual_of_used: f64,
    /// Root mean square of the atoms' own, by energy.
    pub residual_by_energy: f64,
    /// `‖(D − X G Zᵀ) Z‖ / ‖D Z‖`.
    pub residual_of_outputs: f64,
    /// How far training is from rest.
    pub stationarity_gap: f64,
    /// The smallest cosine of an atom and its estimate among the hundred of the highest energy.
    pub smallest_cosine: f64,
    /// Of these atoms the share whose two largest contributors are of one class, where data have classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// Accuracy of a linear classifier on the codes: trained, held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<[f64; 2]>,
    /// Seed of the run.
    pub seed: u64,
    /// Version of this program.
    pub version: String,
}

impl Summary {
    fn new(run: &str, data: usize, identity: &Identity, uses: &[Use], seed: u64) -> Self {
        let by_energy = crate::usage::ranked(uses, |atom| atom.energy);
        let highest = by_energy.iter().take(HIGHEST).filter(|j| identity.is_used(**j));
        let cosines = highest.map(|j| identity.cosine(*j));
        Self {
            run: run.into(),
            data,
            atoms: identity.atoms(),
            used: uses.iter().filter(|atom| atom.count > 0).count(),
            ridge: identity.ridge().to_string(),
            residual: identity.residual(),
            residual_of_used: identity.residual_of_used(),
            residual_by_energy: identity.residual_by_energy(),
            residual_of_outputs: identity.residual_of_outputs(),
            stationarity_gap: identity.stationarity_gap(),
            smallest_cosine: cosines.fold(f64::INFINITY, f64::min),
            agreement: None,
            accuracy: None,
            seed,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Whether the identity holds, in a word: `holds` where what it leaves out of the training data's outputs is below a tenth,
    /// `roughly` below a half.
    pub fn verdict(&self) -> &'static str {
        match self.residual_of_outputs {
            off if off < 0.1 => "holds",
            off if off < 0.5 => "roughly",
            _ => "does not hold",
        }
    }
}

/// Writes what every report has.
fn write_common(folder: &Folder, page: &str, summary: &Summary) -> Result<()> {
    folder.write("report.html", page.as_bytes())?;
    let mut json = serde_json::to_vec_pretty(summary).expect("a summary is plain values");
    json.push(b'\n');
    folder.write("explanation.json", &json)
}

fn write_sheet(folder: &Folder, sheet: &Sheet) -> Result<()> {
    let (svg, png) = sheet.draw()?;
    folder.write(&format!("figures/{}.svg", sheet.name), svg.as_bytes())?;
    folder.write(&format!("figures/{}.png", sheet.name), &png)
}

fn write_chart(folder: &Folder, chart: &Chart) -> Result<()> {
    let (svg, png) = chart.draw()?;
    folder.write(&format!("figures/{}.svg", chart.name), svg.as_bytes())?;
    folder.write(&format!("figures/{}.png", chart.name), &png)
}

/// The figures of each atom that all reports have, for the page.
fn atom_values(
    identity: &Identity,
    uses: &[Use],
    j: usize,
    contributors: serde_json::Value,
) -> serde_json::Value {
    let atom = &uses[j];
    serde_json::json!({
        "number": j,
        "energy": atom.energy,
        "count": atom.count,
        "mean": atom.mean,
        "largest": atom.largest,
        "histogram": atom.histogram,
        "cosine": identity.cosine(j),
        "residual": identity.residual_of(j),
        "contributors": contributors,
    })
}

/// The first `most` and `least` of some contributors, for the page; data are counted from `first`.
fn weights(contributors: &Contributors, first: usize, least: usize) -> serde_json::Value {
    let list = |list: &[crate::Contribution], count: usize| -> Vec<serde_json::Value> {
        let rounded = |weight: f64| (weight * 1e6).round() / 1e6 + 0.0;
        list.iter()
            .take(count)
            .map(|c| serde_json::json!([first + c.datum, rounded(c.weight)]))
            .collect()
    };
    serde_json::json!({
        "norm": contributors.norm,
        "most": list(&contributors.most, usize::MAX),
        "least": list(&contributors.least, least),
    })
}

/// A picture for the page, as part of its text.
fn uri(image: &Image) -> Result<String> {
    use base64::Engine;
    let png = image.clip().to_png()?;
    Ok(format!("data:image/png;base64,{}", base64::prelude::BASE64_STANDARD.encode(png)))
}

fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.into_iter().for_each(|row| writer.write_record(row).expect("memory does not fail"));
    writer.into_inner().expect("memory does not fail")
}
