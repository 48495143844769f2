//! Sheets of pictures for data that are whole items.

use pudle_data::Image;
use pudle_plot::{Sheet, Strip, Tone};

use crate::contributors::Contributors;
use crate::error::Result;
use crate::explain::Explanation;
use crate::outputs::Output;
use crate::subject::Subject;
use crate::tiles::tile;

/// Side of a tile in pixels.
const SIDE: usize = 112;
/// Data of each kind in a figure.
const SHOWN: usize = 2;
/// Outputs that are drawn.
const OUTPUTS: usize = 3;

/// A sheet for an atom of each class, and one for each of the first outputs.
pub(crate) fn sheets(subject: &dyn Subject, found: &Explanation) -> Result<Vec<Sheet>> {
    let sheets = WholeSheets { subject, found };
    let mut all = Vec::new();
    for atom in an_atom_for_each_class(found) {
        all.push(sheets.atom(atom)?);
    }
    for (k, output) in found.outputs.iter().take(OUTPUTS).enumerate() {
        all.push(sheets.output(output, &format!("output-{k}"))?);
    }
    Ok(all)
}

struct WholeSheets<'a> {
    subject: &'a dyn Subject,
    found: &'a Explanation,
}

impl WholeSheets<'_> {
    /// An atom as learned, with the data that use it most and least, and as rebuilt, with the data of the largest and
    /// smallest `α`.
    fn atom(&self, atom: usize) -> Result<Sheet> {
        let Explanation { identity, contributors, by_code, uses, .. } = self.found;
        let learned = self.subject.signed_picture(identity.atom(atom));
        let estimate = self.subject.signed_picture(identity.estimate(atom));
        let class = uses[atom].class().map_or(String::new(), |(class, share)| {
            format!(", {:.0} % for {class}", 100.0 * share)
        });
        Ok(Sheet {
            name: format!("atom-{atom}"),
            title: format!("Atom {atom}{class}; cosine {:.3}", identity.cosine(atom)),
            side: SIDE as u32,
            strips: vec![
                self.strip("Learned", &learned, by_code.get(atom))?,
                self.strip("Estimate", &estimate, contributors.get(atom))?,
            ],
        })
    }

    /// An input, its reconstruction, with the data of the most and least similar codes, and the output as rebuilt, with the
    /// data of the largest and smallest `β`.
    fn output(&self, output: &Output, name: &str) -> Result<Sheet> {
        Ok(Sheet {
            name: name.into(),
            title: format!("{}; residual of the estimate {:.3}", output.name, output.residual),
            side: SIDE as u32,
            strips: vec![
                self.strip("Image", &output.views.seen, None)?,
                self.strip("Rec", &output.views.output, output.by_code.as_ref())?,
                self.strip("Estimate", &output.estimate, Some(&output.contributors))?,
            ],
        })
    }

    fn strip(
        &self,
        label: &str,
        image: &Image,
        contributors: Option<&Contributors>,
    ) -> Result<Strip> {
        let mut tiles = vec![tile(image, SIDE, [], Tone::Plain)?];
        if let Some(contributors) = contributors {
            let most = contributors.most.iter().take(SHOWN).map(|c| (c, Tone::Most));
            let least = contributors.least.iter().take(SHOWN).map(|c| (c, Tone::Least));
            for (contribution, tone) in most.chain(least) {
                let source = self.found.encoded.sources[contribution.datum];
                let picture = self.subject.sheet_picture(source, contribution.weight < 0.0)?;
                let caption = [
                    // Adding 0 removes the sign of a weight that rounds to zero.
                    format!("{:.5}", (contribution.weight * 1e5).round() / 1e5 + 0.0),
                    self.subject.datum_name(source).join(", "),
                ];
                tiles.push(tile(&picture, SIDE, caption, tone)?);
            }
        }
        Ok(Strip { label: label.into(), tiles })
    }
}

/// For each class the atom of the highest energy that serves it, in the order of classes. Without classes, the atom of the
/// highest energy.
fn an_atom_for_each_class(found: &Explanation) -> Vec<usize> {
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    for atom in &found.by_energy {
        if let Some((class, _)) = found.uses[*atom].class()
            && chosen.iter().all(|(other, _)| *other != class)
        {
            chosen.push((class, *atom));
        }
    }
    chosen.sort();
    if chosen.is_empty() {
        return found.by_energy.iter().take(1).copied().collect();
    }
    chosen.into_iter().map(|(_, atom)| atom).collect()
}
