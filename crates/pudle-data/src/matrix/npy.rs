//! NumPy's files: one array (`.npy`), or several in a zip archive (`.npz`).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr};
use zip::{CompressionMethod, ZipArchive};

use super::array::Array;
use super::number::{Kind, Number};
use super::storage::{Storage, Unpacked};
use crate::error::{DataError, Result};
use crate::npy_header::read_npy_header;

/// An archive member is refused if it is larger than this and unpacks to more than [`MOST_RATIO`] times its size.
const LARGE: u64 = 1 << 30;
const MOST_RATIO: u64 = 200;

/// The array of a `.npy` file.
pub(super) fn open(path: &Path) -> Result<Array> {
    let storage = Storage::open(path)?;
    let mut file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let header = Header::read(path, &mut file)?;
    header.array(path, storage, 0)
}

/// What stands before the numbers.
struct Header {
    header: NpyHeader,
    /// Number of its bytes.
    length: u64,
}

impl Header {
    fn read(path: &Path, reader: &mut impl Read) -> Result<Self> {
        let (header, length) = read_npy_header(reader).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => DataError::format(path, "ends in its header"),
            ErrorKind::InvalidData => {
                DataError::format(path, format!("not an array of NumPy: {error}"))
            }
            _ => DataError::io(path, error),
        })?;
        Ok(Self { header, length })
    }

    /// The array whose header starts at `offset`.
    fn array(self, path: &Path, storage: Storage, offset: u64) -> Result<Array> {
        let number = match self.header.dtype() {
            DType::Plain(kind) => number(&kind).ok_or_else(|| match kind.uses_pickled_array() {
                true => "holds Python objects (dtype object), which are never read".to_owned(),
                false => format!("holds numbers of type {kind}, which are not read"),
            }),
            _ => Err("holds records, not an array of numbers".to_owned()),
        };
        let number = number.map_err(|reason| DataError::format(path, reason))?;
        let shape: Option<Vec<usize>> =
            self.header.shape().iter().map(|axis| usize::try_from(*axis).ok()).collect();
        let shape =
            shape.ok_or_else(|| DataError::format(path, "is too large for this machine"))?;
        let fortran = self.header.order() == Order::Fortran;
        let offset = offset + self.length;
        Array { path: path.to_owned(), storage, offset, number, shape, fortran }.checked()
    }
}

/// The type of numbers that NumPy calls so.
fn number(name: &TypeStr) -> Option<Number> {
    let kind = match (name.type_char(), name.size_field()) {
        (TypeChar::Bool, 1) => Kind::Bool,
        (TypeChar::Int, 1) => Kind::I8,
        (TypeChar::Int, 2) => Kind::I16,
        (TypeChar::Int, 4) => Kind::I32,
        (TypeChar::Int, 8) => Kind::I64,
        (TypeChar::Uint, 1) => Kind::U8,
        (TypeChar::Uint, 2) => Kind::U16,
        (TypeChar::Uint, 4) => Kind::U32,
        (TypeChar::Uint, 8) => Kind::U64,
        (TypeChar::Float, 2) => Kind::F16,
        (TypeChar::Float, 4) => Kind::F32,
        (TypeChar::Float, 8) => Kind::F64,
        // NumPy has no bfloat16. The package ml_dtypes adds it, and NumPy writes it as two raw bytes.
        (TypeChar::RawData, 2) => Kind::BF16,
        _ => return None,
    };
    Some(Number { kind, big_endian: name.endianness() == Endianness::Big })
}

/// An archive of arrays.
pub(super) struct Archive<'a> {
    path: &'a Path,
    storage: Storage,
    zip: ZipArchive<File>,
}

impl<'a> Archive<'a> {
    /// Opens an archive.
    pub fn open(path: &'a Path) -> Result<Self> {
        let storage = Storage::open(path)?;
        let file = File::open(path).map_err(|e| DataError::io(path, e))?;
        let zip = ZipArchive::new(file).map_err(|e| {
            DataError::format(
                path,
                format!("not an archive of arrays (npz): damaged zip file: {e}"),
            )
        })?;
        let archive = Self { path, storage, zip };
        if archive.zip.file_names().flatten().any(|name| name.ends_with("data.pkl")) {
            let reason = "a file of PyTorch (a pickle), which is not read as data: save the array with numpy.save";
            return Err(DataError::format(path, reason));
        }
        Ok(archive)
    }

    /// The names of its arrays, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names().flatten();
        let mut names: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// The array of this name. An uncompressed array is read where it lies; a compressed one is unpacked.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let path = self.path;
        let damaged = |e: &dyn std::fmt::Display| {
            DataError::format(path, format!("\"{name}\" is damaged: {e}"))
        };
        let member = format!("{name}.npy");
        let mut file = self.zip.by_name(&member).map_err(|e| damaged(&e))?;
        if let (CompressionMethod::Stored, Some(start)) = (file.compression(), file.data_start()) {
            let header = Header::read(path, &mut file)?;
            return header.array(path, self.storage.clone(), start);
        }
        let (packed, size) = (file.compressed_size(), file.size());
        if size > LARGE && size / MOST_RATIO > packed {
            let reason = format!(
                "\"{name}\" would grow from {packed} to {size} bytes; unpack the archive first if that is right"
            );
            return Err(DataError::format(path, reason));
        }
        let mut unpacked = Unpacked::new(path);
        let mut block = vec![0; 1 << 16];
        let mut left = size;
        loop {
            let count = file.read(&mut block).map_err(|e| damaged(&e))?;
            if count == 0 {
                break;
            }
            left = left.checked_sub(count as u64).ok_or_else(|| damaged(&"larger than it says"))?;
            unpacked.append(&block[..count])?;
        }
        let storage = unpacked.finish()?;
        let header = Header::read(path, &mut Positioned { storage: &storage, at: 0 })?;
        header.array(path, storage, 0)
    }
}

/// Reads a storage from its start.
struct Positioned<'a> {
    storage: &'a Storage,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.storage.len()?.saturating_sub(self.at);
        let count = out.len().min(left as usize);
        self.storage.read_at(&mut out[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
