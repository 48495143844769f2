//! The strips and tiles of a TIFF file.
//!
//! Each strip or tile is decoded as a picture of its own, so that planes, tiles at the border and bands beside the colours
//! need no case of their own. Zstandard and WebP are decoded here, other compressions by the `tiff` crate.

use std::io::{Cursor, Read, Seek};

use tiff::decoder::{Decoder, Limits};

use super::layout::{Layout, damaged, unpacked};
use crate::photo::ifd::{Directory, Reader, Value};
use crate::photo::jpeg::frame_size;
use crate::photo::problem::MOST_BYTES;
use crate::photo::tag;

/// Samples as they are stored, unpacked to 1, 2, 4 or 8 bytes in the byte order of this machine, interleaved.
pub(super) struct Samples {
    pub bytes: Vec<u8>,
}

/// A strip or a tile.
struct Chunk {
    left: usize,
    top: usize,
    /// The plane, or 0.
    plane: usize,
    /// Columns and rows that are stored.
    stored: [usize; 2],
}

/// Where the strips or tiles lie.
struct Places {
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    tables: Option<Value>,
}

/// Reads all strips or tiles.
pub(super) fn read<R: Read + Seek>(
    file: &mut Reader<R>,
    page: &Directory,
    layout: &Layout,
) -> Result<Samples, String> {
    let size = unpacked(layout.bits);
    let places = Places {
        offsets: file
            .numbers(page, if layout.tiled { tag::TILE_OFFSETS } else { tag::STRIP_OFFSETS }),
        lengths: file
            .numbers(page, if layout.tiled { tag::TILE_LENGTHS } else { tag::STRIP_LENGTHS }),
        tables: file.find(page, tag::JPEG_TABLES),
    };
    check(file.length, layout, size)?;
    let [columns, rows] = layout.chunk;
    let planes = if layout.planar { layout.samples } else { 1 };
    let count = layout.width.div_ceil(columns).saturating_mul(layout.height.div_ceil(rows));
    let count = count.saturating_mul(planes);
    if places.offsets.len() < count || places.lengths.len() < count {
        return Err("parts of the picture are missing".into());
    }
    let stored =
        places.lengths[..count].iter().fold(0u64, |sum, &length| sum.saturating_add(length));
    if stored > file.length.saturating_mul(2) {
        return Err(damaged());
    }
    let chunks = chunks(layout);
    let pixel = layout.samples * size;
    let mut bytes = vec![0; layout.height * layout.width * pixel];
    for (index, chunk) in chunks.iter().enumerate() {
        let decoded = decode(file, layout, &places, index, chunk)?;
        place(&mut bytes, layout, chunk, &decoded);
    }
    Ok(Samples { bytes })
}

/// Refuses sizes that the file cannot hold.
fn check(length: u64, layout: &Layout, size: usize) -> Result<(), String> {
    let sides = format!("{} × {} pixels", layout.width, layout.height);
    let [columns, rows] = layout.chunk;
    let count = |width: usize, height: usize| {
        let pixels = (width as u64).checked_mul(height as u64)?;
        pixels.checked_mul((layout.samples * size.max(layout.held)) as u64)
    };
    let most = |bytes: Option<u64>| bytes.filter(|&bytes| bytes <= MOST_BYTES);
    let (Some(_), Some(_)) = (most(count(columns, rows)), most(count(layout.width, layout.height)))
    else {
        return Err(format!("{sides} are too many"));
    };
    // The most that a byte of the file can stand for.
    let ratio: u64 = match layout.compression {
        1 => 1,
        32773 => 128,
        5 => 4096,
        8 | 32946 => 1100,
        7 => 4000,
        _ => 1 << 20,
    };
    let fits = |width: usize, height: usize| {
        let bits = layout.bits.saturating_mul((layout.samples * width) as u64);
        let needed = bits.div_ceil(8).saturating_mul(height as u64);
        // Colour may be stored once for several pixels.
        needed / ratio <= length.saturating_mul(3)
    };
    if !fits(layout.width, layout.height) || !fits(columns, rows) {
        return Err(format!("{length} bytes cannot hold {sides}"));
    }
    Ok(())
}

