//! Reading TIFF files.

mod chunks;
mod color;
mod layout;
pub(super) mod write;

use std::io::{Read, Seek};

use image::metadata::Orientation;

use super::ifd::{Directory, Reader};
use super::notes::{INKS, Notes};
use super::pixels::Pixels;
use super::problem::{Header, Problem};
use super::tag;
use super::tags::TagSet;

use layout::{RAW, layout, sides};

/// What a file holds.
pub(super) struct Found {
    pub pixels: Pixels,
    pub orientation: Orientation,
    pub notes: Notes,
}

/// Reads the picture, or the page of this number, counted from 1.
pub(super) fn read<R: Read + Seek>(file: R, page: Option<usize>) -> Result<Found, Problem> {
    let mut file = Reader::new(file)?;
    let (pages, broken) = file.directories()?;
    refuse_raw(&mut file, &pages)?;
    refuse_hidden(&mut file, &pages)?;
    let number = choose(&mut file, &pages, page)?;
    let chosen = &pages[number];
    let layout = layout(&mut file, chosen)?;
    let samples = chunks::read(&mut file, chosen, &layout)?;
    let pixels = color::pixels(&mut file, chosen, &layout, samples)?;
    let set = TagSet::of_page(&mut file, chosen, pages.len() == 1);
    let mut notes = Notes::of_tiff(set, layout.extra);
    match pages.len() - 1 {
        0 => {}
        others if page.is_none() => notes.lost.push(format!("{others} small copies or masks")),
        1 => notes.lost.push("the other page".into()),
        others => notes.lost.push(format!("the other {others} pages")),
    }
    if chosen.tags.contains_key(&tag::SUB_DIRECTORIES) {
        notes.lost.push("small copies below the page".into());
    }
    if broken {
        notes.lost.push("a further page, whose directory is damaged".into());
    }
    if layout.photometric == 5 {
        notes.lost.push(INKS.into());
    }
    if color::leaves_reference(&mut file, chosen, &layout) {
        notes.lost.push("the reference of black and white (samples keep their full range)".into());
    }
    notes.set_stored(layout.bits, layout.photometric == 3);
    let orientation = u8::try_from(file.first_number(chosen, tag::ORIENTATION, 1)).unwrap_or(1);
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    Ok(Found { pixels, orientation, notes })
}

/// Size and colour by the header, of the first page if `any_page` allows several. What is not read is an error.
pub(super) fn header<R: Read + Seek>(file: R, any_page: bool) -> Result<Header, Problem> {
    let mut file = Reader::new(file)?;
    let (pages, _) = file.directories()?;
    refuse_raw(&mut file, &pages)?;
    refuse_hidden(&mut file, &pages)?;
    let number = match choose(&mut file, &pages, None) {
        Err(Problem::Pages(_)) if any_page => 0,
        number => number?,
    };
    let layout = layout(&mut file, &pages[number])?;
    let turned = matches!(file.first_number(&pages[number], tag::ORIENTATION, 1), 5..=8);
    let (height, width) = (layout.height, layout.width);
    let sides = if turned { [width, height] } else { [height, width] };
    Ok(Header { sides, colored: !matches!(layout.photometric, 0 | 1) })
}

/// Whether a page is a small copy of another, or a mask.
fn is_minor<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> bool {
    file.first_number(page, tag::SUBFILE_TYPE, 0) & 5 != 0
        || file.first_number(page, tag::OLD_SUBFILE_TYPE, 1) == 2
}

/// Refuses raw files of cameras, of which other programs take the small preview for the picture.
fn refuse_raw<R: Read + Seek>(file: &mut Reader<R>, pages: &[Directory]) -> Result<(), String> {
    let first = &pages[0];
    let is_raw = |photometric| matches!(photometric, 32803 | 34892);
    if first.tags.contains_key(&tag::DNG_VERSION)
        || is_raw(file.first_number(first, tag::PHOTOMETRIC, 0))
    {
        return Err(RAW.into());
    }
    let [width, height] = sides(file, first);
    let minor = is_minor(file, first);
    for at in file.numbers(first, tag::SUB_DIRECTORIES).into_iter().take(64) {
        let Ok(part) = file.directory(at) else { continue };
        let [w, h] = sides(file, &part);
        let larger = w.saturating_mul(h) > width.saturating_mul(height);
        if is_raw(file.first_number(&part, tag::PHOTOMETRIC, 0)) {
            return Err(RAW.into());
        }
        if larger || (minor && !is_minor(file, &part)) {
            return Err(format!(
                "its first picture, {width} × {height} pixels, is a preview of a picture of {w} × {h} pixels in a part \
                 that is not read, as in a camera's raw file; develop it to TIFF"
            ));
        }
    }
    Ok(())
}

/// Refuses a stack that has one page for many pictures: ImageJ and tifffile write such files, and say so in the description.
fn refuse_hidden<R: Read + Seek>(file: &mut Reader<R>, pages: &[Directory]) -> Result<(), String> {
    let Some(text) = file.find(&pages[0], tag::DESCRIPTION) else { return Ok(()) };
    let text = String::from_utf8_lossy(&text.bytes);
    let count = text.lines().find_map(|line| line.strip_prefix("images=")?.trim().parse().ok());
    let images = count.filter(|_| text.starts_with("ImageJ=")).unwrap_or(1);
    let truncated = text.starts_with("{\"shape\"") && text.contains("\"truncated\": true");
    if images > pages.len() || truncated {
        return Err(
            "a stack of several pictures with a page for the first one only; write a page for each"
                .into(),
        );
    }
    Ok(())
}

/// The index of the page to read.
fn choose<R: Read + Seek>(
    file: &mut Reader<R>,
    pages: &[Directory],
    page: Option<usize>,
) -> Result<usize, Problem> {
    if let Some(page) = page {
        return match (1..=pages.len()).contains(&page) {
            true => Ok(page - 1),
            false => Err(Problem::NoPage { page, count: pages.len() }),
        };
    }
    let mut whole = (0..pages.len()).filter(|&k| !is_minor(file, &pages[k]));
    match (whole.next(), whole.next()) {
        (Some(only), None) => Ok(only),
        (None, _) if pages.len() == 1 => Ok(0),
        _ => Err(Problem::Pages(pages.len())),
    }
}
