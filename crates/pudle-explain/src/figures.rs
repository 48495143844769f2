//! Figures of the explanation of digits: an atom or an output above what it was rebuilt from.

use pudle_plot::{Sheet, Strip, Tone};

use crate::contributors::Contributors;
use crate::digits::{DigitExplanation, OutputExplanation};
use crate::error::Result;
use crate::subject::DigitModel;
use crate::tiles::{signed, tile};

/// Side of a tile in pixels.
const SIDE: usize = 112;
/// Data of each kind in a figure.
const SHOWN: usize = 2;

fn strip(
    subject: &DigitModel,
    label: &str,
    image: &pudle_data::Image,
    contributors: Option<&Contributors>,
) -> Result<Strip> {
    let mut tiles = vec![tile(image, SIDE, [], Tone::Plain)?];
    if let Some(contributors) = contributors {
        let most = contributors.most.iter().take(SHOWN).map(|c| (c, Tone::Most));
        let least = contributors.least.iter().take(SHOWN).map(|c| (c, Tone::Least));
        for (contribution, tone) in most.chain(least) {
            let number = subject.trained().start + contribution.datum;
            let digit = subject.digits().image(number).expect("a digit that there is");
            let caption = [
                // No sign on what rounds to zero.
                format!("{:.5}", (contribution.weight * 1e5).round() / 1e5 + 0.0),
                format!("no. {number}, a {}", subject.digits().labels()[number]),
            ];
            tiles.push(tile(&digit, SIDE, caption, tone)?);
        }
    }
    Ok(Strip { label: label.into(), tiles })
}

/// An atom as learned, with the digits that use it most and least, and rebuilt, with those of the largest and
/// smallest `α`.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn atom_figure(subject: &DigitModel, found: &DigitExplanation, atom: usize) -> Result<Sheet> {
    let shape = [1, subject.digits().height(), subject.digits().width()];
    let (learned, estimate) = (found.identity.atom(atom), found.identity.estimate(atom));
    let class = found.uses[atom]
        .class()
        .map_or(String::new(), |(class, share)| format!(", {:.0} % for {class}", 100.0 * share));
    Ok(Sheet {
        name: format!("atom-{atom}"),
        title: format!("Atom {atom}{class}; cosine {:.3}", found.identity.cosine(atom)),
        side: SIDE as u32,
        strips: vec![
            strip(subject, "Learned", &signed(learned, shape), Some(&found.by_code[atom]))?,
            strip(subject, "Estimate", &signed(estimate, shape), Some(&found.contributors[atom]))?,
        ],
    })
}

/// An input, its reconstruction, with the digits of the most and least similar codes, and what `β` rebuilds, with those of the
/// largest and smallest `β`.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn output_figure(
    subject: &DigitModel,
    output: &OutputExplanation,
    name: &str,
) -> Result<Sheet> {
    Ok(Sheet {
        name: name.into(),
        title: format!("{}; residual of the estimate {:.3}", output.name, output.residual),
        side: SIDE as u32,
        strips: vec![
            strip(subject, "Image", &output.input, None)?,
            strip(subject, "Rec", &output.reconstruction, Some(&output.by_code))?,
            strip(subject, "Estimate", &output.estimate, Some(&output.contributors))?,
        ],
    })
}

/// Of each class the atom of the highest energy that serves it, in the order of classes.
pub fn an_atom_for_each_class(found: &DigitExplanation) -> Vec<usize> {
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    for atom in &found.by_energy {
        if let Some((class, _)) = found.uses[*atom].class()
            && chosen.iter().all(|(other, _)| *other != class)
        {
            chosen.push((class, *atom));
        }
    }
    chosen.sort();
    chosen.into_iter().map(|(_, atom)| atom).collect()
}
