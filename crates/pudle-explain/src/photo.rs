//! Everything that a report says of filters over photographs.

use pudle_data::Image;
use pudle_plot::{Sheet, Strip, Tone};

use crate::contributors::{Contribution, Contributors, shares_of_atoms, shares_of_outputs};
use crate::digits::norm;
use crate::error::{ExplainError, Result};
use crate::identity::{Identity, Ridge};
use crate::patches::{EncodedPhoto, Patches, Place, Places, cut};
use crate::subject::Encoded;
use crate::tiles::{boxed, signed, tile};
use crate::usage::{Use, ranked, uses};

/// Side of a tile in pixels, and training patches of a figure.
const SIDE: usize = 132;
const SHOWN: usize = 6;
/// Feature maps of a photograph.
const MAPS: usize = 9;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct PhotoOptions {
    /// What is added to the diagonal of `Z Zᵀ`.
    pub ridge: Ridge,
    /// Contributors of each kind, at least 2.
    pub count: usize,
    /// A photograph to explain: what it is called, the noisy picture, and its noise on the scale 0 … 255.
    pub inputs: Vec<(String, Image, f32)>,
    /// Pixels whose patches are explained, `[row, column]`; three of high contrast, far apart, where none are named.
    pub pixels: Vec<[usize; 2]>,
}

/// A patch of a photograph, what the network makes of it, and which training patches that comes from.
#[derive(Clone, Debug)]
pub struct PatchOutput {
    /// The photograph.
    pub name: String,
    /// Its place among the inputs.
    pub photograph: usize,
    /// First row and column of the patch.
    pub place: [usize; 2],
    /// The patch as it was seen, with its surroundings, framed.
    pub noisy: Image,
    /// The same place, denoised.
    pub denoised: Image,
    /// What the code at this position adds to the picture, `D z`.
    pub own: Image,
    /// `Σ_k β_k r_k`.
    pub estimate: Image,
    /// `‖D z − Σ_k β_k r_k‖ / ‖D z‖`.
    pub residual: f64,
    /// Training patches by their share of the output ([`shares_of_outputs`]).
    pub contributors: Contributors,
    /// `β` of the first of them.
    pub weights: Vec<f64>,
    /// Atoms of its code by magnitude, and their values.
    pub code: Vec<(usize, f32)>,
}

/// All of it.
#[derive(Debug)]
pub struct PhotoExplanation {
    /// Codes and moments of the training patches.
    pub encoded: Encoded,
    /// Where they lie.
    pub places: Places,
    /// The identity and its figures.
    pub identity: Identity,
    /// Training patches by their share of each atom ([`shares_of_atoms`]).
    pub contributors: Vec<Contributors>,
    /// How the training patches use each atom.
    pub uses: Vec<Use>,
    /// Atoms by energy, the largest first.
    pub by_energy: Vec<usize>,
    /// Explained patches.
    pub outputs: Vec<PatchOutput>,
    /// Each photograph, denoised, with the explained patches framed.
    pub marked: Vec<(String, Image)>,
    /// Of each photograph the feature maps of the atoms that it uses most: a pixel for each position.
    pub maps: Vec<Vec<(usize, Image)>>,
}

