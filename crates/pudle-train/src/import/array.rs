//! An array out of a file, and what can be wrong with one.

use std::path::Path;

use super::number::{Number, NumberError};
use crate::error::{Result, TrainError};

/// More numbers than this count as a mistake: no model has more.
const MOST_NUMBERS: usize = 1 << 28;

/// An array of a file, in C order.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The header of an array: everything but its numbers.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub name: String,
    pub shape: Vec<usize>,
    pub number: Number,
    pub big_endian: bool,
    /// Whether the first index is the fastest.
    pub fortran: bool,
}

impl Header {
    /// The number of values, if a model can have so many.
    ///
    /// # Errors
    /// Returns an error with the shape if there are too many, or none.
    pub fn count(&self, path: &Path) -> Result<usize> {
        if self.shape.contains(&0) {
            let reason = format!("{:?} has shape {:?}: it holds no numbers", self.name, self.shape);
            return Err(TrainError::weights(path, reason));
        }
        let count = self.shape.iter().try_fold(1usize, |count, axis| count.checked_mul(*axis));
        count.filter(|count| *count <= MOST_NUMBERS).ok_or_else(|| {
            let reason =
                format!("{:?} has shape {:?}: more than 2^28 numbers", self.name, self.shape);
            TrainError::weights(path, reason)
        })
    }

    /// The array, with its numbers from `from`.
    ///
    /// # Errors
    /// Returns an error if `from` ends too early, or a number is not finite; then with its position.
    pub fn read(self, path: &Path, from: impl std::io::Read) -> Result<Array> {
        let count = self.count(path)?;
        let values =
            self.number.read(from, count, self.big_endian).map_err(|error| match error {
                NumberError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    TrainError::weights(
                        path,
                        format!("is truncated: {:?} is incomplete", self.name),
                    )
                }
                NumberError::Io(source) => TrainError::io(path)(source),
                NumberError::NotFinite { index, value } => {
                    let position = position(&self.shape, index, self.fortran);
                    let what = if value.is_finite() { "too large for f32" } else { "not finite" };
                    let reason = format!("{:?} holds {value:e} at {position:?}, {what}", self.name);
                    TrainError::weights(path, reason)
                }
            })?;
        let values = match self.fortran {
            true => {
                let axes: Vec<usize> = (0..self.shape.len()).rev().collect();
                let turned: Vec<usize> = self.shape.iter().rev().copied().collect();
                permuted(&turned, &values, &axes)
            }
            false => values,
        };
        Ok(Array { name: self.name, shape: self.shape, values })
    }
}

/// The indices of the number at `index` in the order of the file.
fn position(shape: &[usize], mut index: usize, fortran: bool) -> Vec<usize> {
    let mut position = vec![0; shape.len()];
    let axes: Vec<usize> =
        if fortran { (0..shape.len()).collect() } else { (0..shape.len()).rev().collect() };
    for axis in axes {
        position[axis] = index % shape[axis].max(1);
        index /= shape[axis].max(1);
    }
    position
}

/// The values with their axes in another order: axis `k` of the result is axis `axes[k]` of `shape`.
pub(super) fn permuted(shape: &[usize], values: &[f32], axes: &[usize]) -> Vec<f32> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let sizes: Vec<usize> = axes.iter().map(|axis| shape[*axis]).collect();
    let strides: Vec<usize> = axes.iter().map(|axis| strides[*axis]).collect();
    let mut index = vec![0; sizes.len()];
    let mut from = 0;
    let mut result = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        result.push(values[from]);
        for axis in (0..sizes.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < sizes[axis] {
                break;
            }
            from -= sizes[axis] * strides[axis];
            index[axis] = 0;
        }
    }
    result
}

/// Names in one line, the first ones of many.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("{name:?}")).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_permuted() {
        let values: Vec<f32> = (0..6).map(|v| v as f32).collect();
        assert_eq!(permuted(&[2, 3], &values, &[1, 0]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(permuted(&[2, 3], &values, &[0, 1]), values);
        assert_eq!(permuted(&[], &[7.0], &[]), [7.0]);
    }

    #[test]
    fn positions_follow_the_order() {
        assert_eq!(position(&[2, 3], 4, false), [1, 1]);
        assert_eq!(position(&[2, 3], 4, true), [0, 2]);
    }
}
