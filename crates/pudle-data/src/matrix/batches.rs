//! Batches of rows, read from files as training goes.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::normalize::{Moments, Normalization, Normalize};
use super::rows::Rows;
use super::shards::Matrix;
use super::shuffle::Shuffle;
use crate::error::{DataError, Result, check_count};
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};

/// Most rows from which a normalisation is measured.
const MEASURED: usize = 100_000;

/// What a missing number (`NaN`, or an empty field of a table) means.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Missing {
    /// An error, which names its place.
    #[default]
    Error,
    /// A number that is not known. It is NaN in a batch, which the user of the batch must handle.
    Nan,
}

/// Batches of rows of a matrix, the target equal to the input. Every pass over the rows has its own random order, which is
/// computed and not stored.
#[derive(Clone, Debug)]
pub struct MatrixBatches {
    matrix: Arc<Matrix>,
    normalization: Arc<Normalization>,
    missing: Missing,
    /// The random order in which rows are parted into training and validation.
    split: Shuffle,
    /// The places in that order.
    part: Range<usize>,
    batch: usize,
    seed: u64,
}

impl MatrixBatches {
    /// Batches of all rows.
    ///
    /// # Errors
    /// Returns an error if `batch` is not in 1 to 1,048,576.
    pub fn new(
        matrix: Arc<Matrix>,
        normalization: Normalization,
        missing: Missing,
        batch: usize,
        seed: u64,
    ) -> Result<Self> {
        check_count("batch", batch, 1, 1 << 20)?;
        let split = Shuffle::new(matrix.len(), &mut step_rng(seed, Stream::Split, 0));
        let part = 0..matrix.len();
        let normalization = Arc::new(normalization);
        Ok(Self { matrix, normalization, missing, split, part, batch, seed })
    }

    /// Batches of the rows at these places of a random order that depends on the seed alone.
    pub fn of_part(&self, part: Range<usize>, batch: usize) -> Self {
        Self { part, batch, ..self.clone() }
    }

    /// Number of batches that hold every row at most once, at least 1.
    pub fn whole_batches(&self) -> u64 {
        (self.part.len() / self.batch).max(1) as u64
    }

    /// The matrix.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// The normalisation.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Measures a normalisation on all rows, or on 100,000 random ones if there are more.
    ///
    /// # Errors
    /// Returns an error if rows cannot be read.
    pub fn measure(
        matrix: &Matrix,
        kind: Normalize,
        missing: Missing,
        seed: u64,
    ) -> Result<Normalization> {
        let mut moments = Moments::new(matrix.width());
        if kind.centers() || kind.scales() {
            let mut row = vec![0.0; matrix.width()];
            let shuffle = Shuffle::new(matrix.len(), &mut step_rng(seed, Stream::Sample, 0));
            for place in 0..matrix.len().min(MEASURED) {
                let number = if matrix.len() > MEASURED { shuffle.at(place) } else { place };
                matrix.read(number, &mut row)?;
                matrix.check(number, &row, missing)?;
                moments.add(&row);
            }
        }
        Ok(moments.normalization(kind))
    }

    /// The row of every datum of a step.
    pub fn rows(&self, step: u64) -> Vec<usize> {
        let len = self.part.len() as u64;
        let first = step.wrapping_mul(self.batch as u64);
        let mut order: Option<(u64, Shuffle)> = None;
        let rows = (0..self.batch as u64).map(|k| {
            let number = first.wrapping_add(k);
            let (pass, place) = (number / len, (number % len) as usize);
            if order.as_ref().is_none_or(|(known, _)| *known != pass) {
                let mut rng = step_rng(self.seed, Stream::Order, pass);
                order = Some((pass, Shuffle::new(self.part.len(), &mut rng)));
            }
            let shuffle = &order.as_ref().expect("set above").1;
            self.split.at(self.part.start + shuffle.at(place))
        });
        rows.collect()
    }
}

impl Source for MatrixBatches {
    fn batch(&self, step: u64) -> Result<Batch> {
        let width = self.matrix.width();
        let mut input = vec![0.0; self.batch * width];
        let rows = self.rows(step);
        // Rows are read in the order of the files, which spares a disk from jumping back and forth.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|k| rows[*k]);
        for k in order {
            let datum = &mut input[k * width..(k + 1) * width];
            self.matrix.read(rows[k], datum)?;
            self.matrix.check(rows[k], datum, self.missing)?;
            self.normalization.apply(datum);
        }
        let shape = vec![self.batch, width];
        Ok(Batch { shape, target: input.clone(), input, noise: vec![], support: None })
    }

    fn describe(&self) -> String {
        format!("{} of {}", self.part.len(), self.matrix.describe())
    }
}

impl Matrix {
    /// Checks that the numbers of a row are finite, or missing if that is allowed.
    ///
    /// # Errors
    /// Returns an error that names the file, the row and the column of the first number that is not.
    pub fn check(&self, row: usize, values: &[f32], missing: Missing) -> Result<()> {
        let wrong = |value: &f32| match missing {
            Missing::Error => !value.is_finite(),
            Missing::Nan => value.is_infinite(),
        };
        let Some(column) = values.iter().position(wrong) else { return Ok(()) };
        let (path, row) = self.file(row);
        let what = match values[column].is_nan() {
            true => "no number (NaN, or an empty field)",
            false => "not finite in 32 bits",
        };
        let reason = format!("row {row}, column {column} (both from 0) is {what}");
        Err(DataError::format(path, reason))
    }
}
