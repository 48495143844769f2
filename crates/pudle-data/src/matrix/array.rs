//! An array in a file, and its rows.

use std::path::{Path, PathBuf};

use super::rows::Rows;
use super::storage::{Storage, Unpacked};
use crate::arrays::{Number, NumberKind};
use crate::error::{DataError, Result};

/// Most bytes that a copy in another order holds in memory.
const BLOCK: usize = 32 << 20;

/// An array of numbers, with where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub path: PathBuf,
    pub storage: Storage,
    /// Position of its first byte.
    pub offset: u64,
    pub number: Number,
    pub shape: Vec<usize>,
    /// Whether the first index varies fastest.
    pub fortran: bool,
}

impl Array {
    /// Number of elements; `None` if it is too large for this machine.
    fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis))
    }

    /// Checks that the bytes are there.
    pub fn checked(self) -> Result<Self> {
        let have = self.storage.len().map_err(|e| DataError::io(&self.path, e))?;
        let have = have.saturating_sub(self.offset);
        let need = self.len().and_then(|len| len.checked_mul(self.number.size()));
        match need {
            Some(need) if need as u64 <= have => Ok(self),
            _ => {
                let shape = shown(&self.shape);
                let need = need.map_or("more".into(), |need| need.to_string());
                let reason =
                    format!("cut short: an array of {shape} needs {need} bytes, and {have} follow");
                Err(DataError::format(&self.path, reason))
            }
        }
    }

    /// Checks that nothing follows the array, of which [`checked`](Self::checked) knows that it is whole.
    pub fn last(self) -> Result<Self> {
        let size = self.storage.len().map_err(|e| DataError::io(&self.path, e))?;
        let end = self.offset + (self.len().unwrap_or(0) * self.number.size()) as u64;
        match size > end {
            false => Ok(self),
            true => {
                let reason = format!(
                    "{} bytes follow the array of {}; one array is read, and they are no part of it",
                    size - end,
                    shown(&self.shape)
                );
                Err(DataError::format(&self.path, reason))
            }
        }
    }

    /// All elements of an array of indices.
    pub fn indices(&self) -> Result<Vec<u64>> {
        let mut bytes = vec![0; self.len().unwrap_or(0) * self.number.size()];
        self.read(&mut bytes, 0)?;
        self.number.decode_indices(&bytes).ok_or_else(|| {
            DataError::format(&self.path, "has indices that are not whole or below zero")
        })
    }

    /// Reads the bytes from element `first` on.
    fn read(&self, bytes: &mut [u8], first: u64) -> Result<()> {
        let at = self.offset + first * self.number.size() as u64;
        self.storage.read_at(bytes, at).map_err(|e| DataError::io(&self.path, e))
    }

    /// Reads indices from element `first` on.
    pub fn read_indices(&self, first: u64, count: usize) -> Result<Vec<u64>> {
        let mut bytes = vec![0; count * self.number.size()];
        self.read(&mut bytes, first)?;
        self.number.decode_indices(&bytes).ok_or_else(|| {
            DataError::format(&self.path, "has indices that are not whole or below zero")
        })
    }

    /// Reads numbers from element `first` on.
    pub fn read_numbers(&self, first: u64, out: &mut [f32]) -> Result<()> {
        if self.number.kind == NumberKind::F32 && out.len() < 4096 {
            // Most rows: no allocation.
            let mut bytes = [0; 4 * 4096];
            let bytes = &mut bytes[..4 * out.len()];
            self.read(bytes, first)?;
            self.number.decode(bytes, out);
            return Ok(());
        }
        let mut bytes = vec![0; out.len() * self.number.size()];
        self.read(&mut bytes, first)?;
        self.number.decode(&bytes, out);
        Ok(())
    }

    /// The rows of the array, or its columns. Axes after the first are one. If a row does not lie in one piece, the array
    /// is copied once in the order of its rows, in bounded memory.
    ///
    /// # Errors
    /// Returns an error if the array has one axis or no elements, or cannot be copied.
    pub fn into_rows(self, columns: bool) -> Result<Table> {
        let shape = shown(&self.shape);
        let (first, rest) = match self.shape[..] {
            [first, ref rest @ ..] if !rest.is_empty() => (first, rest.iter().product()),
            _ => {
                let reason =
                    format!("holds an array of {shape}, but a matrix has rows and columns");
                return Err(DataError::format(&self.path, reason));
            }
        };
        if first == 0 || rest == 0 {
            return Err(DataError::format(&self.path, format!("holds an empty array of {shape}")));
        }
        if self.fortran && self.shape.len() > 2 {
            let reason =
                format!("holds an array of {shape} in Fortran order; only matrices can have it");
            return Err(DataError::format(&self.path, reason));
        }
        let (rows, width) = if columns { (rest, first) } else { (first, rest) };
        let in_rows = self.fortran == columns || rows == 1 || width == 1;
        let datum = if columns { vec![width] } else { self.shape[1..].to_vec() };
        let array = if in_rows { self } else { self.transposed(rows, width)? };
        Ok(Table { array, rows, width, datum })
    }

    /// A copy whose element `(r, c)` follows `(r, c − 1)`, of an array in which it follows `(r − 1, c)`.
    fn transposed(self, rows: usize, width: usize) -> Result<Self> {
        let size = self.number.size();
        let mut unpacked = Unpacked::new(&self.path);
        let block = (BLOCK / (width * size)).clamp(1, rows);
        let (mut column, mut out) = (vec![0; block * size], vec![0; block * width * size]);
        for first in (0..rows).step_by(block) {
            let count = block.min(rows - first);
            for c in 0..width {
                let column = &mut column[..count * size];
                self.read(column, (c * rows + first) as u64)?;
                let places = out[c * size..].chunks_mut(width * size);
                for (place, value) in places.zip(column.chunks_exact(size)) {
                    place[..size].copy_from_slice(value);
                }
            }
            unpacked.append(&out[..count * width * size])?;
        }
        Ok(Self { storage: unpacked.finish()?, offset: 0, fortran: false, ..self })
    }
}

/// A shape as text, `3×4`.
pub(crate) fn shown(shape: &[usize]) -> String {
    match shape {
        [] => "no axes".into(),
        [one] => format!("shape {one}"),
        _ => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×"),
    }
}

/// An array whose rows lie in one piece each.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    array: Array,
    rows: usize,
    width: usize,
    /// The axes of a row.
    datum: Vec<usize>,
}

impl Rows for Table {
    fn len(&self) -> usize {
        self.rows
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        self.array.read_numbers((first * self.width) as u64, out)
    }

    fn datum_shape(&self) -> Vec<usize> {
        self.datum.clone()
    }

    fn file(&self, _row: usize) -> (&Path, usize) {
        (&self.array.path, _row)
    }
}
