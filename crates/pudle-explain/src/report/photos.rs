//! The report of filters over photographs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::page::{Content, Shown, page};
use super::{Folder, Summary, atom_values, csv, uri, weights, write_common, write_sheet};
use crate::contributors::Contributors;
use crate::error::Result;
use crate::patches::{Patches, cut};
use crate::photo::{PatchOutput, PhotoExplanation, filter_sheet, map_sheet, patch_sheet};
use crate::tiles::signed;

/// Training patches that the page shows of each atom and output.
const SHOWN: usize = 6;
/// Filters that are drawn with their training patches.
const FILTERS: usize = 8;

/// Writes the report of filters, as [`write_digit_report`](super::write_digit_report) does that of digits.
///
/// # Errors
/// A folder that is in the way or cannot be written, or a training photograph that can no longer be read.
pub fn write_photo_report(
    dir: &Path,
    force: bool,
    run: &str,
    subject: &Patches,
    found: &PhotoExplanation,
    seed: u64,
) -> Result<Summary> {
    let folder = Folder::create(dir, force)?;
    let data = found.encoded.codes.len();
    let summary = Summary::new(run, data, &found.identity, &found.uses, seed);
    write_common(&folder, &page(&content(&summary, subject, found)?)?, &summary)?;
    folder.write("atoms.csv", &atoms(found))?;
    folder.write("contributions.csv", &contributions(subject, found))?;
    let first = &found.by_energy[..FILTERS.min(found.by_energy.len())];
    write_sheet(&folder, &filter_sheet(subject, found, first)?)?;
    for (k, (_, picture)) in found.marked.iter().enumerate() {
        let outputs: Vec<&PatchOutput> =
            found.outputs.iter().filter(|output| output.photograph == k).collect();
        write_sheet(&folder, &patch_sheet(subject, found, &format!("patches-{k}"), &outputs)?)?;
        write_sheet(&folder, &map_sheet(subject, found, k)?)?;
        folder.write(&format!("figures/photograph-{k}.png"), &picture.clip().to_png()?)?;
    }
    folder.finish()?;
    Ok(summary)
}

/// The weights that the page shows.
fn shown(contributors: &Contributors) -> Value {
    let mut few = contributors.clone();
    few.most.truncate(SHOWN);
    weights(&few, 0, 0)
}

fn content<'a>(
    summary: &'a Summary,
    subject: &Patches,
    found: &PhotoExplanation,
) -> Result<Content<'a>> {
    let shape = subject.patch_shape();
    let all = found.contributors.iter().chain(found.outputs.iter().map(|o| &o.contributors));
    let data: BTreeSet<usize> =
        all.flat_map(|c| c.most.iter().take(SHOWN)).map(|c| c.datum).collect();
    let mut tiles = Vec::with_capacity(data.len());
    for datum in data {
        let place = found.places.place(datum);
        let photograph = subject.photograph(place.image)?;
        // All tiles have one shape, those of photographs that are smaller, too.
        let side = shape[1] + 2 * (shape[1] / 2);
        let photograph = photograph.pad_reflect_to(side, side);
        let picture = cut(&photograph, place.top, place.left, shape[1], shape[1] / 2);
        let name = [file(subject, place.image), format!("{}, {}", place.top, place.left)];
        tiles.push(Shown { datum, picture, name });
    }
    let atoms = 0..found.identity.atoms();
    let values = |j| atom_values(&found.identity, &found.uses, j, shown(&found.contributors[j]));
    let outputs = found.outputs.iter().map(|output| {
        Ok(json!({
            "name": format!("{}, patch at {}, {}", output.name, output.place[0], output.place[1]),
            "input": uri(&output.noisy)?,
            "reconstruction": uri(&output.denoised)?,
            "own": uri(&output.own)?,
            "estimate": uri(&output.estimate)?,
            "residual": output.residual,
            "contributors": shown(&output.contributors),
            "code": output.code,
        }))
    });
    Ok(Content {
        summary,
        datum: "training patch",
        note: "Shares of the atom: α of a patch times how much of the atom lies along what its code says of it. Over all \
               patches they add up to about 1 where the identity holds.",
        tiles,
        learned: atoms.clone().map(|j| signed(found.identity.atom(j), shape)).collect(),
        estimates: atoms.clone().map(|j| signed(found.identity.estimate(j), shape)).collect(),
        atoms: atoms.map(values).collect(),
        outputs: outputs.collect::<Result<_>>()?,
        first: 0,
        top: SHOWN,
        live: Value::Null,
        attraction: None,
        pictures: found.marked.iter().map(|(name, image)| (name.clone(), image.clone())).collect(),
    })
}

fn file(subject: &Patches, image: usize) -> String {
    let path = subject.path(image);
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn atoms(found: &PhotoExplanation) -> Vec<u8> {
    let header = ["atom", "energy", "uses", "mean", "largest", "cosine", "residual"];
    let rows = found.uses.iter().enumerate().map(|(j, atom)| {
        let figures = [
            atom.energy,
            atom.count as f64,
            atom.mean,
            atom.largest,
            found.identity.cosine(j),
            found.identity.residual_of(j),
        ];
        std::iter::once(j.to_string()).chain(figures.map(|f| f.to_string())).collect()
    });
    csv(std::iter::once(header.map(String::from).to_vec()).chain(rows))
}

fn contributions(subject: &Patches, found: &PhotoExplanation) -> Vec<u8> {
    let header = ["of", "name", "by", "rank", "photograph", "row", "column", "weight"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut add = |of: &str, name: String, by: &str, contributors: &Contributors| {
        for (rank, c) in contributors.most.iter().enumerate() {
            let place = found.places.place(c.datum);
            rows.push(vec![
                of.into(),
                name.clone(),
                by.into(),
                (rank + 1).to_string(),
                file(subject, place.image),
                place.top.to_string(),
                place.left.to_string(),
                c.weight.to_string(),
            ]);
        }
    };
    for (j, alpha) in found.contributors.iter().enumerate() {
        add("atom", j.to_string(), "share", alpha);
    }
    for output in &found.outputs {
        let [row, column] = output.place;
        add("output", format!("{} {row},{column}", output.name), "share", &output.contributors);
    }
    csv(rows)
}
