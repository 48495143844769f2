//! What every source of data provides.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use pudle_core::{DictionaryConfig, RangeError};

use crate::digits::Digits;
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::known_dictionary::KnownDictionary;
use crate::matrix::{MatrixBatches, Normalization};
use crate::recordings::RecordingWindows;
use crate::source::Source;

/// The settings of one kind of source, as they stand in the section `data` of a file.
///
/// The methods with a default are for what only some sources have.
pub(crate) trait SourceSettings {
    /// Checks every setting for itself.
    ///
    /// # Errors
    /// Returns an error for the first setting that is out of its range.
    fn validate(&self) -> Result<(), RangeError>;

    /// Checks that a dictionary can be trained on the data.
    ///
    /// # Errors
    /// Returns an error if the kind of the dictionary, its channels or its extent do not fit.
    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError>;

    /// Number of values of a training datum, for a dictionary that [fits](Self::fits).
    fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize;

    /// Opens files or prepares draws, for settings that are [valid](Self::validate) and a dictionary that
    /// [fits](Self::fits).
    ///
    /// # Errors
    /// Returns an error if data cannot be read, or do not fit the dictionary or the batch.
    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened>;

    /// Whether [`Opened::dictionary`] is known.
    fn has_dictionary(&self) -> bool {
        false
    }

    /// Side in pixels of the crops, if the data are crops.
    fn crop(&self) -> Option<usize> {
        None
    }

    /// The folder of pictures to validate on, if there can be one.
    fn validation_folder_mut(&mut self) -> Option<&mut Option<PathBuf>> {
        None
    }

    /// Numbers of the data that are left out of training.
    fn without(&self) -> &[usize] {
        &[]
    }

    /// [`without`](Self::without), if the source can leave data out.
    fn without_mut(&mut self) -> Option<&mut Vec<usize>> {
        None
    }

    /// The files and folders that hold the data.
    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    /// The number of decoded pictures in memory, if the data are pictures.
    fn cached_images_mut(&mut self) -> Option<&mut Option<usize>> {
        None
    }
}

/// What training asks of its data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenOptions<'a> {
    /// The dictionary that is trained.
    pub dictionary: DictionaryConfig,
    /// Data per batch of training, at least 1.
    pub batch: usize,
    /// Seed of draws, of the order of the data, of crops, flips and noise.
    pub seed: u64,
    /// The normalisation of a matrix, where it is known. Otherwise it is measured.
    pub normalization: Option<&'a Normalization>,
}

/// An opened source.
#[derive(Clone)]
pub struct Opened {
    /// Batches for training, by step from 0.
    pub training: Arc<dyn Source>,
    /// Batches for validation, if there are any.
    pub validation: Option<Validation>,
    /// The dictionary that the data are drawn from, if there is one.
    pub dictionary: Option<KnownDictionary>,
    /// The digits with their labels, if the data are digits.
    pub digits: Option<LabelledDigits>,
    /// What the files of the data are, if they come from files.
    pub fingerprint: Option<Fingerprint>,
    /// The batches of training with their matrix, if the data are rows of one.
    pub matrix: Option<MatrixBatches>,
    /// The windows of training with their recording, if the data are windows of one.
    pub recording: Option<RecordingWindows>,
}

/// Batches for validation.
#[derive(Clone)]
pub struct Validation {
    /// Where they come from: batch `k` is that of step `k`.
    pub source: Arc<dyn Source>,
    /// Their number, at least 1.
    pub batches: u64,
}

/// Digits with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledDigits {
    /// All digits.
    pub digits: Arc<Digits>,
    /// Numbers of those that are trained on, the first four fifths. The others are for validation.
    pub trained: Range<usize>,
}

impl Opened {
    /// Batches for training and nothing else.
    pub(crate) fn new(training: impl Source) -> Self {
        Self {
            training: Arc::new(training),
            validation: None,
            dictionary: None,
            digits: None,
            fingerprint: None,
            matrix: None,
            recording: None,
        }
    }

    /// With batches for validation.
    pub(crate) fn with_validation(self, source: impl Source, batches: u64) -> Self {
        let validation = Validation { source: Arc::new(source), batches };
        Self { validation: Some(validation), ..self }
    }
}
