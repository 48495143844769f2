//! Reading TIFF files.

mod chunks;
mod color;
pub(super) mod ifd;
pub(super) mod write;

use std::io::{Read, Seek};

use image::metadata::Orientation;

use super::deep::{Kind, plain8, plain16};
use super::files::Header;
use super::notes::Notes;
use super::tags::TagSet;
use super::{Pixels, Problem};
use chunks::{Samples, unpacked};
use ifd::{Directory, Reader};

/// What a file holds.
pub(super) struct Found {
    pub pixels: Pixels,
    pub orientation: Orientation,
    pub notes: Notes,
}

/// How the samples of a page are stored.
pub(super) struct Layout {
    width: usize,
    height: usize,
    /// Bits of a sample.
    bits: u64,
    /// 1 unsigned, 2 signed, 3 real.
    format: u64,
    /// Samples of a pixel.
    samples: usize,
    planar: bool,
    compression: u64,
    photometric: u64,
    predictor: u64,
    /// Whether the lowest bit of a byte is the first.
    reversed: bool,
    tiled: bool,
    /// Columns and rows of a strip or tile.
    chunk: [usize; 2],
    little: bool,
    /// Bytes that a sample takes in memory in the end.
    held: usize,
    /// What a sample beside the colours is: 0 unknown, 1 alpha that the colours are multiplied with, 2 alpha.
    extra: Option<u64>,
}

const RAW: &str = "a camera's raw file, which is not read; develop it to TIFF";

fn damaged() -> String {
    "its data are damaged".into()
}

/// Reads the picture, or the page of this number, counted from 1.
pub(super) fn read<R: Read + Seek>(file: R, page: Option<usize>) -> Result<Found, Problem> {
    let mut file = Reader::new(file)?;
    let (pages, broken) = file.directories()?;
    refuse_raw(&mut file, &pages)?;
    let number = choose(&mut file, &pages, page)?;
    let chosen = &pages[number];
    let layout = layout(&mut file, chosen)?;
    let samples = chunks::read(&mut file, chosen, &layout)?;
    let pixels = color::pixels(&mut file, chosen, &layout, samples)?;
    let set = TagSet::of_page(&mut file, chosen, pages.len() == 1);
    let mut notes = Notes::of_tiff(set, layout.extra);
    if page.is_none() && pages.len() > 1 {
        notes.lost.push(format!("{} small copies or masks", pages.len() - 1));
    }
    if broken {
        notes.lost.push("a further page, whose directory is damaged".into());
    }
    if layout.photometric == 5 {
        notes.lost.push("CMYK inks: the colours are brought to red, green and blue".into());
    }
    let orientation = u8::try_from(file.first_number(chosen, 274, 1)).unwrap_or(1);
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    Ok(Found { pixels, orientation, notes })
}

/// Size and colour by the header, of the first page if `any_page` allows several. What is not read is an error.
pub(super) fn header<R: Read + Seek>(file: R, any_page: bool) -> Result<Header, Problem> {
    let mut file = Reader::new(file)?;
    let (pages, _) = file.directories()?;
    refuse_raw(&mut file, &pages)?;
    let number = match choose(&mut file, &pages, None) {
        Err(Problem::Pages(_)) if any_page => 0,
        number => number?,
    };
    let layout = layout(&mut file, &pages[number])?;
    let turned = matches!(file.first_number(&pages[number], 274, 1), 5..=8);
    let (height, width) = (layout.height, layout.width);
    let sides = if turned { [width, height] } else { [height, width] };
    Ok(Header { sides, colored: !matches!(layout.photometric, 0 | 1) })
}

/// Whether a page is a small copy of another, or a mask.
fn is_minor<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> bool {
    file.first_number(page, 254, 0) & 5 != 0 || file.first_number(page, 255, 1) == 2
}

fn sides<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> [u64; 2] {
    [file.first_number(page, 256, 0), file.first_number(page, 257, 0)]
}

