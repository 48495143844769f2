//! The parts of a matrix, and which format each is in.

use std::fmt;
use std::path::{Path, PathBuf};

use super::array::Array;
use super::rows::Rows;
use super::{npy, patches, sparse, tensors, text};
use crate::error::{DataError, Result};
use crate::fingerprint::Fingerprint;
use crate::foreign::foreign_file;
use crate::walk::{Found, files};

/// Extensions of the files of a folder that are its shards.
const EXTENSIONS: [&str; 5] = ["npy", "npz", "csv", "tsv", "safetensors"];

/// How the arrays of files are read.
#[derive(Clone, Copy, Debug, Default)]
struct Reading<'a> {
    /// Name of the array in archives and files of tensors; the only one if `None`.
    tensor: Option<&'a str>,
    /// Whether columns are data instead of rows.
    columns: bool,
}

/// One matrix, or several below each other.
pub struct Matrix {
    path: PathBuf,
    /// The files, in order.
    files: Vec<PathBuf>,
    shards: Vec<Box<dyn Rows>>,
    /// Number of the first row of every shard, and the number of all rows.
    starts: Vec<usize>,
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Matrix {
    /// Opens a file, or the files of a folder and the folders below it as the shards of one matrix, in the order of their
    /// paths.
    ///
    /// Files are `.npy`, `.npz` (an array, or a sparse matrix of SciPy), `.csv` and `.tsv`, and `.safetensors`. Content decides, not
    /// the extension. Axes after the first count as one. Only headers are read, with three exceptions, which are unpacked
    /// into a temporary file (or memory, below 64 MiB): text, compressed arrays, and matrices whose rows do not lie in one
    /// piece.
    ///
    /// `tensor` names the array in a file of several. With `columns`, columns are data.
    ///
    /// # Errors
    /// Returns an error that names the file and what it is, if it is not a matrix, is damaged, or does not fit the other
    /// shards.
    pub fn open(path: &Path, tensor: Option<&str>, columns: bool) -> Result<Self> {
        let reading = Reading { tensor, columns };
        let meta = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
        let files = if meta.is_dir() { shards(path)? } else { vec![path.to_owned()] };
        let opened: Result<Vec<_>> = files.iter().map(|file| open_file(file, reading)).collect();
        Self::of_shards(path, files, opened?)
    }

    /// All patches of `size` (height and width) of the pictures in a folder, in grey, less their mean.
    ///
    /// # Errors
    /// Returns an error if there are no pictures of that size.
    pub fn of_patches(dir: &Path, size: [usize; 2]) -> Result<Self> {
        let patches = patches::Patches::open(dir, size)?;
        Self::of_shards(dir, patches.paths().to_vec(), vec![Box::new(patches)])
    }

    /// A matrix of rows in memory, one after the other.
    ///
    /// # Errors
    /// Returns an error if there are none, or if they are no whole number of rows of `width`.
    pub fn of_values(values: Vec<f32>, width: usize) -> Result<Self> {
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            return Err(DataError::Shape {
                what: "rows in memory".into(),
                found: format!("{} numbers", values.len()),
                expected: format!("a whole number of rows of {width}, at least one"),
            });
        }
        let path = Path::new("rows in memory");
        Self::of_shards(path, Vec::new(), vec![Box::new(Held { values, width })])
    }

    /// Whether a path is a file, or a folder with files, that [`open`](Self::open) is meant for.
    pub fn is_at(path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => shards(path).is_ok(),
            Ok(_) => is_shard(path),
            Err(_) => false,
        }
    }

    fn of_shards(path: &Path, files: Vec<PathBuf>, shards: Vec<Box<dyn Rows>>) -> Result<Self> {
        let (mut starts, width) = (vec![0usize], shards[0].width());
        for shard in &shards {
            if shard.width() != width {
                let reason = format!(
                    "data of {} numbers, but those of {} have {width}",
                    shard.width(),
                    shards[0].file(0).0.display()
                );
                return Err(DataError::format(shard.file(0).0, reason));
            }
            let end = starts[starts.len() - 1].checked_add(shard.len());
            starts.push(end.ok_or_else(|| DataError::format(path, "too many rows"))?);
        }
        Ok(Self { path: path.to_owned(), files, shards, starts })
    }

    /// The shard of a row, and the row's number in it.
    fn place(&self, row: usize) -> (usize, usize) {
        let shard = self.starts.partition_point(|start| *start <= row) - 1;
        (shard, row - self.starts[shard])
    }

    /// What the files are; that of no files for rows in memory.
    ///
    /// # Errors
    /// Returns an error if the size of a file cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let folder = match self.path.is_dir() {
            true => &self.path,
            false => self.path.parent().unwrap_or(&self.path),
        };
        Fingerprint::of([(folder, &self.files[..])])
    }

    /// A description in one line.
    pub fn describe(&self) -> String {
        format!("{} rows of {} numbers of {}", self.len(), self.width(), self.path.display())
    }
}

impl Rows for Matrix {
    fn len(&self) -> usize {
        self.starts[self.shards.len()]
    }

    fn width(&self) -> usize {
        self.shards[0].width()
    }

    fn datum_shape(&self) -> Vec<usize> {
        self.shards[0].datum_shape()
    }

    fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        let (mut row, mut out) = (first, out);
        while !out.is_empty() {
            let (shard, place) = self.place(row);
            let rows = (out.len() / self.width()).min(self.shards[shard].len() - place);
            let (part, rest) = out.split_at_mut(rows * self.width());
            self.shards[shard].read(place, part)?;
            (row, out) = (row + rows, rest);
        }
        Ok(())
    }

    fn file(&self, row: usize) -> (&Path, usize) {
        let (shard, place) = self.place(row);
        self.shards[shard].file(place)
    }
}

/// Rows in memory.
struct Held {
    values: Vec<f32>,
    width: usize,
}

impl Rows for Held {
    fn len(&self) -> usize {
        self.values.len() / self.width
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&self.values[first * self.width..][..out.len()]);
        Ok(())
    }

    fn file(&self, row: usize) -> (&Path, usize) {
        (Path::new("rows in memory"), row)
    }
}

fn is_shard(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| EXTENSIONS.iter().any(|known| found.eq_ignore_ascii_case(known)))
}

/// The files of matrices in a folder and the folders below it, in the order of their paths.
fn shards(dir: &Path) -> Result<Vec<PathBuf>> {
    let Found { paths: files, unreadable, loops } = files(dir, is_shard);
    let messages = unreadable.iter().map(|(_, message)| message);
    if let Some(first) = messages.chain(&loops).next() {
        // Rows that are left out silently would shift the numbers of all others.
        return Err(DataError::format(dir, format!("cannot be read whole: {first}")));
    }
    match files.is_empty() {
        true => Err(DataError::format(
            dir,
            "no .npy, .npz, .csv, .tsv or .safetensors file in this folder or below it",
        )),
        false => Ok(files),
    }
}

/// What one file holds.
enum Content {
    Array(Array),
    Sparse(sparse::Sparse),
}

/// Opens one file as rows, by its content.
fn open_file(path: &Path, reading: Reading<'_>) -> Result<Box<dyn Rows>> {
    match content(path, reading.tensor, "matrix")? {
        Content::Array(array) => rows(array, reading),
        Content::Sparse(_) if reading.columns => {
            let reason = "a sparse matrix is read by rows: save its transpose, in the format CSR";
            Err(DataError::format(path, reason))
        }
        Content::Sparse(sparse) => Ok(Box::new(sparse)),
    }
}

/// Opens an array with all its axes; `what` names what is wanted in errors.
pub(crate) fn open_array(path: &Path, tensor: Option<&str>, what: &str) -> Result<Array> {
    match content(path, tensor, what)? {
        Content::Array(array) => Ok(array),
        Content::Sparse(_) => {
            Err(DataError::format(path, format!("holds a sparse matrix, not a {what}")))
        }
    }
}

/// Opens what one file holds.
fn content(path: &Path, tensor: Option<&str>, what: &str) -> Result<Content> {
    use std::io::Read;
    let io = |e| DataError::io(path, e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(DataError::format(path, "is neither a file nor a folder"));
    }
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(512).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() {
        return Err(DataError::format(path, "is empty"));
    }
    // The first byte of a safetensors file can be that of another kind.
    let is_tensors = head.len() > 8 && head[8] == b'{';
    if let Some(what) = foreign_file(&head).filter(|_| !is_tensors) {
        return Err(DataError::format(path, what));
    }
    let array = if head.starts_with(b"\x93NUMPY") {
        npy::open(path)?
    } else if head.starts_with(b"PK") {
        let mut archive = npy::Archive::open(path)?;
        let names = archive.names();
        if tensor.is_none() && sparse::Sparse::is_one(&names) {
            return Ok(Content::Sparse(sparse::Sparse::open(path, &mut archive)?));
        }
        let name = chosen(path, &names, tensor)?;
        archive.array(name)?
    } else if is_tensors {
        let tensors = tensors::Tensors::open(path)?;
        let names = tensors.names();
        tensors.array(chosen(path, &names, tensor)?)?
    } else if head.contains(&0) {
        let known = "NumPy (.npy, .npz), safetensors, CSV or TSV";
        return Err(DataError::format(
            path,
            format!("not a {what}: its content is none of {known}"),
        ));
    } else {
        text::open(path)?
    };
    Ok(Content::Array(array))
}

fn rows(array: Array, reading: Reading<'_>) -> Result<Box<dyn Rows>> {
    Ok(Box::new(array.into_rows(reading.columns)?))
}

/// The name of the array to read: the wanted one, or the only one.
fn chosen<'a>(path: &Path, names: &'a [String], wanted: Option<&str>) -> Result<&'a str> {
    let listed = || {
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        names.join(", ")
    };
    match (wanted, names) {
        (_, []) => Err(DataError::format(path, "holds no array")),
        (Some(wanted), _) => {
            names.iter().map(String::as_str).find(|name| *name == wanted).ok_or_else(|| {
                DataError::format(path, format!("no array \"{wanted}\" among {}", listed()))
            })
        }
        (None, [only]) => Ok(only),
        (None, _) => {
            let reason = format!("holds {}: the name of one of them is needed", listed());
            Err(DataError::format(path, reason))
        }
    }
}
