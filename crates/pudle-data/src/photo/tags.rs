//! What TIFF files and Exif data say of a picture.

use std::io::{Cursor, Read, Seek, Write};

use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind};
use tiff::tags::{Tag, Type};
use tiff::{Directory as Written, TiffResult};

use super::ifd::{Directory, Reader, Value};
use super::tag;

/// Tags of pages that describe the picture, and that Exif data can hold as well.
const DESCRIPTIVE: [u16; 8] = [270, 271, 272, 305, 306, 315, 316, 33432];
/// Tags that describe the picture in TIFF files only: names, colours, places on a map.
const OF_TIFF: [u16; 16] = [
    269, 285, 301, 318, 319, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 37510, 50838,
    50839,
];
/// Tags that say how pixels are stored, or that are read apart.
const STRUCTURE: [u16; 55] = [
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282,
    283, 284, 288, 289, 292, 293, 296, 297, 317, 320, 322, 323, 324, 325, 330, 332, 334, 338, 339,
    340, 341, 347, 512, 513, 514, 529, 530, 531, 532, 700, 34016, 34377, 34665, 34675, 34853,
    59932,
];
/// Tags of Exif data that point elsewhere, or that the pixels themselves say.
const POINTERS: [u16; 1] = [0xa005];

/// Most bytes of Exif data that are kept.
const MOST: u64 = 1 << 26;

/// Tags and their values.
pub(super) type Values = Vec<(u16, Value)>;

/// The tags that describe a picture.
#[derive(Clone, Debug, Default)]
pub(super) struct TagSet {
    pub main: Values,
    pub exif: Values,
    pub gps: Values,
    /// Numbers of tags that are not kept.
    pub lost: Vec<u16>,
}

impl TagSet {
    /// The tags of a page. The description of a whole stack is not that of a page: `single` says that there is one page.
    pub(super) fn of_page<R: Read + Seek>(
        file: &mut Reader<R>,
        page: &Directory,
        single: bool,
    ) -> Self {
        let mut set = Self::default();
        for &tag in page.tags.keys() {
            let stack = !single && matches!(tag, 270 | 50838 | 50839);
            let keep = DESCRIPTIVE.contains(&tag)
                || OF_TIFF.contains(&tag)
                || matches!(tag, 282 | 283 | 296 | 700 | 33723 | 34377 | 34675);
            if keep && let Some(value) = file.find(page, tag) {
                if value.bytes.starts_with(b"{\"shape\"") {
                    // tifffile's note of how the samples are stored.
                } else if stack && describes_stack(&value) {
                    set.lost.push(tag);
                } else {
                    set.main.push((tag, value));
                }
            } else if !STRUCTURE.contains(&tag) {
                set.lost.push(tag);
            }
        }
        set.exif = below(file, page, tag::EXIF);
        set.gps = below(file, page, tag::GPS);
        set
    }

    /// The tags of Exif data.
    pub(super) fn of_exif(block: &[u8]) -> Option<Self> {
        let mut file = Reader::new(Cursor::new(block)).ok()?;
        let first = file.directory(file.first).ok()?;
        let mut set = Self::default();
        for &tag in first.tags.keys().filter(|tag| DESCRIPTIVE.contains(tag)) {
            set.main.extend(file.find(&first, tag).map(|value| (tag, value)));
        }
        set.exif = below(&mut file, &first, tag::EXIF);
        set.gps = below(&mut file, &first, tag::GPS);
        Some(set)
    }

    /// The value of a tag, which is taken out.
    pub(super) fn take(&mut self, tag: u16) -> Option<Value> {
        let at = self.main.iter().position(|(found, _)| *found == tag)?;
        Some(self.main.remove(at).1)
    }

    /// Numbers of tags that Exif data do not hold.
    pub(super) fn beside_exif(&self) -> Vec<u16> {
        let numbers = self.main.iter().map(|(tag, _)| *tag);
        numbers.filter(|tag| !DESCRIPTIVE.contains(tag)).collect()
    }