/// The strips or tiles, in the order of the file.
fn chunks(layout: &Layout) -> Vec<Chunk> {
    let [columns, rows] = layout.chunk;
    let mut chunks = Vec::new();
    for plane in 0..if layout.planar { layout.samples } else { 1 } {
        for top in (0..layout.height).step_by(rows) {
            for left in (0..layout.width).step_by(columns) {
                // The last strip is shorter; tiles are whole.
                let rows = if layout.tiled { rows } else { rows.min(layout.height - top) };
                chunks.push(Chunk { left, top, plane, stored: [columns, rows] });
            }
        }
    }
    chunks
}

/// The rows of a strip or tile, packed as in the file but in the byte order of this machine.
fn decode<R: Read + Seek>(
    file: &mut Reader<R>,
    layout: &Layout,
    places: &Places,
    index: usize,
    chunk: &Chunk,
) -> Result<Vec<u8>, String> {
    let mut bytes = file.bytes(places.offsets[index], places.lengths[index])?;
    let samples = if layout.planar { 1 } else { layout.samples };
    let [columns, rows] = chunk.stored;
    let row = (columns * samples) as u64 * layout.bits;
    let row = usize::try_from(row.div_ceil(8)).map_err(|e| e.to_string())?;
    let needed = row * rows;
    let mut compression = layout.compression;
    if layout.reversed && compression != 7 {
        bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
    }
    match compression {
        7 => fits(places.tables.as_ref(), &bytes, chunk.stored, samples)?,
        50000 => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(bytes.as_slice());
            let mut plain = Vec::new();
            let read = decoder.map_err(|_| damaged())?.take(needed as u64).read_to_end(&mut plain);
            read.map_err(|_| damaged())?;
            (bytes, compression) = (plain, 1);
        }
        50001 => {
            let webp = image::load_from_memory_with_format(&bytes, image::ImageFormat::WebP);
            (bytes, compression) = (webp.map_err(|_| damaged())?.into_bytes(), 1);
        }
        _ => {}
    }
    if compression == 1 && bytes.len() < needed {
        return Err("the data of the picture end early".into());
    }
    let whole_bytes = matches!(layout.bits, 8 | 16 | 32 | 64);
    if compression == 1 && layout.predictor == 1 {
        bytes.truncate(needed);
        if whole_bytes && layout.compression != 50001 {
            to_native(&mut bytes, (layout.bits / 8) as usize, layout.little);
        }
        return Ok(bytes);
    }
    // Numbers that are no whole bytes are unpacked later.
    let [columns, samples, bits] = match whole_bytes || compression == 4 {
        true => [columns, samples, layout.bits as usize],
        false => [row, 1, 8],
    };
    if !whole_bytes && layout.predictor != 1 {
        return Err(rare());
    }
    let part = Part { columns, rows, samples, bits, compression };
    let tables = places.tables.as_ref().map(|tables| tables.bytes.as_slice());
    let single = part.to_tiff(layout, &bytes, tables.filter(|_| compression == 7));
    drop(bytes);
    let mut plain = vec![0; needed];
    let mut decoder = Decoder::new(Cursor::new(single))
        .map_err(|e| plain_words(&e))?
        .with_limits(Limits::unlimited());
    decoder.read_image_bytes(&mut plain).map_err(|e| plain_words(&e))?;
    Ok(plain)
}

