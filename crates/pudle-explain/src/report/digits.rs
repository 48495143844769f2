//! The report of a dictionary over digits.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pudle_core::{Algorithm, Banks, Level, Proximal};
use pudle_plot::{Axis, Chart, Line, Sheet};
use serde_json::{Value, json};

use super::page::{Content, Shown, page};
use super::{
    Folder, HIGHEST, Summary, atom_values, csv, uri, weights, write_chart, write_common,
    write_sheet,
};
use crate::contributors::{Contribution, Contributors};
use crate::digits::{DigitExplanation, OutputExplanation};
use crate::error::Result;
use crate::figures::{an_atom_for_each_class, atom_figure, output_figure};
use crate::subject::DigitModel;
use crate::tiles::signed;

/// Outputs that are drawn as figures.
const FIGURES: usize = 3;
/// Data of the smallest weight that the page shows.
const LEAST: usize = 4;
/// Pixels of training data, and numbers of the network, up to which the page carries all of them, to explain pictures of a
/// reader's own.
const MOST_PIXELS: usize = 4 << 20;
const MOST_NUMBERS: usize = 1 << 20;

/// Writes the report of an explanation: `report.html`, `explanation.json`, `atoms.csv`, `contributions.csv`, and `figures/`. The
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
    let data = found.encoded.codes.len();
    let summary = Summary {
        agreement: Some(found.agreement(subject, HIGHEST)),
        accuracy: found.accuracy.map(|accuracy| [accuracy.trained, accuracy.held_out]),
        ..Summary::new(run, data, &found.identity, &found.uses, seed)
    };
    write_common(&folder, &page(&content(&summary, subject, found)?)?, &summary)?;
    folder.write("atoms.csv", &atoms(found))?;
    folder.write("contributions.csv", &contributions(subject, found))?;
    for sheet in sheets(subject, found)? {
        write_sheet(&folder, &sheet)?;
    }
    for chart in charts(found) {
        write_chart(&folder, &chart)?;
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

fn content<'a>(
    summary: &'a Summary,
    subject: &DigitModel,
    found: &DigitExplanation,
) -> Result<Content<'a>> {
    let (digits, trained) = (subject.digits(), subject.trained());
    let live = live(subject, found);
    let tiles: Vec<usize> = if live.is_null() {
        named(found).into_iter().map(|datum| trained.start + datum).collect()
    } else {
        trained.clone().collect()
    };
    let shown = |datum: usize| {
        let name = [format!("no. {datum}"), format!("a {}", digits.labels()[datum])];
        Some(Shown { datum, picture: digits.image(datum)?, name })
    };
    let shape = [1, digits.height(), digits.width()];
    let atoms = 0..found.identity.atoms();
    Ok(Content {
        summary,
        datum: "training digit",
        note: "Learned: by the code of the datum for this atom. Estimate: by α. Weights are of unit norm over all training \
               data; ▲ the largest, ▽ the smallest in magnitude.",
        tiles: tiles.into_iter().filter_map(shown).collect(),
        learned: atoms.clone().map(|j| signed(found.identity.atom(j), shape)).collect(),
        estimates: atoms.clone().map(|j| signed(found.identity.estimate(j), shape)).collect(),
        atoms: atoms.map(|j| atom(j, subject, found)).collect(),
        outputs: found
            .outputs
            .iter()
            .map(|output| output_values(output, trained.start))
            .collect::<Result<_>>()?,
        first: trained.start,
        top: found.contributors.first().map_or(0, |c| c.most.len()),
        live,
        attraction: Some(attraction(found)),
        pictures: Vec::new(),
    })
}

fn atom(j: usize, subject: &DigitModel, found: &DigitExplanation) -> Value {
    let (atom, path) = (&found.uses[j], &found.attraction.from_atoms[j]);
    let first = subject.trained().start;
    let contributors = weights(&found.contributors[j], first, LEAST);
    let mut values = atom_values(&found.identity, &found.uses, j, contributors);
    if let Some((class, share)) = atom.class() {
        values["class"] = json!(class);
        values["share"] = json!(share);
    }
    values["classes"] = json!(atom.classes);
    values["lambda"] = json!(found.thresholds[j.min(found.thresholds.len() - 1)]);
    values["path"] = json!({ "atom": path.atom, "cosine": path.cosine, "stayed": path.stayed });
    values["by_code"] = weights(&found.by_code[j], first, LEAST);
    values
}

