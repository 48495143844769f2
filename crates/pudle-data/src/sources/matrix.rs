//! Rows of a matrix in files.

use std::path::PathBuf;
use std::sync::Arc;

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::error::{DataError, Result};
use crate::matrix::{Matrix, MatrixBatches, Missing, Normalization, Normalize, Rows};

/// Most rows that a validation reads.
const MOST_VALIDATED: usize = 10_000;

/// Rows of a matrix, as vectors, for a `dense` dictionary over the numbers of a row. They are read from the files as training
/// goes.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `path` | — | a file (see [`Matrix::open`]), or a folder whose files are parts of one matrix | |
/// | `tensor` | the only one | name of the array in an `.npz` or safetensors file | |
/// | `columns` | false | whether columns are data instead of rows | |
/// | `patches` | none | height and width of patches; `path` is then a folder of pictures | each at least 1 |
/// | `normalize` | `none` | see [`Normalize`] | |
/// | `missing` | `error` | what a number that is NaN means, see [`Missing`] | |
/// | `validation` | 0 | share of the rows that is held out. A validation reads the first 10,000 of them. | from 0 to 0.9 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixSettings {
    /// A file, or a folder.
    pub path: PathBuf,
    /// Name of the array in an `.npz` or safetensors file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Whether columns are data.
    #[serde(default)]
    pub columns: bool,
    /// Height and width of the patches of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<[usize; 2]>,
    /// Normalisation of the data.
    #[serde(default)]
    pub normalize: Normalize,
    /// What a number that is NaN means.
    #[serde(default, skip_serializing_if = "is_error")]
    pub missing: Missing,
    /// Share of the rows that is held out of training.
    #[serde(default)]
    pub validation: f64,
}

fn is_error(missing: &Missing) -> bool {
    *missing == Missing::Error
}

impl MatrixSettings {
    /// The defaults for the data at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            tensor: None,
            columns: false,
            patches: None,
            normalize: Normalize::None,
            missing: Missing::Error,
            validation: 0.0,
        }
    }

    /// Opens the matrix.
    ///
    /// # Errors
    /// Returns an error that names the file that cannot be read.
    pub fn matrix(&self) -> Result<Matrix> {
        match self.patches {
            Some(size) => Matrix::of_patches(&self.path, size),
            None => Matrix::open(&self.path, self.tensor.as_deref(), self.columns),
        }
    }

    /// Batches of a matrix that is open, normalised, and the number of rows that are held out.
    ///
    /// # Errors
    /// Returns an error if rows cannot be read, or if no row is left for training.
    pub fn batches(
        &self,
        matrix: Arc<Matrix>,
        batch: usize,
        seed: u64,
    ) -> Result<(MatrixBatches, Option<MatrixBatches>)> {
        let normalization = self.measure(&matrix, seed)?;
        self.normalized_batches(matrix, normalization, batch, seed)
    }

    /// Measures the normalisation of a matrix that is open.
    fn measure(&self, matrix: &Matrix, seed: u64) -> Result<Normalization> {
        MatrixBatches::measure(matrix, self.normalize, self.missing, seed)
    }

    /// [`batches`](Self::batches) with a normalisation that is known.
    fn normalized_batches(
        &self,
        matrix: Arc<Matrix>,
        normalization: Normalization,
        batch: usize,
        seed: u64,
    ) -> Result<(MatrixBatches, Option<MatrixBatches>)> {
        let rows = matrix.len();
        let held_out = match self.validation {
            0.0 => 0,
            share => ((rows as f64 * share).round() as usize).max(1),
        };
        let trained = rows.saturating_sub(held_out);
        if trained == 0 {
            let range = format!("a share that leaves rows for training, of {rows}");
            return Err(DataError::range("data.validation", self.validation, range));
        }
        let all = MatrixBatches::new(matrix, normalization, self.missing, batch, seed)?;
        let validated = held_out.min(MOST_VALIDATED);
        let validation =
            (held_out > 0).then(|| all.of_part(trained..trained + validated, batch.min(validated)));
        Ok((all.of_part(0..trained, batch), validation))
    }
}

impl SourceSettings for MatrixSettings {
    fn validate(&self) -> Result<(), RangeError> {
        if let Some(size) = self.patches
            && size.contains(&0)
        {
            let shown = format!("{}×{}", size[0], size[1]);
            return Err(RangeError::new("data.patches", shown, "at least 1×1"));
        }
        if self.patches.is_some() && (self.columns || self.tensor.is_some()) {
            let range = "not set where data are columns or a named array";
            return Err(RangeError::new("data.patches", "set", range));
        }
        if !(0.0..=0.9).contains(&self.validation) {
            return Err(RangeError::new("data.validation", self.validation, "from 0 to 0.9"));
        }
        Ok(())
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        fit::dense(dictionary, "rows of a matrix").map(|_| ())
    }

    fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize {
        fit::dense(dictionary, "rows of a matrix").map_or(1, |dense| dense.dim)
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        self.open_matrix(Arc::new(self.matrix()?), options)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.path]
    }
}

impl MatrixSettings {
    /// The batches of a matrix that is open already.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, the dictionary does not fit, or rows cannot be read.
    pub fn open_matrix(&self, matrix: Arc<Matrix>, options: &OpenOptions<'_>) -> Result<Opened> {
        let OpenOptions { batch, seed, ref dictionary, normalization } = *options;
        SourceSettings::validate(self)?;
        let dim = fit::dense(dictionary, "rows of a matrix")?.dim;
        if dim != matrix.width() {
            let range = format!("{}, the numbers of a row", matrix.width());
            return Err(DataError::range("model.dictionary.dim", dim, range));
        }
        let fingerprint = Some(matrix.fingerprint()?);
        let normalization = match normalization {
            Some(known) if known.width().is_none_or(|width| width == dim) => known.clone(),
            _ => self.measure(&matrix, seed)?,
        };
        let (training, validation) = self.normalized_batches(matrix, normalization, batch, seed)?;
        let mut opened = Opened::new(training.clone());
        if let Some(validation) = validation {
            let batches = validation.whole_batches();
            opened = opened.with_validation(validation, batches);
        }
        Ok(Opened { matrix: Some(training), fingerprint, ..opened })
    }
}