    /// Exif data with these tags; `None` if there are none.
    pub(super) fn to_exif(&self) -> Option<Vec<u8>> {
        let mut set = self.clone();
        set.main.retain(|(tag, _)| DESCRIPTIVE.contains(tag));
        if set.main.is_empty() && set.exif.is_empty() && set.gps.is_empty() {
            return None;
        }
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).ok()?;
        let below = set.write_below(&mut encoder).ok()?;
        let mut directory = encoder.image_directory().ok()?;
        set.write_main(&mut directory, below).ok()?;
        directory.finish().ok()?;
        Some(bytes.into_inner())
    }

    /// Writes the directories of Exif and of places. Returns where they are.
    pub(super) fn write_below<W: Write + Seek, K: TiffKind>(
        &self,
        encoder: &mut TiffEncoder<W, K>,
    ) -> TiffResult<Vec<(u16, K::OffsetType)>> {
        let mut places = Vec::new();
        for (tag, values) in [(34665, &self.exif), (34853, &self.gps)] {
            if !values.is_empty() {
                let mut directory = encoder.extra_directory()?;
                write_values(&mut directory, values)?;
                places.push((tag, directory.finish_with_offsets()?.offset));
            }
        }
        Ok(places)
    }

    /// Writes the tags of the page into its directory.
    pub(super) fn write_main<W: Write + Seek, K: TiffKind>(
        &self,
        directory: &mut DirectoryEncoder<'_, W, K>,
        below: Vec<(u16, K::OffsetType)>,
    ) -> TiffResult<()> {
        write_values(directory, &self.main)?;
        for (tag, place) in below {
            directory.write_tag(Tag::from_u16_exhaustive(tag), place)?;
        }
        Ok(())
    }
}

/// Whether a text describes the pages of a stack.
fn describes_stack(value: &Value) -> bool {
    let starts = |start: &[u8]| value.bytes.starts_with(start);
    value.kind != 2 || starts(b"<?xml") || starts(b"ImageJ=")
}

/// The tags of a directory that a tag of another points to.
fn below<R: Read + Seek>(file: &mut Reader<R>, of: &Directory, tag: u16) -> Values {
    let Some(&at) = file.numbers(of, tag).first() else { return Vec::new() };
    let Ok(found) = file.directory(at) else { return Vec::new() };
    let mut left = MOST;
    let mut values = Vec::new();
    for &tag in found.tags.keys().filter(|tag| !POINTERS.contains(tag)) {
        left = left.saturating_sub(found.length(tag));
        if left > 0 {
            values.extend(file.find(&found, tag).map(|value| (tag, value)));
        }
    }
    values
}

fn write_values<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, W, K>,
    values: &Values,
) -> TiffResult<()> {
    let mut entries = Written::empty();
    for (tag, value) in values {
        if let Some(kind) = Type::from_u16(value.kind) {
            let entry = directory.write_entry_bytes(kind, &value.bytes)?;
            entries.extend([(Tag::from_u16_exhaustive(*tag), entry)]);
        }
    }
    directory.extend_from(&entries);
    Ok(())
}

/// Tags in words; `None` if there are none.
pub(super) fn names(numbers: &[u16]) -> Option<String> {
    let name = |tag: &u16| match tag {
        269 => "the document's name".into(),
        270 => "the description".into(),
        285 => "the page's name".into(),
        33550 | 33922 | 34264 | 34735..=34737 | 42112 | 42113 => "the place on the map".into(),
        290 | 291 => "the grey response curve".into(),
        336 => "the range of the inks".into(),
        318 | 319 | 301 => "the white point or the primaries".into(),
        33723 => "IPTC data".into(),
        50838 | 50839 => "data of ImageJ".into(),
        other => format!("TIFF tag {other}"),
    };
    let mut names: Vec<String> = numbers.iter().map(name).collect();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}
