//! Sparse matrices by rows (CSR), as `scipy.sparse.save_npz` writes them.

use std::path::{Path, PathBuf};

use super::array::{Array, shown};
use super::npy::Archive;
use super::rows::Rows;
use crate::error::{DataError, Result};

/// A matrix of which a file holds only the numbers that are not zero. Where rows begin stays in memory, 8 bytes a row.
#[derive(Debug)]
pub(super) struct Sparse {
    path: PathBuf,
    starts: Vec<u64>,
    indices: Array,
    values: Array,
    width: usize,
}

impl Sparse {
    /// Whether an archive with arrays of these names is a sparse matrix.
    pub fn is_one(names: &[String]) -> bool {
        ["data", "indices", "indptr", "shape"].iter().all(|name| names.iter().any(|n| n == name))
    }

    /// Opens the arrays of a sparse matrix.
    pub fn open(path: &Path, archive: &mut Archive<'_>) -> Result<Self> {
        let [indptr, indices, values, shape] =
            ["indptr", "indices", "data", "shape"].map(|name| archive.array(name));
        let (indptr, indices, values) = (indptr?, indices?, values?);
        let shape = shape?.indices()?;
        let starts = indptr.indices()?;
        let wrong = |reason: String| Err(DataError::format(path, reason));
        let &[rows, width] = &shape[..] else {
            return wrong("a sparse matrix whose shape is not of two numbers".into());
        };
        if starts.len() as u64 != rows + 1 {
            return wrong(format!(
                "a sparse matrix of {rows} rows with {} row starts: only matrices by rows (CSR) are read, so convert \
                 it with .tocsr()",
                starts.len()
            ));
        }
        let count = starts.last().copied().unwrap_or(0);
        let ordered = starts.is_sorted() && starts.first() == Some(&0);
        let [found] = indices.shape[..] else {
            return wrong(format!("a sparse matrix with indices of {}", shown(&indices.shape)));
        };
        if !ordered || found as u64 != count || values.shape != indices.shape {
            return wrong("a sparse matrix whose parts do not fit each other".into());
        }
        if rows == 0 || width == 0 {
            return wrong("holds an empty matrix".into());
        }
        Ok(Self { path: path.to_owned(), starts, indices, values, width: width as usize })
    }
}

impl Rows for Sparse {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        out.fill(0.0);
        let rows = out.len() / self.width;
        let begin = self.starts[first];
        let count = (self.starts[first + rows] - begin) as usize;
        let columns = self.indices.read_indices(begin, count)?;
        let mut values = vec![0.0; count];
        self.values.read_numbers(begin, &mut values)?;
        for (row, out) in out.chunks_exact_mut(self.width).enumerate() {
            let part = self.starts[first + row] - begin..self.starts[first + row + 1] - begin;
            for k in part.start as usize..part.end as usize {
                let column = columns[k] as usize;
                let Some(place) = out.get_mut(column) else {
                    let width = self.width;
                    let reason = format!("row {}: column {column} of {width}", first + row);
                    return Err(DataError::format(&self.path, reason));
                };
                // As SciPy does, numbers at one place add up.
                *place += values[k];
            }
        }
        Ok(())
    }

    fn file(&self, row: usize) -> (&Path, usize) {
        (&self.path, row)
    }
}