/// Turns the bytes of numbers round if the file has another order than this machine.
fn to_native(bytes: &mut [u8], size: usize, little: bool) {
    if size > 1 && little != cfg!(target_endian = "little") {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// Checks that a JPEG stream within the file has the size of its strip or tile.
fn fits(
    tables: Option<&Value>,
    bytes: &[u8],
    [columns, rows]: [usize; 2],
    samples: usize,
) -> Result<(), String> {
    let unfit = || String::from("its JPEG parts do not have the size of the strips or tiles");
    if tables.is_some_and(|tables| tables.bytes.len() < 4) {
        return Err(damaged());
    }
    let [found_columns, found_rows, found_samples] = frame_size(bytes).ok_or_else(damaged)?;
    match found_columns == columns && found_rows >= rows && found_samples == samples {
        true => Ok(()),
        false => Err(unfit()),
    }
}

/// A strip or tile on its way to the `tiff` crate.
struct Part {
    columns: usize,
    rows: usize,
    samples: usize,
    bits: usize,
    compression: u64,
}

impl Part {
    /// A TIFF file of one strip, with this part as its picture, in the byte order of its file.
    fn to_tiff(&self, layout: &Layout, bytes: &[u8], tables: Option<&[u8]>) -> Vec<u8> {
        let mut tags = vec![
            (tag::WIDTH, 4, 1, self.columns),
            (tag::HEIGHT, 4, 1, self.rows),
            (tag::BITS, 3, 1, self.bits),
            (tag::COMPRESSION, 3, 1, self.compression as usize),
            (tag::PHOTOMETRIC, 3, 1, 1),
            (tag::STRIP_OFFSETS, 4, 1, 0),
            (tag::SAMPLES, 3, 1, self.samples),
            (tag::ROWS_PER_STRIP, 4, 1, self.rows),
            (tag::STRIP_LENGTHS, 4, 1, bytes.len()),
            (tag::PLANAR, 3, 1, 1),
            (tag::PREDICTOR, 3, 1, layout.predictor as usize),
            (
                tag::SAMPLE_FORMAT,
                3,
                1,
                if self.bits == layout.bits as usize { layout.format as usize } else { 1 },
            ),
        ];
        let start = 8 + 2 + 12 * (tags.len() + usize::from(tables.is_some())) + 4;
        let tables = tables.unwrap_or_default();
        tags[5].3 = start + tables.len();
        if !tables.is_empty() {
            tags.push((tag::JPEG_TABLES, 7, tables.len(), start));
        }
        let number = |value: usize, size: usize| {
            let mut bytes = (value as u64).to_le_bytes()[..size].to_vec();
            if !layout.little {
                bytes.reverse();
            }
            bytes
        };
        let mut file = if layout.little { b"II".to_vec() } else { b"MM".to_vec() };
        file.reserve(start + tables.len() + bytes.len());
        file.extend(number(42, 2));
        file.extend(number(8, 4));
        file.extend(number(tags.len(), 2));
        for (tag, kind, count, value) in tags {
            file.extend(number(tag.into(), 2));
            file.extend(number(kind, 2));
            file.extend(number(count, 4));
            match kind {
                3 => file.extend([number(value, 2), vec![0; 2]].concat()),
                _ => file.extend(number(value, 4)),
            }
        }
        file.extend([0; 4]);
        file.extend(tables);
        file.extend(bytes);
        file
    }
}

/// Puts the pixels of a strip or tile into the picture. What reaches over the border is left out.
fn place(picture: &mut [u8], layout: &Layout, chunk: &Chunk, decoded: &[u8]) {
    let size = unpacked(layout.bits);
    let samples = if layout.planar { 1 } else { layout.samples };
    let [columns, rows] = chunk.stored;
    let row_bytes = ((columns * samples) as u64 * layout.bits).div_ceil(8) as usize;
    let columns = columns.min(layout.width - chunk.left);
    let rows = rows.min(layout.height - chunk.top);
    let mut unpacked = Vec::new();
    for y in 0..rows {
        let mut row = &decoded[y * row_bytes..(y + 1) * row_bytes];
        if layout.bits != 8 * size as u64 {
            unpacked.clear();
            unpack(row, layout.bits as usize, size, columns * samples, &mut unpacked);
            row = &unpacked;
        }
        let at = ((chunk.top + y) * layout.width + chunk.left) * layout.samples * size;
        if samples == layout.samples {
            let length = columns * samples * size;
            picture[at..at + length].copy_from_slice(&row[..length]);
            continue;
        }
        for (x, sample) in row.chunks_exact(size).take(columns).enumerate() {
            let at = at + (x * layout.samples + chunk.plane) * size;
            picture[at..at + size].copy_from_slice(sample);
        }
    }
}

/// Unpacks numbers of a few bits, the highest bit first.
fn unpack(row: &[u8], bits: usize, size: usize, count: usize, into: &mut Vec<u8>) {
    for k in 0..count {
        let value = (k * bits..(k + 1) * bits)
            .fold(0u16, |value, bit| value << 1 | u16::from(row[bit / 8] >> (7 - bit % 8) & 1));
        match size {
            1 => into.push(value as u8),
            _ => into.extend(value.to_ne_bytes()),
        }
    }
}

fn rare() -> String {
    "it is of a rare variant of TIFF that is not read; save it again with another program".into()
}

/// A decoder's error without names of types.
fn plain_words(error: &tiff::TiffError) -> String {
    match error {
        tiff::TiffError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the data of the picture end early".into()
        }
        tiff::TiffError::UnsupportedError(_) => rare(),
        tiff::TiffError::LimitsExceeded => "it needs too much memory".into(),
        _ => damaged(),
    }
}
