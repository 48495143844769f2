//! An array out of a file, and what can be wrong with one.

use std::io::Read;
use std::path::Path;

use pudle_data::Number;

use crate::error::{Result, TrainError};

/// More numbers than this count as a mistake: no model has more.
const MOST_NUMBERS: usize = 1 << 28;

/// Numbers that are read at a time.
const BLOCK: usize = 1 << 14;

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
    /// A floating-point type.
    pub number: Number,
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
    pub fn read(self, path: &Path, from: impl Read) -> Result<Array> {
        let count = self.count(path)?;
        let values = self.values(path, from, count)?;
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

    /// Reads `count` numbers, a few thousand at a time.
    fn values(&self, path: &Path, mut from: impl Read, count: usize) -> Result<Vec<f32>> {
        let size = self.number.size();
        let mut bytes = vec![0; size * count.min(BLOCK)];
        let mut values = vec![0.0; count];
        for (block, part) in values.chunks_mut(BLOCK).enumerate() {
            let bytes = &mut bytes[..size * part.len()];
            from.read_exact(bytes).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    let reason = format!("is truncated: {:?} is incomplete", self.name);
                    TrainError::weights(path, reason)
                }
                _ => TrainError::io(path)(error),
            })?;
            self.number.decode(bytes, part);
            if let Some(k) = part.iter().position(|value| !value.is_finite()) {
                let position = position(&self.shape, block * BLOCK + k, self.fortran);
                let value = self.number.wide(&bytes[k * size..][..size]).unwrap_or(f64::NAN);
                let what = if value.is_finite() { "too large for f32" } else { "not finite" };
                let reason = format!("{:?} holds {value:e} at {position:?}, {what}", self.name);
                return Err(TrainError::weights(path, reason));
            }
        }
        Ok(values)
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
    use pudle_data::NumberKind;

    use super::*;

    #[test]
    fn numbers_are_read_in_blocks_and_bad_ones_are_found() {
        let count = BLOCK + 3;
        let read = |values: &[f64]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
            let number = Number { kind: NumberKind::F64, big_endian: true };
            let header = Header { name: "D".into(), shape: vec![count], number, fortran: false };
            header.read(Path::new("f"), &bytes[..])
        };
        let mut values: Vec<f64> = (0..count).map(|v| v as f64).collect();
        let found = read(&values).unwrap().values;
        assert!(found.iter().zip(&values).all(|(found, value)| f64::from(*found) == *value));
        let error = read(&values[1..]).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{error}");
        values[BLOCK + 1] = 1e300;
        let error = read(&values).unwrap_err().to_string();
        assert!(error.contains("1e300 at [16385], too large for f32"), "{error}");
        values[2] = f64::NAN;
        let error = read(&values).unwrap_err().to_string();
        assert!(error.contains("NaN at [2], not finite"), "{error}");
    }

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
