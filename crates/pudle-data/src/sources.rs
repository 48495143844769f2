//! The sources of data that a run can be trained on, one file each.
//!
//! A new source needs a file of its own, and its module, variant and arms here.

mod dead_leaves;
mod digits;
mod fit;
mod matrix;
mod photographs;
mod recordings;
mod settings;
mod sparse_coding;
mod strokes;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use pudle_core::{DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

pub use dead_leaves::DeadLeavesSettings;
pub use digits::DigitSettings;
pub use matrix::MatrixSettings;
pub use photographs::PhotographSettings;
pub use recordings::RecordingSettings;
use settings::SourceSettings;
pub use settings::{LabelledDigits, OpenOptions, Opened, Validation};
pub use sparse_coding::SparseCodingSettings;
pub use strokes::StrokeSettings;

use crate::error::Result;
use crate::matrix::Missing;

/// What a model is trained on; the section `data` of a file, where `kind` names the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum DataConfig {
    /// Noisy random crops of the pictures in a folder.
    Photographs(PhotographSettings),
    /// Noisy random crops of drawn pictures.
    DeadLeaves(DeadLeavesSettings),
    /// Vectors or signals drawn from a known dictionary.
    SparseCoding(SparseCodingSettings),
    /// Digits from IDX files (MNIST).
    Digits(DigitSettings),
    /// Drawn digits.
    Strokes(StrokeSettings),
    /// Rows of a matrix in files.
    Matrix(MatrixSettings),
    /// Windows of a recording.
    Recordings(RecordingSettings),
}

impl DataConfig {
    fn settings(&self) -> &dyn SourceSettings {
        match self {
            Self::Photographs(settings) => settings,
            Self::DeadLeaves(settings) => settings,
            Self::SparseCoding(settings) => settings,
            Self::Digits(settings) => settings,
            Self::Strokes(settings) => settings,
            Self::Matrix(settings) => settings,
            Self::Recordings(settings) => settings,
        }
    }

    fn settings_mut(&mut self) -> &mut dyn SourceSettings {
        match self {
            Self::Photographs(settings) => settings,
            Self::DeadLeaves(settings) => settings,
            Self::SparseCoding(settings) => settings,
            Self::Digits(settings) => settings,
            Self::Strokes(settings) => settings,
            Self::Matrix(settings) => settings,
            Self::Recordings(settings) => settings,
        }
    }

    /// The word for the source in a file, `dead-leaves` for example.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Checks every setting for itself.
    ///
    /// # Errors
    /// Returns an error for the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), RangeError> {
        self.settings().validate()
    }

    /// Checks that a dictionary can be trained on the data.
    ///
    /// # Errors
    /// Returns an error if the kind of the dictionary, its channels or its extent do not fit.
    pub fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        self.settings().fits(dictionary)
    }

    /// Number of values of a training datum, for a dictionary that [fits](Self::fits).
    pub fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize {
        self.settings().values_per_datum(dictionary)
    }

    /// Opens files or prepares draws.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, the dictionary does not fit, or data cannot be read.
    pub fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        self.validate()?;
        self.fits(&options.dictionary)?;
        self.settings().open(options)
    }

    /// Whether the data are drawn from a dictionary that is known.
    pub fn has_dictionary(&self) -> bool {
        self.settings().has_dictionary()
    }

    /// Side in pixels of the crops, if the data are crops.
    pub fn crop(&self) -> Option<usize> {
        self.settings().crop()
    }

    /// Uses the data in `folder`. Drawn pictures become photographs, and drawn digits become digits from files.
    ///
    /// # Errors
    /// Returns an error for sparse-coding data, which are always drawn.
    pub fn set_folder(&mut self, folder: PathBuf) -> Result<(), RangeError> {
        *self = match &*self {
            Self::Photographs(settings) => {
                Self::Photographs(PhotographSettings { dir: folder, ..settings.clone() })
            }
            Self::DeadLeaves(settings) => Self::Photographs(settings.in_folder(folder)),
            Self::Digits(settings) => {
                Self::Digits(DigitSettings { path: folder, ..settings.clone() })
            }
            Self::Strokes(settings) => Self::Digits(settings.in_folder(folder)),
            Self::Matrix(settings) => {
                Self::Matrix(MatrixSettings { path: folder, ..settings.clone() })
            }
            Self::Recordings(settings) => {
                Self::Recordings(RecordingSettings { path: folder, ..settings.clone() })
            }
            Self::SparseCoding(_) => {
                let range = "photographs, dead-leaves, digits or strokes for data from a folder: sparse-coding \
                             data are drawn";
                return Err(RangeError::new("data.kind", self.kind(), range));
            }
        };
        Ok(())
    }

    /// Validates on the pictures in `folder`.
    ///
    /// # Errors
    /// Returns an error if the data are not photographs.
    pub fn set_validation_folder(&mut self, folder: PathBuf) -> Result<(), RangeError> {
        let kind = self.kind();
        let place = self.settings_mut().validation_folder_mut().ok_or_else(|| {
            RangeError::new("data.kind", kind, "photographs, to validate on pictures in a folder")
        })?;
        *place = Some(folder);
        Ok(())
    }

    /// What a number that is NaN means in the data.
    pub fn missing(&self) -> Missing {
        match self {
            Self::Matrix(settings) => settings.missing,
            Self::Recordings(settings) => settings.missing,
            _ => Missing::Error,
        }
    }

    /// Sets what a number that is NaN means in the data.
    ///
    /// # Errors
    /// Returns an error if the data are neither a matrix nor a recording, and NaN is a number that is not known.
    pub fn set_missing(&mut self, missing: Missing) -> Result<(), RangeError> {
        match self {
            Self::Matrix(settings) => settings.missing = missing,
            Self::Recordings(settings) => settings.missing = missing,
            _ if missing == Missing::Error => {}
            other => {
                let range = "matrix or recordings, if numbers are missing";
                return Err(RangeError::new("data.kind", other.kind(), range));
            }
        }
        Ok(())
    }

    /// The files and folders that hold the data, to change where they are.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        self.settings_mut().paths_mut()
    }

    /// Numbers of the training data that are left out of the batches that draw them.
    pub fn without(&self) -> &[usize] {
        self.settings().without()
    }

    /// Leaves these training data out of the batches that draw them. The rest of a batch stays as it is.
    ///
    /// # Errors
    /// Returns an error if the data are not digits.
    pub fn set_without(&mut self, numbers: Vec<usize>) -> Result<(), RangeError> {
        let kind = self.kind();
        let place = self.settings_mut().without_mut().ok_or_else(|| {
            RangeError::new(
                "data.kind",
                kind,
                "digits or strokes where data are left out of training",
            )
        })?;
        *place = numbers;
        Ok(())
    }

    /// The number of decoded pictures in memory (`None` for 512), if the data are pictures.
    pub fn cached_images_mut(&mut self) -> Option<&mut Option<usize>> {
        self.settings_mut().cached_images_mut()
    }
}
