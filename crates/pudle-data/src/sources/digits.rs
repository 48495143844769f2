//! Digits from IDX files.

use std::path::PathBuf;
use std::sync::Arc;

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::settings::{LabelledDigits, OpenOptions, Opened, SourceSettings};
use crate::digits::{DigitBatches, DigitPart, Digits};
use crate::error::{DataError, Result};

/// Digits from IDX files (MNIST), as vectors with values in [0, 1]. For a `dense` dictionary over the pixels of a digit.
/// The first four fifths are trained on, the others are for validation.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `path` | — | folder of the IDX files, or the file of images | |
/// | `classes` | — | which digits are used | at least one, each 0 to 9 |
/// | `without` | none | numbers of training digits that are left out of the batches that draw them | 0 to the number of training digits less 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigitSettings {
    /// Folder of the IDX files, or the file of images.
    pub path: PathBuf,
    /// Which digits are used.
    pub classes: Vec<u8>,
    /// Numbers of training digits that are left out of the batches that draw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<usize>,
}

impl SourceSettings for DigitSettings {
    fn validate(&self) -> Result<(), RangeError> {
        validate_classes(&self.classes)
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        fit::dense(dictionary, "digits").map(|_| ())
    }

    fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize {
        fit::dense(dictionary, "digits").map_or(1, |dense| dense.dim)
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        // A folder may hold one part only. If it holds none, the error is about the first.
        let digits =
            Digits::open(&self.path, DigitPart::Train, &self.classes).or_else(|error| {
                Digits::open(&self.path, DigitPart::Test, &self.classes).or(Err(error))
            })?;
        let fingerprint = Some(digits.fingerprint());
        Ok(Opened { fingerprint, ..open_digits(digits, &self.without, options)? })
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.path]
    }

    fn without(&self) -> &[usize] {
        &self.without
    }

    fn without_mut(&mut self) -> Option<&mut Vec<usize>> {
        Some(&mut self.without)
    }
}

/// Checks which digits are used.
pub(super) fn validate_classes(classes: &[u8]) -> Result<(), RangeError> {
    if classes.is_empty() || classes.iter().any(|class| *class > 9) {
        let range = "at least one digit, each between 0 and 9";
        return Err(RangeError::new("data.classes", format!("{classes:?}"), range));
    }
    Ok(())
}

/// Checks that the dimension of a dictionary is the number of pixels of a digit.
pub(super) fn check_pixels(
    dictionary: &DictionaryConfig,
    height: usize,
    width: usize,
) -> Result<(), RangeError> {
    let (pixels, dim) = (height * width, fit::dense(dictionary, "digits")?.dim);
    if dim == pixels {
        return Ok(());
    }
    let range = format!("{pixels}, the pixels of a digit of {height}×{width}");
    Err(RangeError::new("model.dictionary.dim", dim, range))
}

/// Batches of four fifths of the digits for training, of the rest for validation.
pub(super) fn open_digits(
    digits: Digits,
    without: &[usize],
    options: &OpenOptions<'_>,
) -> Result<Opened> {
    let OpenOptions { batch, seed, ref dictionary, .. } = *options;
    check_pixels(dictionary, digits.height(), digits.width())?;
    let trained = 0..digits.len() - digits.len() / 5;
    if let Some(beyond) = without.iter().find(|k| **k >= trained.len()) {
        let range = format!("below {}, the number of training digits", trained.len());
        return Err(DataError::range("data.without", beyond, range));
    }
    let held_out = trained.end..digits.len();
    let digits = Arc::new(digits);
    let training =
        DigitBatches::new(digits.clone(), batch, seed, trained.clone())?.without(without);
    let mut opened = Opened::new(training);
    if !held_out.is_empty() {
        let size = held_out.len().min(batch);
        let batches = (held_out.len() / size) as u64;
        let validation = DigitBatches::new(digits.clone(), size, seed, held_out)?;
        opened = opened.with_validation(validation, batches);
    }
    Ok(Opened { digits: Some(LabelledDigits { digits, trained }), ..opened })
}
