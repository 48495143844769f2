//! The page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::{Environment, context};
use pudle_core::{Algorithm, Banks, Level, Proximal};
use serde::Serialize;
use serde_json::{Value, json};

use super::Summary;
use crate::contributors::Contributors;
use crate::digits::DigitExplanation;
use crate::error::{ExplainError, Result};
use crate::subject::DigitModel;
use crate::tiles::{signed, sprite};

/// Pictures side by side in a sprite.
const COLUMNS: usize = 64;
/// Pixels of training data, and numbers of the network, up to which the page carries all of them, to explain pictures of a
/// reader's own.
const MOST_PIXELS: usize = 4 << 20;
const MOST_NUMBERS: usize = 1 << 20;

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    note: &'static str,
}

pub(super) fn page(
    summary: &Summary,
    subject: &DigitModel,
    found: &DigitExplanation,
) -> Result<String> {
    let (digits, trained) = (subject.digits(), subject.trained());
    let live = live(subject, found);
    let tiles: Vec<usize> = if live.is_null() {
        named(found).into_iter().map(|datum| trained.start + datum).collect()
    } else {
        trained.clone().collect()
    };
    let pictures: Vec<_> = tiles.iter().filter_map(|k| digits.image(*k)).collect();
    let shape = [1, digits.height(), digits.width()];
    let atoms = 0..found.identity.atoms();
    let learned: Vec<_> = atoms.clone().map(|j| signed(found.identity.atom(j), shape)).collect();
    let estimates: Vec<_> = atoms.map(|j| signed(found.identity.estimate(j), shape)).collect();
    let uri = |tiles: &[pudle_data::Image]| -> Result<String> {
        let png = sprite(tiles, COLUMNS).to_png()?;
        Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)))
    };
    let sprites = context! {
        data => uri(&pictures)?,
        atoms => uri(&learned)?,
        estimates => uri(&estimates)?,
    };
    let data = json!({
        "shape": [digits.height(), digits.width()],
        "columns": COLUMNS,
        "tiles": tiles,
        "labels": digits.labels(),
        "first": trained.start,
        "count": trained.len(),
        "top": found.contributors.first().map_or(0, |c| c.most.len()),
        "atoms": (0..found.identity.atoms()).map(|j| atom(j, subject, found)).collect::<Vec<_>>(),
        "outputs": found.outputs.iter().map(|output| json!({
            "name": output.name,
            "label": output.label,
            "input": rounded(&output.input.data),
            "reconstruction": rounded(&output.reconstruction.data),
            "estimate": rounded(&output.estimate.data),
            "residual": output.residual,
            "contributors": weights(&output.contributors, trained.start),
            "by_code": weights(&output.by_code, trained.start),
            "nearest": output.nearest.iter().map(|(k, cosine)| json!([trained.start + k, cosine])).collect::<Vec<_>>(),
            "code": output.code,
            "saliency": output.saliency.iter().map(|image| rounded(&image.data)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "live": live,
    });
    // Nothing in it may end the element that it stands in.
    let data = data.to_string().replace('<', "\\u003c");
    let (kind, word, text) = verdict(summary);
    let mut environment = Environment::new();
    environment
        .add_template("page.html", include_str!("page.html"))
        .and_then(|()| environment.get_template("page.html"))
        .and_then(|template| {
            template.render(context! {
                title => format!("{}: where its atoms come from", summary.run),
                style => include_str!("page.css"),
                script => include_str!("page.js"),
                count => summary.data,
                live => data.contains("\"live\":{"),
                data,
                sprites,
                verdict => context! { kind, word, text },
                figures => figures(summary),
                attraction => attraction(found),
                footer => format!("Pudle {}, seed {}.", summary.version, summary.seed),
            })
        })
        .map_err(|error| ExplainError::Unsuitable(format!("the page: {error}")))
}

fn verdict(summary: &Summary) -> (&'static str, &'static str, String) {
    let off = 100.0 * summary.residual_by_energy;
    match summary.verdict() {
        "holds" => (
            "good",
            "Yes.",
            format!(
                "Rebuilt from training data, the atoms are off by {off:.1} % of their norm, each counted by its energy."
            ),
        ),
        "roughly" => (
            "plain",
            "Roughly.",
            format!(
                "Rebuilt from training data, the atoms are off by {off:.0} % of their norm, each counted by its energy: \
                 training is not quite at rest, or the loss, the layers or the ridge are not those that the identity assumes."
            ),
        ),
        _ => (
            "bad",
            "No.",
            format!(
                "Rebuilt from training data, the atoms are off by {off:.0} % of their norm, each counted by its energy. What \
                 follows is no explanation of this dictionary: training is far from rest, the layers do not converge, or \
                 the ridge is too large."
            ),
        ),
    }
}

fn figures(summary: &Summary) -> Vec<Figure> {
    let figure = |name, value, note| Figure { name, value, note };
    let mut figures = vec![
        figure(
            "residual of the identity",
            format!("{:.4}", summary.residual_by_energy),
            "of the atoms, by their energy",
        ),
        figure(
            "over all used atoms",
            format!("{:.4}", summary.residual_of_used),
            "‖D − X G Zᵀ‖ / ‖D‖",
        ),
        figure(
            "stationarity gap",
            format!("{:.4}", summary.stationarity_gap),
            "the gradient of dec along the atoms' spheres, over ‖X Zᵀ‖: 0 at rest",
        ),
        figure(
            "smallest cosine",
            format!("{:.4}", summary.smallest_cosine),
            "atom and estimate, the hundred of the highest energy",
        ),
        figure(
            "of one class",
            format!("{:.0} %", 100.0 * summary.agreement),
            "the two largest contributors, the same atoms",
        ),
        figure(
            "atoms in use",
            format!("{} of {}", summary.used, summary.atoms),
            "by at least one training datum",
        ),
        figure(
            "ridge",
            summary.ridge.clone(),
            "on the diagonal of Z Zᵀ; sphere: multipliers of the unit norm",
        ),
    ];
    if let Some([trained, held_out]) = summary.accuracy {
        figures.push(figure(
            "linear classifier on codes",
            format!("{:.1} %", 100.0 * held_out),
            if trained > 0.999 { "held out; all right in training" } else { "right, held out" },
        ));
    }
    figures
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

fn atom(j: usize, subject: &DigitModel, found: &DigitExplanation) -> Value {
    let (atom, path) = (&found.uses[j], &found.attraction.from_atoms[j]);
    let first = subject.trained().start;
    let (class, share) = match atom.class() {
        Some((class, share)) => (json!(class), share),
        None => (Value::Null, 0.0),
    };
    json!({
        "number": j,
        "energy": atom.energy,
        "count": atom.count,
        "mean": atom.mean,
        "largest": atom.largest,
        "class": class,
        "share": share,
        "classes": atom.classes,
        "histogram": atom.histogram,
        "lambda": found.thresholds[j.min(found.thresholds.len() - 1)],
        "cosine": found.identity.cosine(j),
        "residual": found.identity.residual_of(j),
        "path": { "atom": path.atom, "cosine": path.cosine, "stayed": path.stayed },
        "contributors": weights(&found.contributors[j], first),
        "by_code": weights(&found.by_code[j], first),
    })
}

fn weights(contributors: &Contributors, first: usize) -> Value {
    let list = |list: &[crate::Contribution]| -> Vec<Value> {
        list.iter().map(|c| json!([first + c.datum, (c.weight * 1e6).round() / 1e6])).collect()
    };
    json!({
        "norm": contributors.norm,
        "most": list(&contributors.most),
        "least": list(&contributors.least),
    })
}

/// Three decimals: a grey level of 256 is coarser.
fn rounded(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| (f64::from(*v) * 1e3).round() / 1e3).collect()
}

/// Training data that are named anywhere.
fn named(found: &DigitExplanation) -> std::collections::BTreeSet<usize> {
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