/// Refuses raw files of cameras, of which other programs take the small preview for the picture.
fn refuse_raw<R: Read + Seek>(file: &mut Reader<R>, pages: &[Directory]) -> Result<(), String> {
    let first = &pages[0];
    let is_raw = |photometric| matches!(photometric, 32803 | 34892);
    if first.tags.contains_key(&50706) || is_raw(file.first_number(first, 262, 0)) {
        return Err(RAW.into());
    }
    let [width, height] = sides(file, first);
    let minor = is_minor(file, first);
    for at in file.numbers(first, 330).into_iter().take(64) {
        let Ok(part) = file.directory(at) else { continue };
        let [w, h] = sides(file, &part);
        let larger = w.saturating_mul(h) > width.saturating_mul(height);
        if is_raw(file.first_number(&part, 262, 0)) {
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

/// Reads how the samples are stored, and refuses what is not read.
fn layout<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> Result<Layout, String> {
    let side = |value: u64| usize::try_from(value).ok().filter(|&v| (1..1 << 31).contains(&v));
    let [width, height] = sides(file, page);
    let sizes = format!("{width} × {height} pixels");
    let (Some(width), Some(height)) = (side(width), side(height)) else {
        return Err(format!("its size, {sizes}, is not possible"));
    };
    let equal = |values: Vec<u64>, default: u64| match values.split_first() {
        None => Ok(default),
        Some((&first, rest)) if rest.iter().all(|&v| v == first) => Ok(first),
        Some(_) => Err("its channels are of different types, which is not read".to_string()),
    };
    let bits = equal(file.numbers(page, 258), 1)?;
    let format = match equal(file.numbers(page, 339), 1)? {
        4 => 1,
        format => format,
    };
    let samples = file.first_number(page, 277, 1);
    let photometric = file.first_number(page, 262, 1);
    let compression = compression(file.first_number(page, 259, 1))?;
    let extras = file.numbers(page, 338);
    let colors = colors(photometric)?;
    let extra = extra(samples, colors, photometric, &extras)?;
    let kind = kind(format, bits, photometric)?;
    let tiled = page.tags.contains_key(&324);
    let rows = file.first_number(page, 278, height as u64).clamp(1, height as u64);
    let chunk = match tiled {
        true => [file.first_number(page, 322, 0), file.first_number(page, 323, 0)],
        false => [width as u64, rows],
    };
    let (Some(columns), Some(rows)) = (side(chunk[0]), side(chunk[1])) else {
        return Err(damaged());
    };
    if photometric == 6 {
        let subsampled = file.numbers(page, 530).iter().any(|&v| v != 1) || !page.tags.contains_key(&530);
        if bits != 8 || (subsampled && compression != 7) {
            return Err("its colours (YCbCr) are stored in a way that is not read; convert it to RGB".into());
        }
    }
    Ok(Layout {
        width,
        height,
        bits,
        format,
        samples: samples as usize,
        planar: file.first_number(page, 284, 1) == 2 && samples > 1,
        compression,
        photometric,
        predictor: file.first_number(page, 317, 1),
        reversed: file.first_number(page, 266, 1) == 2,
        tiled,
        chunk: [columns, rows],
        little: file.little,
        held: if kind.is_some() { 8 } else { unpacked(bits) },
        extra,
    })
}

/// Refuses compressions that are not read, by name.
fn compression(number: u64) -> Result<u64, String> {
    let name = match number {
        1 | 4 | 5 | 7 | 8 | 32946 | 32773 | 50000 | 50001 => return Ok(number),
        2 | 3 => "CCITT compression of group 3",
        6 => "JPEG compression of the old kind",
        34712 | 33003 | 33005 => "JPEG 2000 compression",
        34887 => "LERC compression",
        34925 => "LZMA compression",
        34933 | 34934 => "PNG or JPEG XR compression",
        50002 | 52546 => "JPEG XL compression",
        _ => return Err(format!("its compression, number {number}, is not read; save it with LZW or Deflate")),
    };
    Err(format!("{name} is not read; save it with LZW or Deflate"))
}

/// Samples of a pixel that are colours.
fn colors(photometric: u64) -> Result<u64, String> {
    match photometric {
        0 | 1 | 3 => Ok(1),
        2 | 6 => Ok(3),
        5 => Ok(4),
        4 => Err("a mask, not a picture".into()),
        8..=10 => Err("its colours are in the Lab space, which is not read; convert it to RGB".into()),
        32803 | 34892 => Err(RAW.into()),
        _ => Err("its colour space is not read; convert it to RGB".into()),
    }
}

/// What the sample beside the colours is, if there is one.
fn extra(
    samples: u64,
    colors: u64,
    photometric: u64,
    extras: &[u64],
) -> Result<Option<u64>, String> {
    match samples.checked_sub(colors) {
        None => Err(damaged()),
        Some(0) => Ok(None),
        Some(1) if matches!(photometric, 0..=2) => {
            Ok(Some(extras.first().copied().filter(|&v| v <= 2).unwrap_or(0)))
        }
        Some(_) => Err(format!(
            "{samples} bands, but only grey or red, green and blue with alpha are read; write the bands to files of their own"
        )),
    }
}

/// The type of samples that are not brought to 8 or 16 bits.
fn kind(format: u64, bits: u64, photometric: u64) -> Result<Option<Kind>, String> {
    if format == 1 && (1..=16).contains(&bits) {
        return Ok(None);
    }
    let what = match format {
        1 => "whole",
        2 => "signed",
        3 => "real",
        _ => return Err("its samples are complex numbers, which are not read".into()),
    };
    match (Kind::of(format, bits), photometric) {
        (Some(kind), 1 | 2) => Ok(Some(kind)),
        (Some(_), _) => Err(format!("its samples are {what} numbers of {bits} bits, which are read for grey and RGB only")),
        (None, _) => Err(format!("its samples are {what} numbers of {bits} bits, which are not read; convert it to 16 bits")),
    }
}

/// The pixels of unsigned samples of up to 16 bits.
fn plain(layout: &Layout, stored: usize, samples: Vec<u16>) -> Pixels {
    let (w, h) = (layout.width as u32, layout.height as u32);
    Pixels::Plain(match layout.bits {
        0..=8 => plain8(stored, w, h, samples.into_iter().map(|v| v as u8).collect()),
        _ => plain16(stored, w, h, samples),
    })
}