fn output_values(output: &OutputExplanation, first: usize) -> Result<Value> {
    let shape = [1, output.input.height, output.input.width];
    let saliency = output.saliency.iter().map(|image| uri(&signed(&image.data, shape)));
    let nearest = output.nearest.iter().map(|(k, cosine)| json!([first + k, cosine]));
    Ok(json!({
        "name": output.name,
        "label": output.label,
        "input": uri(&output.input)?,
        "reconstruction": uri(&output.reconstruction)?,
        "estimate": uri(&output.estimate)?,
        "residual": output.residual,
        "contributors": weights(&output.contributors, first, LEAST),
        "by_code": weights(&output.by_code, first, LEAST),
        "nearest": nearest.collect::<Vec<_>>(),
        "code": output.code,
        "saliency": saliency.collect::<Result<Vec<_>>>()?,
    }))
}

fn attraction(found: &DigitExplanation) -> String {
    let atoms: Vec<_> =
        found.attraction.from_atoms.iter().zip(&found.uses).filter(|(_, u)| u.count > 0).collect();
    let stay = atoms.iter().filter(|(path, _)| path.stayed > 0.99).count();
    let noise = &found.attraction.from_noise;
    let reach = noise.iter().filter(|path| path.cosine > 0.99).count();
    let mut rates: Vec<f64> = noise.iter().map(|path| path.rate).collect();
    rates.sort_by(f64::total_cmp);
    let rate = rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN);
    format!(
        "Encoder and decoder, applied again and again with the norm restored after each step: {stay} of {} used atoms stay \
         where they are (cosine above 0.99). From {} draws of white noise {reach} end at an atom; the distance between two steps \
         shrinks by a factor of {rate:.2} a step in the median.",
        atoms.len(),
        noise.len()
    )
}

/// Training data that are named anywhere.
fn named(found: &DigitExplanation) -> BTreeSet<usize> {
    let of = |contributors: &Contributors| {
        let all = contributors.most.iter().chain(&contributors.least);
        all.map(|c| c.datum).collect::<Vec<_>>()
    };
    let atoms = found.contributors.iter().chain(&found.by_code).flat_map(of);
    let outputs = found.outputs.iter().flat_map(|output| {
        let nearest = output.nearest.iter().map(|(datum, _)| *datum);
        [of(&output.contributors), of(&output.by_code), nearest.collect()].concat()
    });
    atoms.chain(outputs).collect()
}

/// The network and the codes, for pictures of a reader's own; nothing where they are too large, or the banks are not tied.
fn live(subject: &DigitModel, found: &DigitExplanation) -> Value {
    let (model, identity, codes) = (subject.model(), &found.identity, &found.encoded.codes);
    let config = model.config();
    let dim = subject.digits().height() * subject.digits().width();
    let numbers = identity.atoms() * (identity.atoms() + dim) + codes.non_zeros();
    if config.banks != Banks::Tied || codes.len() * dim > MOST_PIXELS || numbers > MOST_NUMBERS {
        return Value::Null;
    }
    let step = model.step([1, dim]);
    let scale = if config.prox == Proximal::Hard { 1.0 } else { step };
    let levels: Vec<Vec<f64>> = (0..config.layers)
        .map(|t| match model.threshold().lambda(t) {
            Level::Scalar(lambda) => vec![lambda * scale],
            Level::PerAtom(lambda) => {
                lambda.into_data().iter::<f64>().map(|lambda| lambda * scale).collect()
            }
        })
        .collect();
    let encoded = |bytes: Vec<u8>| BASE64_STANDARD.encode(bytes);
    let floats = |values: &mut dyn Iterator<Item = f32>| {
        encoded(values.flat_map(f32::to_le_bytes).collect())
    };
    let mut starts = vec![0u32];
    codes.rows().for_each(|row| starts.push(starts[starts.len() - 1] + row.values.len() as u32));
    json!({
        "layers": config.layers,
        "fista": config.algorithm == Algorithm::Fista,
        "prox": config.prox.to_string(),
        "step": step,
        "offset": config.offset,
        "levels": levels,
        "dictionary": floats(&mut subject.dictionary().into_iter()),
        "inverse": floats(&mut identity.inverse().iter().map(|b| *b as f32)),
        "starts": encoded(starts.into_iter().flat_map(u32::to_le_bytes).collect()),
        "support": encoded(codes.rows().flat_map(|row| row.support).flat_map(|j| j.to_le_bytes()).collect()),
        "values": floats(&mut codes.rows().flat_map(|row| row.values).copied()),
    })
}
