//! Drawn digits.

use std::path::PathBuf;

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::digits::{DigitSettings, check_pixels, open_digits, validate_classes};
use super::fit;
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::error::Result;
use crate::strokes::{SIDE, stroke_digits};

/// Drawn digits of 28×28 pixels, [`stroke_digits`], as vectors with values in [0, 1]. For a `dense` dictionary of dimension
/// 784. The first four fifths are trained on, the others are for validation.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `count` | — | number of different digits | 1 to 10⁷ |
/// | `classes` | — | which digits are drawn | at least one, each 0 to 9 |
/// | `without` | none | numbers of training digits that are left out of the batches that draw them | 0 to the number of training digits less 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrokeSettings {
    /// Number of different digits.
    pub count: usize,
    /// Which digits are drawn.
    pub classes: Vec<u8>,
    /// Numbers of training digits that are left out of the batches that draw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<usize>,
}

impl StrokeSettings {
    /// Digits of these classes, none of them left out.
    pub fn new(count: usize, classes: impl Into<Vec<u8>>) -> Self {
        Self { count, classes: classes.into(), without: Vec::new() }
    }

    /// The same classes, of the digits in `path`.
    pub(super) fn in_folder(&self, path: PathBuf) -> DigitSettings {
        DigitSettings { path, classes: self.classes.clone(), without: self.without.clone() }
    }
}

impl SourceSettings for StrokeSettings {
    fn validate(&self) -> Result<(), RangeError> {
        validate_classes(&self.classes)?;
        fit::check_data_count(self.count)
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        check_pixels(dictionary, SIDE, SIDE)
    }

    fn values_per_datum(&self, _dictionary: &DictionaryConfig) -> usize {
        SIDE * SIDE
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        let digits = stroke_digits(self.count, &self.classes, options.seed);
        open_digits(digits, &self.without, options)
    }

    fn without(&self) -> &[usize] {
        &self.without
    }

    fn without_mut(&mut self) -> Option<&mut Vec<usize>> {
        Some(&mut self.without)
    }
}