/// Explains filters over photographs; `progress` is told of each photograph that was encoded.
///
/// # Errors
/// Settings out of range, photographs that cannot be read, or a ridge that leaves the Gram matrix singular.
pub fn explain_photos(
    subject: &Patches,
    options: &PhotoOptions,
    progress: impl FnMut(usize),
) -> Result<PhotoExplanation> {
    if !(2..=64).contains(&options.count) {
        return Err(ExplainError::range("top", options.count, "between 2 and 64"));
    }
    // Before the pass over all photographs, which takes a while.
    for (name, noisy, sigma) in &options.inputs {
        let wrong = |error: ExplainError| ExplainError::Unsuitable(format!("{name}: {error}"));
        subject.check_input(noisy, *sigma).map_err(wrong)?;
        for [row, column] in &options.pixels {
            if *row >= noisy.height || *column >= noisy.width {
                let (rows, columns) = (noisy.height, noisy.width);
                let range =
                    format!("row,column within the {rows} rows and {columns} columns of {name}");
                return Err(ExplainError::range("patch", format!("{row},{column}"), range));
            }
        }
    }
    let (encoded, places) = subject.encode_all(progress)?;
    let identity = encoded.identity(subject.dictionary(), options.ridge)?;
    let contributors = shares_of_atoms(&identity, &encoded.codes, options.count);
    let uses = uses(&encoded.codes, &[]);
    let by_energy = ranked(&uses, |atom| atom.energy);
    let (mut outputs, mut marked, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (name, noisy, sigma)) in options.inputs.iter().enumerate() {
        let photo = subject.encode(noisy, *sigma)?;
        let (found, picture) =
            patches_of(subject, &identity, &encoded, options, (number, name, noisy, &photo))?;
        outputs.extend(found);
        marked.push((name.clone(), picture));
        maps.push(feature_maps(&photo));
    }
    Ok(PhotoExplanation {
        encoded,
        places,
        identity,
        contributors,
        uses,
        by_energy,
        outputs,
        marked,
        maps,
    })
}

fn patches_of(
    subject: &Patches,
    identity: &Identity,
    encoded: &Encoded,
    options: &PhotoOptions,
    (photograph, name, noisy, photo): (usize, &str, &Image, &EncodedPhoto),
) -> Result<(Vec<PatchOutput>, Image)> {
    let (shape, stride) = (subject.patch_shape(), subject.stride());
    let [rows, columns] = photo.grid;
    let positions: Vec<usize> = match options.pixels.as_slice() {
        [] => far_apart(&photo.grid, |u| contrast(&identity.decoded(photo.codes.row(u)))),
        pixels => pixels
            .iter()
            .map(|[row, column]| {
                // The position whose middle is nearest.
                let nearest = |pixel: usize, count: usize| {
                    let first = (pixel + stride / 2).saturating_sub(shape[1] / 2) / stride;
                    first.min(count - 1)
                };
                nearest(*row, rows) * columns + nearest(*column, columns)
            })
            .collect(),
    };
    let codes: Vec<_> = positions.iter().map(|u| photo.codes.row(*u)).collect();
    let contributors = shares_of_outputs(identity, &encoded.codes, &codes, options.count);
    let offset = subject.model().config().offset as f32;
    let mut marked = photo.denoised.clip();
    let mut outputs = Vec::with_capacity(positions.len());
    for ((u, code), contributors) in positions.into_iter().zip(codes).zip(contributors) {
        let place = [u / columns * stride, u % columns * stride];
        let (decoded, estimate) = (identity.decoded(code), identity.output(code));
        let off: Vec<f32> = decoded.iter().zip(&estimate).map(|(a, b)| a - b).collect();
        let picture = |values: Vec<f32>| {
            let values = values.into_iter().map(|value| value + offset).collect();
            Image::new(shape[0], shape[1], shape[2], values)
        };
        let mut by_size: Vec<(usize, f32)> = code.iter().collect();
        by_size.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let beta = identity.weights(code);
        let weight = |c: &Contribution| {
            let row = encoded.codes.row(c.datum);
            row.iter().map(|(atom, value)| f64::from(value) * beta[atom]).sum()
        };
        outputs.push(PatchOutput {
            weights: contributors.most.iter().map(weight).collect(),
            name: name.to_owned(),
            photograph,
            place,
            noisy: surroundings(&photo.noisy, place, shape[1]),
            denoised: surroundings(&photo.denoised, place, shape[1]),
            residual: f64::from(norm(&off) / norm(&decoded).max(f32::MIN_POSITIVE)),
            own: picture(decoded)?,
            estimate: picture(estimate)?,
            contributors,
            code: by_size,
        });
        marked = boxed(&marked, place, shape[1]);
    }
    let [_, height, width] = [marked.channels, noisy.height, noisy.width];
    Ok((outputs, pudle_data::Raster::window(&marked, 0, 0, height, width)))
}

