//! Writing TIFF files: samples of any type, not compressed, with all tags.

use std::io::{Seek, Write};

use tiff::encoder::{DirectoryEncoder, Rational, TiffEncoder, TiffKind};
use tiff::tags::{Tag, Type};
use tiff::{Directory, TiffResult};

use crate::photo::deep::Kind;
use crate::photo::notes::{Density, Notes};
use crate::photo::pixels::Pixels;
use crate::photo::tags::TagSet;

/// Files of more bytes are written as BigTIFF.
const MOST_CLASSIC: usize = 4_000_000_000;
/// Bytes of a strip, about.
const STRIP: usize = 1 << 20;

/// The samples of a page.
struct Page<'a> {
    width: usize,
    height: usize,
    stored: usize,
    kind: Kind,
    bytes: &'a [u8],
}

/// Writes pixels as a TIFF file.
pub(in crate::photo) fn write<W: Write + Seek>(
    file: W,
    pixels: &Pixels,
    notes: &Notes,
    set: &TagSet,
) -> TiffResult<()> {
    let held;
    let page = match pixels {
        Pixels::Plain(plain) => {
            let color = plain.color();
            let stored = usize::from(color.channel_count());
            let deep = usize::from(color.bytes_per_pixel()) > stored;
            Page {
                width: plain.width() as usize,
                height: plain.height() as usize,
                stored,
                kind: if deep { Kind::U16 } else { Kind::U8 },
                bytes: plain.as_bytes(),
            }
        }
        Pixels::Deep(deep) => {
            held = deep.to_bytes();
            let (width, height) = (deep.width, deep.height);
            Page { width, height, stored: deep.stored, kind: deep.kind, bytes: &held }
        }
    };
    match page.bytes.len() > MOST_CLASSIC {
        true => page.write(TiffEncoder::new_big(file)?, notes, set),
        false => page.write(TiffEncoder::new(file)?, notes, set),
    }
}

impl Page<'_> {
    fn write<W: Write + Seek, K: TiffKind>(
        &self,
        mut encoder: TiffEncoder<W, K>,
        notes: &Notes,
        set: &TagSet,
    ) -> TiffResult<()> {
        let below = set.write_below(&mut encoder)?;
        let mut directory = encoder.image_directory()?;
        let row = self.width * self.stored * self.kind.bytes();
        let rows = (STRIP / row).clamp(1, self.height);
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for strip in self.bytes.chunks(rows * row) {
            places.push(K::convert_offset(directory.write_data(strip)?)?);
            lengths.push(K::convert_offset(strip.len() as u64)?);
        }
        let number = |value: usize| value as u32;
        directory.write_tag(Tag::ImageWidth, number(self.width))?;
        directory.write_tag(Tag::ImageLength, number(self.height))?;
        directory.write_tag(Tag::RowsPerStrip, number(rows))?;
        directory.write_tag(Tag::StripOffsets, K::convert_slice(&places))?;
        directory.write_tag(Tag::StripByteCounts, K::convert_slice(&lengths))?;
        let bits = vec![8 * self.kind.bytes() as u16; self.stored];
        directory.write_tag(Tag::BitsPerSample, bits.as_slice())?;
        let formats = vec![self.kind.format(); self.stored];
        directory.write_tag(Tag::SampleFormat, formats.as_slice())?;
        directory.write_tag(Tag::Compression, 1u16)?;
        directory
            .write_tag(Tag::PhotometricInterpretation, if self.stored < 3 { 1u16 } else { 2 })?;
        directory.write_tag(Tag::SamplesPerPixel, self.stored as u16)?;
        directory.write_tag(Tag::PlanarConfiguration, 1u16)?;
        if self.stored.is_multiple_of(2) {
            directory.write_tag(Tag::ExtraSamples, notes.extra.unwrap_or(2) as u16)?;
        }
        describe(&mut directory, notes)?;
        set.write_main(&mut directory, below)?;
        directory.finish()
    }
}

/// Writes the tags that are not in the set.
fn describe<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, W, K>,
    notes: &Notes,
) -> TiffResult<()> {
    if let Some(Density { unit, x, y }) = notes.density {
        let ratio = |value: f64| {
            let d = if value == value.round() { 1 } else { 10_000 };
            Rational { n: (value * f64::from(d)).round() as u32, d }
        };
        directory.write_tag(Tag::XResolution, ratio(x))?;
        directory.write_tag(Tag::YResolution, ratio(y))?;
        directory.write_tag(Tag::ResolutionUnit, u16::from(unit) + 1)?;
    }
    let blocks = [
        (34675, Type::UNDEFINED, &notes.profile),
        (700, Type::BYTE, &notes.xmp),
        (34377, Type::BYTE, &notes.photoshop),
    ];
    let mut entries = Directory::empty();
    for (tag, kind, block) in blocks {
        if let Some(block) = block {
            let entry = directory.write_entry_bytes(kind, block)?;
            entries.extend([(Tag::from_u16_exhaustive(tag), entry)]);
        }
    }
    directory.extend_from(&entries);
    Ok(())
}
