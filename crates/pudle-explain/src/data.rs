//! Training data, inputs and their codes, as the explanation sees them.

use pudle_data::Image;

use crate::codes::SparseCodes;
use crate::error::{ExplainError, Result};
use crate::identity::Identity;
use crate::moments::Moments;
use crate::ridge::Ridge;

/// A part of a subject's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The data that the model was trained on.
    Training,
    /// The data that were left out of training for validation.
    HeldOut,
}

/// What a training datum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// A whole item: a digit, a vector. Contributors are ranked by `α` and `β`.
    Whole,
    /// A window of an item, at one position of the filters. Windows overlap, so contributors are ranked by share
    /// ([`shares_of_atoms`](crate::shares_of_atoms)).
    Windows(Windows),
}

/// The windows that filters see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows and columns of a window.
    pub size: [usize; 2],
    /// Rows, and columns, from one window to the next.
    pub stride: usize,
}

impl Windows {
    /// First row and column of the window at `position`, on a grid of `columns` windows side by side.
    pub fn corner(&self, position: usize, columns: usize) -> [usize; 2] {
        [position / columns * self.stride, position % columns * self.stride]
    }

    /// The position on a grid of windows whose middle is nearest to a pixel, given by row and column.
    pub fn nearest(&self, [row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> usize {
        let along = |pixel: usize, size: usize, count: usize| {
            let first = (pixel + self.stride / 2).saturating_sub(size / 2) / self.stride;
            first.min(count - 1)
        };
        along(row, self.size[0], rows) * columns + along(column, self.size[1], columns)
    }
}

/// Where a training datum comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of the item: of the digit, of the photograph.
    pub item: u32,
    /// First row of the datum in the item.
    pub row: u32,
    /// First column of the datum in the item.
    pub column: u32,
}

/// Data that were encoded together.
#[derive(Debug)]
pub struct Batch {
    /// A code for each datum, multiplied by the gains of the decoder if it has any, so that `D z` is the output.
    pub codes: SparseCodes,
    /// The values that the dictionary has to explain, `m` for each datum.
    pub targets: Vec<f32>,
    /// Where each datum comes from.
    pub sources: Vec<Source>,
}

impl Batch {
    /// Removes all data after the first `count`.
    pub fn truncate(&mut self, count: usize) {
        if count < self.codes.len() {
            self.targets.truncate(self.targets.len() / self.codes.len() * count);
            self.codes.truncate(count);
            self.sources.truncate(count);
        }
    }
}

/// Codes and moments of data, from one pass over them.
#[derive(Debug)]
pub struct Encoded {
    /// The codes.
    pub codes: SparseCodes,
    /// Sums over the codes and the data.
    pub moments: Moments,
    /// Where each datum comes from.
    pub sources: Vec<Source>,
}

impl Encoded {
    /// No data yet, for `atoms` atoms of `dim` values each.
    ///
    /// # Errors
    /// Returns an error if there are too many atoms for [`SparseCodes`].
    pub fn new(atoms: usize, dim: usize) -> Result<Self> {
        let codes = SparseCodes::new(atoms)?;
        Ok(Self { codes, moments: Moments::new(atoms, dim), sources: Vec::new() })
    }

    /// Adds the data of a batch.
    pub fn add(&mut self, batch: &Batch) {
        let first = self.codes.len();
        self.codes.append(&batch.codes);
        self.moments.add(&self.codes, first..self.codes.len(), &batch.targets);
        self.sources.extend_from_slice(&batch.sources);
    }

    /// The identity of these data for a dictionary, `p×m`.
    ///
    /// # Errors
    /// Returns an error if no datum uses any atom, and those of [`Identity::new`].
    pub fn identity(&self, dictionary: Vec<f32>, ridge: Ridge) -> Result<Identity> {
        if self.codes.non_zeros() == 0 {
            return Err(ExplainError::Unsuitable(
                "no training datum uses any atom, so there is nothing to explain by: λ may be too large"
                    .into(),
            ));
        }
        Identity::new(&self.moments, dictionary, ridge)
    }
}

/// Something whose output is explained.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name in the report.
    pub name: String,
    /// Its number, if it is one of the subject's own data.
    pub number: Option<usize>,
    /// Its class, if known.
    pub label: Option<u8>,
    /// Its values, as the model sees them, `[channels, rows, columns]`.
    pub values: Image,
    /// The standard deviation of its noise on the scale 0 … 255, if the model needs it.
    pub sigma: Option<f32>,
}

/// The noise of inputs that are read from files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputNoise {
    /// The inputs are clean; noise of the subject's level is added.
    Add,
    /// The inputs are noisy with this standard deviation, on the scale 0 … 255.
    Known(f32),
    /// The inputs are noisy; the level is estimated.
    Estimate,
}

/// An input and its codes.
#[derive(Debug)]
pub struct EncodedInput {
    /// The codes, one for each position; for whole items there is one position.
    pub codes: SparseCodes,
    /// Rows and columns of positions.
    pub grid: [usize; 2],
    /// The values that were encoded: the input, reflected at its borders until the windows cover it.
    pub seen: Image,
    /// The model's output, in the shape of `seen`, if there is more than one position.
    pub output: Option<Image>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_along_rows() {
        let windows = Windows { size: [5, 5], stride: 4 };
        assert_eq!(windows.corner(0, 3), [0, 0]);
        assert_eq!(windows.corner(5, 3), [4, 8]);
        let grid = [4, 3];
        for position in 0..12 {
            let [row, column] = windows.corner(position, 3);
            assert_eq!(windows.nearest([row + 2, column + 2], grid), position);
        }
        assert_eq!(windows.nearest([100, 100], grid), 11);
    }

    #[test]
    fn a_batch_that_is_cut_keeps_its_first_data() {
        let mut codes = SparseCodes::new(2).unwrap();
        (0..3).for_each(|k| codes.push([k as f32, 1.0].into_iter()));
        let sources = (0..3).map(|item| Source { item, row: 0, column: 0 }).collect();
        let mut batch = Batch { codes, targets: (0..12).map(|v| v as f32).collect(), sources };
        batch.truncate(2);
        assert_eq!((batch.codes.len(), batch.targets.len(), batch.sources.len()), (2, 8, 2));
        let mut encoded = Encoded::new(2, 4).unwrap();
        encoded.add(&batch);
        encoded.add(&batch);
        assert_eq!(encoded.moments.energies(), [2.0, 4.0]);
        assert_eq!(encoded.sources[3].item, 1);
    }
}
