//! Sheets of small pictures.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::svg::{escaped, rasterized};
use crate::{PlotError, Result};

const LETTERS: u32 = 15;
const GAP: u32 = 14;
/// Height of one line of a caption.
const LINE: u32 = 20;

/// The frame of a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// No frame.
    #[default]
    Plain,
    /// The datum contributes: a solid green frame.
    Most,
    /// The datum does not contribute: a dashed red frame.
    Least,
}

/// A picture with a caption.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The picture as the bytes of a PNG file.
    pub png: Vec<u8>,
    /// Lines of text below the picture.
    pub caption: Vec<String>,
    /// The frame.
    pub tone: Tone,
}

/// A row of tiles with a name.
#[derive(Clone, Debug)]
pub struct Strip {
    /// The name of the row, drawn on its left.
    pub label: String,
    /// The tiles.
    pub tiles: Vec<Tile>,
}

/// Rows of tiles of one size under a heading.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Name of the files, without extension.
    pub name: String,
    /// Heading, which is also the description for screen readers.
    pub title: String,
    /// Side of a tile in pixels.
    pub side: u32,
    /// The rows.
    pub strips: Vec<Strip>,
}

impl Sheet {
    /// Draws the sheet as SVG text with embedded pictures, and as the bytes of a PNG file.
    ///
    /// # Errors
    /// Returns an error if the drawing library fails.
    pub fn draw(&self) -> Result<(String, Vec<u8>)> {
        let svg = self.svg();
        let png =
            rasterized(&svg).map_err(|reason| PlotError { name: self.name.clone(), reason })?;
        Ok((svg, png))
    }

    fn svg(&self) -> String {
        let longest = |texts: &mut dyn Iterator<Item = &String>| {
            texts.map(|text| text.chars().count()).max().unwrap_or(0) as u32
        };
        // The width of a letter is about 0.6 of its height.
        let width_of = |letters: u32| letters * LETTERS * 31 / 50;
        let tiles = || self.strips.iter().flat_map(|strip| &strip.tiles);
        let caption = width_of(longest(&mut tiles().flat_map(|tile| &tile.caption)));
        let column = self.side.max(caption) + GAP;
        let left = GAP + width_of(longest(&mut self.strips.iter().map(|s| &s.label))) + GAP;
        let columns = self.strips.iter().map(|strip| strip.tiles.len()).max().unwrap_or(0) as u32;
        let width =
            (left + columns * column).max(width_of(self.title.chars().count() as u32) + 2 * GAP);
        let top = 2 * GAP + LINE;
        let heights: Vec<u32> = self
            .strips
            .iter()
            .map(|strip| {
                let lines = strip.tiles.iter().map(|tile| tile.caption.len()).max().unwrap_or(0);
                self.side + LINE * lines as u32 + GAP
            })
            .collect();
        let height = top + heights.iter().sum::<u32>();
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"{LETTERS}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{GAP}\" y=\"{}\">{title}</text>\n",
            GAP + LETTERS
        );
        let mut y = top;
        for (strip, height) in self.strips.iter().zip(heights) {
            svg += &format!(
                "<text x=\"{GAP}\" y=\"{}\">{}</text>\n",
                y + self.side / 2 + LETTERS / 3,
                escaped(&strip.label)
            );
            for (k, tile) in strip.tiles.iter().enumerate() {
                svg += &self.tile(tile, left + k as u32 * column, y, column - GAP);
            }
            y += height;
        }
        svg + "</svg>\n"
    }

    fn tile(&self, tile: &Tile, left: u32, y: u32, column: u32) -> String {
        let side = self.side;
        let x = left + (column - side) / 2;
        let data = BASE64_STANDARD.encode(&tile.png);
        let frame = match tile.tone {
            Tone::Plain => "stroke=\"#888\"",
            Tone::Most => "stroke=\"#008a3e\" stroke-width=\"4\"",
            Tone::Least => "stroke=\"#c4320a\" stroke-width=\"4\" stroke-dasharray=\"7 4\"",
        };
        let mut svg = format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" \
             image-rendering=\"optimizeSpeed\" href=\"data:image/png;base64,{data}\"/>\n\
             <rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"none\" {frame}/>\n"
        );
        for (k, line) in tile.caption.iter().enumerate() {
            svg += &format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                left + column / 2,
                y + side + LINE * (k as u32 + 1) - 1,
                escaped(line)
            );
        }
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_its_tiles() {
        let mut dot = resvg::tiny_skia::Pixmap::new(1, 1).unwrap();
        dot.fill(resvg::tiny_skia::Color::from_rgba8(10, 200, 30, 255));
        let tile =
            |tone| Tile {
                png: dot.encode_png().unwrap(), caption: vec!["α & \"β\"".into()], tone
            };
        let sheet = Sheet {
            name: "test".into(),
            title: "a < b".into(),
            side: 40,
            strips: vec![Strip {
                label: "row".into(),
                tiles: vec![tile(Tone::Plain), tile(Tone::Most), tile(Tone::Least)],
            }],
        };
        let (svg, png) = sheet.draw().unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("α &amp; &quot;β&quot;"));
        let picture = resvg::tiny_skia::Pixmap::decode_png(&png).unwrap();
        let green = picture.pixels().iter().filter(|pixel| {
            let colour = pixel.demultiply();
            (colour.red(), colour.green(), colour.blue()) == (10, 200, 30)
        });
        // Three tiles of 40×40, their frames over the outermost pixels.
        let green = green.count();
        assert!((3 * 34 * 34..=3 * 40 * 40).contains(&green), "{green} pixels of the pictures");
    }
}
