//! How a page of a TIFF file is stored, and what of it is not read.

use std::io::{Read, Seek};

use crate::photo::deep::Kind;
use crate::photo::ifd::{Directory, Reader};
use crate::photo::tag;

/// How the samples of a page are stored.
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    /// Bits of a sample.
    pub bits: u64,
    /// 1 unsigned, 2 signed, 3 real.
    pub format: u64,
    /// Samples of a pixel.
    pub samples: usize,
    pub planar: bool,
    pub compression: u64,
    pub photometric: u64,
    pub predictor: u64,
    /// Whether the lowest bit of a byte is the first.
    pub reversed: bool,
    pub tiled: bool,
    /// Columns and rows of a strip or tile.
    pub chunk: [usize; 2],
    pub little: bool,
    /// Bytes that a sample takes in memory in the end.
    pub held: usize,
    /// What a sample beside the colours is: 0 unknown, 1 alpha that the colours are multiplied with, 2 alpha.
    pub extra: Option<u64>,
}

pub(super) const RAW: &str = "a camera's raw file, which is not read; develop it to TIFF";

pub(super) fn damaged() -> String {
    "its data are damaged".into()
}

/// Bytes that a sample of so many bits is unpacked to.
pub(super) fn unpacked(bits: u64) -> usize {
    match bits {
        0..=8 => 1,
        9..=16 => 2,
        17..=32 => 4,
        _ => 8,
    }
}

/// Width and height.
pub(super) fn sides<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> [u64; 2] {
    [file.first_number(page, tag::WIDTH, 0), file.first_number(page, tag::HEIGHT, 0)]
}

/// Reads how the samples are stored, and refuses what is not read.
pub(super) fn layout<R: Read + Seek>(
    file: &mut Reader<R>,
    page: &Directory,
) -> Result<Layout, String> {
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
    let bits = equal(file.numbers(page, tag::BITS), 1)?;
    let format = match equal(file.numbers(page, tag::SAMPLE_FORMAT), 1)? {
        4 => 1,
        format => format,
    };
    let samples = file.first_number(page, tag::SAMPLES, 1);
    let photometric = file.first_number(page, tag::PHOTOMETRIC, 1);
    let compression = compression(file.first_number(page, tag::COMPRESSION, 1))?;
    let extras = file.numbers(page, tag::EXTRA_SAMPLES);
    let colors = colors(photometric)?;
    if photometric == 5 && file.first_number(page, tag::INK_SET, 1) != 1 {
        return Err("its inks are not cyan, magenta, yellow and black; convert it to RGB".into());
    }
    let extra = extra(samples, colors, photometric, &extras)?;
    let kind = kind(format, bits, photometric)?;
    let tiled = page.tags.contains_key(&tag::TILE_OFFSETS);
    let rows = file.first_number(page, tag::ROWS_PER_STRIP, height as u64).clamp(1, height as u64);
    let chunk = match tiled {
        true => [
            file.first_number(page, tag::TILE_WIDTH, 0),
            file.first_number(page, tag::TILE_HEIGHT, 0),
        ],
        false => [width as u64, rows],
    };
    let (Some(columns), Some(rows)) = (side(chunk[0]), side(chunk[1])) else {
        return Err(damaged());
    };
    if photometric == 6 {
        let subsampled = file.numbers(page, tag::SUBSAMPLING).iter().any(|&v| v != 1)
            || !page.tags.contains_key(&tag::SUBSAMPLING);
        if bits != 8 || (subsampled && compression != 7) {
            return Err(
                "its colours (YCbCr) are stored in a way that is not read; convert it to RGB"
                    .into(),
            );
        }
    }
    Ok(Layout {
        width,
        height,
        bits,
        format,
        samples: samples as usize,
        planar: file.first_number(page, tag::PLANAR, 1) == 2 && samples > 1,
        compression,
        photometric,
        predictor: file.first_number(page, tag::PREDICTOR, 1),
        reversed: file.first_number(page, tag::FILL_ORDER, 1) == 2,
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
        _ => {
            return Err(format!(
                "its compression, number {number}, is not read; save it with LZW or Deflate"
            ));
        }
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
        8..=10 => {
            Err("its colours are in the Lab space, which is not read; convert it to RGB".into())
        }
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
pub(super) fn kind(format: u64, bits: u64, photometric: u64) -> Result<Option<Kind>, String> {
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
        (Some(_), _) => Err(format!(
            "its samples are {what} numbers of {bits} bits, which are read for grey and RGB only"
        )),
        (None, _) => Err(format!(
            "its samples are {what} numbers of {bits} bits, which are not read; convert it to 16 bits"
        )),
    }
}
