//! Rows that are read when they are needed.

use std::path::Path;

use crate::error::Result;

/// A matrix whose rows are read when they are needed. A row is a datum.
pub trait Rows: Send + Sync {
    /// Number of rows, at least 1.
    fn len(&self) -> usize;

    /// Whether there are no rows, which is never so.
    fn is_empty(&self) -> bool {
        false
    }

    /// Numbers of a row, at least 1.
    fn width(&self) -> usize;

    /// The shape of a row: one axis, or those after the first of an array with more.
    fn datum_shape(&self) -> Vec<usize> {
        vec![self.width()]
    }

    /// Reads the rows from `first` on, as many as fill `out`. `NaN` stands for a missing number.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    ///
    /// # Panics
    /// May panic if there are fewer rows, or if `out` is no whole number of rows.
    fn read(&self, first: usize, out: &mut [f32]) -> Result<()>;

    /// The file of a row, and the row's number in it, from 0.
    fn file(&self, row: usize) -> (&Path, usize);
}
