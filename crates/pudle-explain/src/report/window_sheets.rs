//! Sheets of pictures for data that are windows.

use pudle_data::{Image, Raster};
use pudle_plot::{Sheet, Strip, Tile, Tone};

use crate::error::Result;
use crate::explain::Explanation;
use crate::outputs::{FeatureMap, Output};
use crate::subject::Subject;
use crate::tiles::tile;

/// Side of a tile in pixels.
const SIDE: usize = 132;
/// Training data of an output in a figure.
const SHOWN: usize = 6;
/// Filters that are drawn with their training data.
const FILTERS: usize = 8;

/// A sheet of filters, and for each input a sheet of explained windows and one of feature maps.
pub(crate) fn sheets(subject: &dyn Subject, found: &Explanation) -> Result<Vec<Sheet>> {
    let sheets = WindowSheets { subject, found };
    let mut all = vec![sheets.filters(&found.by_energy[..FILTERS.min(found.by_energy.len())])?];
    for input in 0..found.inputs.len() {
        all.push(sheets.outputs(input)?);
        if !found.inputs[input].maps.is_empty() {
            all.push(sheets.maps(input)?);
        }
    }
    Ok(all)
}

struct WindowSheets<'a> {
    subject: &'a dyn Subject,
    found: &'a Explanation,
}

impl WindowSheets<'_> {
    /// Each atom, its estimate and the training data of the largest shares.
    fn filters(&self, atoms: &[usize]) -> Result<Sheet> {
        let identity = &self.found.identity;
        let mut strips = Vec::new();
        for &atom in atoms {
            let estimate = format!("estimate, cosine {:.3}", identity.cosine(atom));
            let mut tiles = vec![
                plain(&self.subject.signed_picture(identity.atom(atom)), "learned")?,
                plain(&self.subject.signed_picture(identity.estimate(atom)), &estimate)?,
            ];
            for c in self.found.contributors[atom].most.iter().take(SHOWN - 1) {
                let source = self.found.encoded.sources[c.datum];
                let alpha = identity.shares(self.found.encoded.codes.row(c.datum))[atom];
                let picture = self.subject.sheet_picture(source, alpha < 0.0)?;
                let caption = [format!("{:+.3} %", 100.0 * c.weight)];
                tiles.push(tile(&picture, SIDE, caption, tone(c.weight))?);
            }
            strips.push(Strip { label: format!("Atom {atom}"), tiles });
        }
        let data = self.subject.words().data;
        Ok(Sheet {
            name: "filters".into(),
            title: format!(
                "Filters and the training {data} behind them (negative weights in negative)"
            ),
            side: SIDE as u32,
            strips,
        })
    }

    /// For each explained window of an input: what was seen, what came out, and the training data behind it.
    fn outputs(&self, input: usize) -> Result<Sheet> {
        let words = self.subject.words();
        let datum = capitalised(words.datum);
        let outputs = self.found.outputs.iter().filter(|output| output.input == input);
        let mut strips = Vec::new();
        for (k, output) in outputs.enumerate() {
            let views = &output.views;
            let mut tiles = vec![plain(&views.seen, "seen")?, plain(&views.output, "output")?];
            if let Some(own) = &views.own {
                tiles.push(plain(own, "its own part, D z")?);
            }
            tiles.push(plain(&output.estimate, "Σ β r")?);
            strips.push(Strip { label: format!("{datum} {}", k + 1), tiles });
            strips.push(Strip { label: "behind it".into(), tiles: self.behind(output)? });
        }
        let title = format!(
            "{}: training {data} behind {data} of it (negative weights in negative)",
            self.found.inputs[input].name,
            data = words.data
        );
        Ok(Sheet { name: format!("{}-{input}", words.data), title, side: SIDE as u32, strips })
    }

    /// The training data of the largest shares in an output.
    fn behind(&self, output: &Output) -> Result<Vec<Tile>> {
        let weighed = output.contributors.most.iter().zip(&output.weights).take(SHOWN);
        let tiles = weighed.map(|(c, beta)| {
            let source = self.found.encoded.sources[c.datum];
            let [item, place] = self.subject.datum_name(source);
            let caption = [format!("{:+.2} %, β {beta:+.1e}", 100.0 * c.weight), item, place];
            let picture = self.subject.sheet_picture(source, *beta < 0.0)?;
            tile(&picture, SIDE, caption, tone(c.weight))
        });
        tiles.collect()
    }

    /// The feature maps of an input, each beside its filter.
    fn maps(&self, input: usize) -> Result<Sheet> {
        let explained = &self.found.inputs[input];
        let strips = explained.maps.chunks(3).map(|maps| {
            let mut tiles = Vec::new();
            for FeatureMap { atom, picture } in maps {
                let filter = self.subject.signed_picture(self.found.identity.atom(*atom));
                tiles.push(plain(&filter, &format!("atom {atom}"))?);
                tiles.push(plain(&squared(picture), "its codes")?);
            }
            Ok(Strip { label: String::new(), tiles })
        });
        Ok(Sheet {
            name: format!("maps-{input}"),
            title: format!("{}: where the atoms that it uses most are used", explained.name),
            side: SIDE as u32,
            strips: strips.collect::<Result<_>>()?,
        })
    }
}

fn plain(image: &Image, caption: &str) -> Result<Tile> {
    tile(image, SIDE, [caption.to_owned()], Tone::Plain)
}

fn tone(weight: f64) -> Tone {
    if weight > 0.0 { Tone::Most } else { Tone::Least }
}

/// A picture in the middle of a grey square, as tiles are square.
fn squared(picture: &Image) -> Image {
    let side = picture.height.max(picture.width);
    let (top, left) = ((side - picture.height) / 2, (side - picture.width) / 2);
    let mut square = Image::from_fn(1, side, side, |_, _, _| 0.5);
    square.put(top, left, picture);
    square
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