/// The codes of the atoms of the highest energy, over positions.
fn feature_maps(photo: &EncodedPhoto) -> Vec<(usize, Image)> {
    let [rows, columns] = photo.grid;
    ranked(&uses(&photo.codes, &[]), |atom| atom.energy)
        .into_iter()
        .take(MAPS)
        .map(|atom| {
            let values: Vec<f32> = photo.codes.rows().map(|row| row.at(atom)).collect();
            (atom, signed(&values, [1, rows, columns]))
        })
        .collect()
}

/// The feature maps of a photograph, each beside its filter.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn map_sheet(subject: &Patches, found: &PhotoExplanation, photograph: usize) -> Result<Sheet> {
    let (shape, name) = (subject.patch_shape(), &found.marked[photograph].0);
    let strips = found.maps[photograph].chunks(3).map(|maps| {
        let mut tiles = Vec::new();
        for (atom, map) in maps {
            let filter = signed(found.identity.atom(*atom), shape);
            tiles.push(tile(&filter, SIDE, [format!("atom {atom}")], Tone::Plain)?);
            // Tiles are square: the map stands in the middle of one, on grey.
            let side = map.height.max(map.width);
            let (top, left) = ((side - map.height) / 2, (side - map.width) / 2);
            let mut square = Image::from_fn(1, side, side, |_, _, _| 0.5);
            pudle_data::Raster::put(&mut square, top, left, map);
            tiles.push(tile(&square, SIDE, ["its codes".into()], Tone::Plain)?);
        }
        Ok(Strip { label: String::new(), tiles })
    });
    Ok(Sheet {
        name: format!("maps-{photograph}"),
        title: format!("{name}: where the atoms that it uses most are used"),
        side: SIDE as u32,
        strips: strips.collect::<Result<_>>()?,
    })
}

/// The norm of what is left of a patch without its mean.
fn contrast(values: &[f32]) -> f64 {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter().map(|v| f64::from(v - mean).powi(2)).sum::<f64>().sqrt()
}

