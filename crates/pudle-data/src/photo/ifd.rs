//! Directories of TIFF files and of Exif data.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek, SeekFrom};

/// Most directories of a file that are looked at.
const MOST_PAGES: usize = 100_000;

/// Where the values of a tag lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    kind: u16,
    at: u64,
    length: u64,
}

/// The values of a tag, in the byte order of this machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// The type of TIFF: 1 byte, 2 text, 3 short, 4 long, 5 ratio and so on.
    pub kind: u16,
    pub bytes: Vec<u8>,
}

impl Value {
    /// The values, if they are whole numbers of no sign.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let size = unit(self.kind).0;
        let wide = |b: &[u8]| {
            let mut wide = [0; 8];
            let start = if cfg!(target_endian = "little") { 0 } else { 8 - b.len() };
            wide[start..start + b.len()].copy_from_slice(b);
            u64::from_ne_bytes(wide)
        };
        match self.kind {
            1 | 3 | 4 | 7 | 13 | 16 | 18 => self.bytes.chunks_exact(size).map(wide).collect(),
            _ => Vec::new(),
        }
    }

    /// The values, if they are ratios.
    pub(super) fn ratios(&self) -> Vec<f64> {
        if self.kind != 5 {
            return Vec::new();
        }
        let long = |b: &[u8]| f64::from(u32::from_ne_bytes(b.try_into().expect("4 bytes")));
        self.bytes.chunks_exact(8).map(|b| long(&b[..4]) / long(&b[4..])).collect()
    }
}

/// Bytes of a value of a type, and bytes of the numbers that it consists of. Unknown types have 0.
fn unit(kind: u16) -> (usize, usize) {
    match kind {
        1 | 2 | 6 | 7 => (1, 1),
        3 | 8 => (2, 2),
        4 | 9 | 11 | 13 => (4, 4),
        5 | 10 => (8, 4),
        12 | 16 | 17 | 18 => (8, 8),
        _ => (0, 1),
    }
}

/// A directory: its tags, and the place of the next one, or 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub tags: BTreeMap<u16, Entry>,
    pub next: u64,
    /// Where the place of the next one is written.
    pub next_at: u64,
    /// Bytes that it takes.
    bytes: u64,
}

impl Directory {
    /// Bytes of the values of a tag.
    pub(super) fn length(&self, tag: u16) -> u64 {
        self.tags.get(&tag).map_or(0, |entry| entry.length)
    }
}

/// Reads directories.
pub(super) struct Reader<R> {
    file: R,
    big: bool,
    pub little: bool,
    pub length: u64,
    pub first: u64,
}

const CUT: &str = "the file ends before the picture does";

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(mut file: R) -> Result<Self, String> {
        let length = file.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
        let mut reader = Self { file, big: false, little: true, length, first: 0 };
        let order = reader.bytes(0, 2)?;
        reader.little = match order.as_slice() {
            b"II" => true,
            b"MM" => false,
            _ => return Err("its first bytes are not those of a TIFF file".into()),
        };
        reader.first = match reader.number(2, 2)? {
            42 => reader.number(4, 4)?,
            43 => {
                reader.big = true;
                reader.number(8, 8)?
            }
            _ => return Err("its first bytes are not those of a TIFF file".into()),
        };
        Ok(reader)
    }

    /// Bytes of the file.
    pub(super) fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>, String> {
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(CUT.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|e| e.to_string())?];
        self.file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        self.file.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    fn number(&mut self, at: u64, size: u64) -> Result<u64, String> {
        let bytes = self.bytes(at, size)?;
        Ok(self.whole(&bytes))
    }

    fn whole(&self, bytes: &[u8]) -> u64 {
        let join = |sum, &b: &u8| sum << 8 | u64::from(b);
        match self.little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        }
    }

    pub(super) fn directory(&mut self, at: u64) -> Result<Directory, String> {
        let (head, size, wide) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        if count > 65_535 {
            return Err("its directory is damaged".into());
        }
        let start = at + head;
        let bytes = self.bytes(start, count * size)?;
        let mut tags = BTreeMap::new();
        for (k, entry) in bytes.chunks_exact(size as usize).enumerate() {
            let (tag, kind) = (self.whole(&entry[..2]) as u16, self.whole(&entry[2..4]) as u16);
            let count = self.whole(&entry[4..4 + wide as usize]);
            let Some(length) = count.checked_mul(unit(kind).0 as u64) else { continue };
            let place = start + k as u64 * size + 4 + wide;
            let at = if length <= wide { place } else { self.whole(&entry[4 + wide as usize..]) };
            if length > 0 {
                tags.insert(tag, Entry { kind, at, length });
            }
        }
        let next_at = start + count * size;
        let next = self.number(next_at, wide).unwrap_or(0);
        Ok(Directory { tags, next, next_at, bytes: count * size })
    }

    /// The directories of the file, one after the other, and whether a further one is damaged.
    pub(super) fn directories(&mut self) -> Result<(Vec<Directory>, bool), String> {
        let mut all = vec![self.directory(self.first)?];
        let mut seen = HashSet::from([self.first]);
        // Directories that lie in each other would take for ever.
        let mut left = self.length.saturating_mul(2);
        loop {
            let next = all[all.len() - 1].next;
            if next == 0 {
                return Ok((all, false));
            }
            left = left.saturating_sub(all[all.len() - 1].bytes);
            if !seen.insert(next) || all.len() >= MOST_PAGES || left == 0 {
                return Ok((all, true));
            }
            match self.directory(next) {
                Ok(page) if page.tags.contains_key(&super::tag::WIDTH) => all.push(page),
                _ => return Ok((all, true)),
            }
        }
    }

    /// The values of an entry.
    pub(super) fn value(&mut self, entry: Entry) -> Result<Value, String> {
        let mut bytes = self.bytes(entry.at, entry.length)?;
        if self.little != cfg!(target_endian = "little") {
            bytes.chunks_exact_mut(unit(entry.kind).1).for_each(<[u8]>::reverse);
        }
        Ok(Value { kind: entry.kind, bytes })
    }

    /// The values of a tag, if the directory has it.
    pub(super) fn find(&mut self, of: &Directory, tag: u16) -> Option<Value> {
        let entry = *of.tags.get(&tag)?;
        self.value(entry).ok()
    }

    /// The whole numbers of a tag. There are none if the tag is missing.
    pub(super) fn numbers(&mut self, of: &Directory, tag: u16) -> Vec<u64> {
        self.find(of, tag).map(|value| value.numbers()).unwrap_or_default()
    }

    /// The ratios or whole numbers of a tag. There are none if the tag is missing.
    pub(super) fn real_numbers(&mut self, of: &Directory, tag: u16) -> Vec<f64> {
        let Some(value) = self.find(of, tag) else { return Vec::new() };
        match value.ratios() {
            ratios if ratios.is_empty() => value.numbers().iter().map(|&v| v as f64).collect(),
            ratios => ratios,
        }
    }

    /// The first whole number of a tag, or `default`.
    pub(super) fn first_number(&mut self, of: &Directory, tag: u16, default: u64) -> u64 {
        self.numbers(of, tag).first().copied().unwrap_or(default)
    }
}
