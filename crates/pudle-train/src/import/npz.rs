//! Archives of NumPy arrays.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::read::ZipFile;

use super::array::Array;
use super::npy::{check_length, header};
use crate::error::{Result, TrainError};

/// Arrays up to this size may be packed as tightly as they like.
const SMALL: u64 = 1 << 26;

/// Larger arrays of weights are not packed to less than this part of their size.
const TIGHTEST: u64 = 100;

/// The largest array that is not one of numbers, but a text.
const LONGEST_TEXT: u64 = 1 << 20;

/// The bytes of a text in an archive of arrays; `None` if the file is no such archive, or holds no text of this name.
pub(crate) fn archive_text(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let mut start = [0; 2];
    let mut file = File::open(path).map_err(TrainError::io(path))?;
    match file.read(&mut start).map_err(TrainError::io(path))? {
        2 if &start == b"PK" => Npz::open(path)?.text(path, name),
        _ => Ok(None),
    }
}

/// An open archive.
pub(super) struct Npz {
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Opens an archive.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(TrainError::io(path))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            TrainError::weights(path, format!("is a damaged or truncated zip archive: {error}"))
        })?;
        Ok(Self { archive })
    }

    /// The names of the entries. Those that are no text are left out.
    fn entries(&self) -> impl Iterator<Item = String> {
        self.archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()))
    }

    /// Whether PyTorch wrote the archive.
    pub fn is_pytorch(&self) -> bool {
        self.entries().any(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
    }

    /// The names of the arrays, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let name = |entry: String| Some(entry.strip_suffix(".npy")?.to_owned());
        let mut names: Vec<String> = self.entries().filter_map(name).collect();
        names.sort();
        names
    }

    fn entry(&mut self, path: &Path, name: &str) -> Result<ZipFile<'_, BufReader<File>>> {
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|error| {
            TrainError::weights(path, format!("{name:?} cannot be unpacked: {error}"))
        })?;
        let (packed, size) = (entry.compressed_size(), entry.size());
        if size > SMALL && size / packed.max(1) > TIGHTEST {
            let reason = format!(
                "{name:?} unpacks to {size} bytes from {packed}, as in a zip bomb; unpack it yourself if you trust it"
            );
            return Err(TrainError::weights(path, reason));
        }
        Ok(entry)
    }

    /// An array of numbers. No more is unpacked than its shape says.
    pub fn read(&mut self, path: &Path, name: &str) -> Result<Array> {
        let mut entry = self.entry(path, name)?;
        let size = entry.size();
        let (header, start) = header(&mut entry, name, path)?;
        check_length(&header, start, size, path)?;
        header.read(path, entry)
    }

    /// The bytes of a text that is stored as an array of bytes; `None` if there is none of this name.
    pub fn text(&mut self, path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
        if self.archive.index_for_name(&format!("{name}.npy")).is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let entry = self.entry(path, name)?;
        entry.take(LONGEST_TEXT).read_to_end(&mut bytes).map_err(TrainError::io(path))?;
        let damaged = |reason: String| {
            TrainError::weights(path, format!("{name:?} is not an array of bytes: {reason}"))
        };
        let array = npyz::NpyFile::new(&bytes[..]).map_err(|error| damaged(error.to_string()))?;
        if array.len() > LONGEST_TEXT {
            return Err(damaged(format!("its shape is {:?}", array.shape())));
        }
        array.into_vec::<u8>().map(Some).map_err(|error| damaged(error.to_string()))
    }
}