/// Three positions of a large figure, each a third of the picture from the others where that can be.
fn far_apart(grid: &[usize; 2], figure: impl Fn(usize) -> f64) -> Vec<usize> {
    let [rows, columns] = *grid;
    let mut order: Vec<(usize, f64)> = (0..rows * columns).map(|u| (u, figure(u))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let least = (rows.min(columns) / 3).pow(2);
    let mut chosen: Vec<usize> = Vec::new();
    for (u, _) in order {
        let far = |other: &usize| {
            let (dy, dx) =
                ((u / columns).abs_diff(other / columns), (u % columns).abs_diff(other % columns));
            dy * dy + dx * dx >= least.max(1)
        };
        if chosen.len() < 3 && chosen.iter().all(far) {
            chosen.push(u);
        }
    }
    chosen
}

/// A patch and as much around it on every side, framed.
fn surroundings(image: &Image, [top, left]: [usize; 2], side: usize) -> Image {
    let part = cut(image, top, left, side, side);
    let first =
        |place: usize, length: usize| place - place.saturating_sub(side).min(length - part.height);
    boxed(&part.clip(), [first(top, image.height), first(left, image.width)], side)
}

/// A training patch with what is around it; a patch of negative weight in negative.
pub(crate) fn training_patch(subject: &Patches, place: Place, negative: bool) -> Result<Image> {
    let side = subject.patch_shape()[1];
    let image = subject.photograph(place.image)?;
    let mut patch = surroundings(&image, [place.top, place.left], side);
    if negative {
        patch.data.iter_mut().for_each(|value| *value = 1.0 - *value);
    }
    Ok(patch)
}

/// For each explained patch what was seen, what came out, and the training patches behind it.
///
/// # Errors
/// Where a training photograph can no longer be read.
pub fn patch_sheet(
    subject: &Patches,
    found: &PhotoExplanation,
    name: &str,
    outputs: &[&PatchOutput],
) -> Result<Sheet> {
    let mut strips = Vec::new();
    for (k, output) in outputs.iter().enumerate() {
        let plain =
            |image: &Image, caption: &str| tile(image, SIDE, [caption.to_owned()], Tone::Plain);
        strips.push(Strip {
            label: format!("Patch {}", k + 1),
            tiles: vec![
                plain(&output.noisy, "seen")?,
                plain(&output.denoised, "denoised")?,
                plain(&output.own, "its own part, D z")?,
                plain(&output.estimate, "Σ β r")?,
            ],
        });
        let weighed = output.contributors.most.iter().zip(&output.weights).take(SHOWN);
        let behind = weighed.map(|(c, beta)| {
            let place = found.places.place(c.datum);
            let file = subject.path(place.image).file_name().map(|name| name.to_string_lossy());
            let caption = [
                format!("{:+.2} %, β {beta:+.1e}", 100.0 * c.weight),
                file.unwrap_or_default().into_owned(),
                format!("{}, {}", place.top, place.left),
            ];
            let tone = if c.weight > 0.0 { Tone::Most } else { Tone::Least };
            tile(&training_patch(subject, place, *beta < 0.0)?, SIDE, caption, tone)
        });
        strips.push(Strip { label: "behind it".into(), tiles: behind.collect::<Result<_>>()? });
    }
    Ok(Sheet {
        name: name.into(),
        title: outputs.first().map_or(String::new(), |output| {
            format!(
                "{}: training patches behind patches of it (negative weights in negative)",
                output.name
            )
        }),
        side: SIDE as u32,
        strips,
    })
}

/// An atom, its estimate and the training patches of the largest `α`.
///
/// # Errors
/// Where a training photograph can no longer be read.
pub fn filter_sheet(subject: &Patches, found: &PhotoExplanation, atoms: &[usize]) -> Result<Sheet> {
    let (shape, identity) = (subject.patch_shape(), &found.identity);
    let mut strips = Vec::new();
    for &atom in atoms {
        let mut tiles = vec![
            tile(&signed(found.identity.atom(atom), shape), SIDE, ["learned".into()], Tone::Plain)?,
            tile(
                &signed(found.identity.estimate(atom), shape),
                SIDE,
                [format!("estimate, cosine {:.3}", found.identity.cosine(atom))],
                Tone::Plain,
            )?,
        ];
        for c in found.contributors[atom].most.iter().take(SHOWN - 1) {
            let place = found.places.place(c.datum);
            let alpha = identity.shares(found.encoded.codes.row(c.datum))[atom];
            let picture = training_patch(subject, place, alpha < 0.0)?;
            let tone = if c.weight > 0.0 { Tone::Most } else { Tone::Least };
            tiles.push(tile(&picture, SIDE, [format!("{:+.3} %", 100.0 * c.weight)], tone)?);
        }
        strips.push(Strip { label: format!("Atom {atom}"), tiles });
    }
    Ok(Sheet {
        name: "filters".into(),
        title: "Filters and the training patches behind them (negative weights in negative)".into(),
        side: SIDE as u32,
        strips,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_far_apart() {
        // The figure falls with the number, so neighbours of the first come next.
        let found = far_apart(&[9, 12], |u| -(u as f64));
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], 0);
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let (a, b) = (found[a], found[b]);
            let (dy, dx) = ((a / 12).abs_diff(b / 12), (a % 12).abs_diff(b % 12));
            assert!(dy * dy + dx * dx >= 9);
        }
        assert_eq!(far_apart(&[1, 1], |_| 0.0), [0]);
    }
}
