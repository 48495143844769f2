//! Windows of a recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pudle_core::{ConvConfig, DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::error::{DataError, Result, check_count};
use crate::fingerprint::Fingerprint;
use crate::matrix::Missing;
use crate::recordings::{
    CodeShape, Onsets, Recording, RecordingOptions, RecordingWindows, check_rate,
};

/// Most windows that a validation reads.
const MOST_VALIDATED: usize = 256;

/// Windows of a recording, for filters along signals. They are read from the file as training goes.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `path` | — | a file, see [`Recording::open`] | |
/// | `tensor` | the only one | name of the array in an `.npz` or safetensors file | |
/// | `time_first` | false | whether the axes of an array are time and channels, not channels and time | |
/// | `rate` | that of a WAV file | sampling rate in Hz | above 0 |
/// | `window` | — | samples of a window | at least those of an atom, at most those of a trial |
/// | `offset` | — | what is subtracted from each channel: its level between events | a number for each channel |
/// | `scale` | — | what each channel is divided by: the standard deviation of its noise | a number above 0 for each channel |
/// | `validation` | 0 | share of the samples, at the end of every trial, that is held out; with onsets, of the trials | from 0 to 0.9 |
/// | `missing` | `error` | what NaN means: `error`, or `nan` for a gap | |
/// | `onsets` | — | a table of the times at which atoms may occur, see [`Onsets::read`]. A window is then a whole trial | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingSettings {
    /// The file.
    pub path: PathBuf,
    /// Name of the array in a file of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Whether time comes before channels.
    #[serde(default, skip_serializing_if = "is_false")]
    pub time_first: bool,
    /// Sampling rate in Hz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Samples of a window.
    pub window: usize,
    /// What is subtracted from each channel.
    pub offset: Vec<f32>,
    /// What each channel is divided by.
    pub scale: Vec<f32>,
    /// Share of the samples that is held out of training.
    #[serde(default)]
    pub validation: f64,
    /// What a number that is NaN means.
    #[serde(default, skip_serializing_if = "is_error")]
    pub missing: Missing,
    /// A table of the times at which atoms may occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onsets: Option<PathBuf>,
}

fn is_error(missing: &Missing) -> bool {
    *missing == Missing::Error
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl RecordingSettings {
    /// The settings for the recording at `path`, without what the recording decides: `window` is 1,024, and there is one channel
    /// that is not changed.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            tensor: None,
            time_first: false,
            rate: None,
            window: 1024,
            offset: vec![0.0],
            scale: vec![1.0],
            validation: 0.0,
            missing: Missing::Error,
            onsets: None,
        }
    }

    /// Opens the recording.
    ///
    /// # Errors
    /// Returns an error that names the file that cannot be read.
    pub fn recording(&self) -> Result<Recording> {
        let Self { tensor, time_first, rate, .. } = self;
        let (tensor, time_first, rate) = (tensor.as_deref(), *time_first, *rate);
        Recording::open(&self.path, RecordingOptions { tensor, time_first, rate })
    }

    /// Windows of a recording that is open, of all its samples.
    ///
    /// # Errors
    /// Returns an error if a setting does not fit the recording.
    pub fn windows(
        &self,
        recording: Arc<Recording>,
        batch: usize,
        seed: u64,
    ) -> Result<RecordingWindows> {
        let numbers = [&self.offset[..], &self.scale[..]];
        let windows = RecordingWindows::new(recording, numbers, self.window, batch, seed)?;
        Ok(windows.with_missing(self.missing))
    }

    fn filters(dictionary: &DictionaryConfig) -> Result<ConvConfig, RangeError> {
        match dictionary {
            DictionaryConfig::Conv1d(filters) => Ok(*filters),
            other => Err(fit::other_kind(other, "conv1d for a recording")),
        }
    }
}

impl SourceSettings for RecordingSettings {
    fn validate(&self) -> Result<(), RangeError> {
        self.rate.map_or(Ok(()), |rate| check_rate("data.rate", rate))?;
        check_count("data.window", self.window, 1, 1 << 24)?;
        if self.offset.len() != self.scale.len() || self.offset.is_empty() {
            let range = format!("{} numbers, as many as data.scale", self.scale.len().max(1));
            let found = format!("of {} numbers", self.offset.len());
            return Err(RangeError::new("data.offset", found, range));
        }
        if let Some(value) = self.offset.iter().find(|value| !value.is_finite()) {
            return Err(RangeError::new("data.offset", value, "finite"));
        }
        if let Some(value) = self.scale.iter().find(|value| !(**value > 0.0 && value.is_finite())) {
            return Err(RangeError::new("data.scale", value, "finite and above 0"));
        }
        if !(0.0..=0.9).contains(&self.validation) {
            return Err(RangeError::new("data.validation", self.validation, "from 0 to 0.9"));
        }
        Ok(())
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        let filters = Self::filters(dictionary)?;
        if filters.channels != self.scale.len() {
            let range = format!("{}, the channels of the recording", self.scale.len());
            return Err(RangeError::new("model.dictionary.channels", filters.channels, range));
        }
        if self.window < filters.size {
            let range = format!("at least {}, the samples of an atom", filters.size);
            return Err(RangeError::new("data.window", self.window, range));
        }
        if let rest @ 1.. = (self.window - filters.size) % filters.stride {
            let (below, above) = (self.window - rest, self.window - rest + filters.stride);
            let range = format!("`size` plus a multiple of `stride`, {below} or {above}");
            return Err(RangeError::new("data.window", self.window, range));
        }
        Ok(())
    }

    fn values_per_datum(&self, _: &DictionaryConfig) -> usize {
        self.scale.len().saturating_mul(self.window)
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        self.open_recording(Arc::new(self.recording()?), options)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![&mut self.path];
        paths.extend(&mut self.onsets);
        paths
    }
}

impl RecordingSettings {
    /// The batches of a recording that is open already.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, or the dictionary or the recording do not fit it.
    pub fn open_recording(
        &self,
        recording: Arc<Recording>,
        options: &OpenOptions<'_>,
    ) -> Result<Opened> {
        let OpenOptions { batch, seed, ref dictionary, .. } = *options;
        SourceSettings::validate(self)?;
        SourceSettings::fits(self, dictionary)?;
        let (samples, window) = (recording.samples(), self.window);
        let fingerprint = Some(recording.fingerprint()?);
        let all = self.windows(recording, batch, seed)?;
        if let Some(path) = &self.onsets {
            return self.open_trials(all, path, dictionary, fingerprint);
        }
        // What is held out is at least a window.
        let held_out = match self.validation {
            0.0 => 0,
            share => ((samples as f64 * share) as usize).max(window),
        };
        if samples < held_out + window {
            let range = format!("a share that leaves a window of {window} samples of {samples}");
            return Err(DataError::range("data.validation", self.validation, range));
        }
        let training = all.of_span(0..samples - held_out, false);
        let mut opened = Opened::new(training.clone());
        if held_out > 0 {
            let validation = all.of_span(samples - held_out..samples, true);
            let windows = validation.consecutive().min(MOST_VALIDATED);
            if self.missing == Missing::Error || validation.has_window()? {
                opened = opened.with_validation(validation, windows.div_ceil(batch) as u64);
            } else {
                log::warn!(
                    "nothing is validated: what is held out has no window of {window} samples without a gap"
                );
            }
        }
        Ok(Opened { recording: Some(training), fingerprint, ..opened })
    }

    /// The batches of whole trials with known onsets.
    fn open_trials(
        &self,
        all: RecordingWindows,
        path: &Path,
        dictionary: &DictionaryConfig,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Opened> {
        let ConvConfig { atoms, size: taps, .. } = Self::filters(dictionary)?;
        let (trials, samples) = (all.recording().trials(), all.recording().samples());
        if self.window != samples {
            let range = format!("{samples}, the samples of a trial, with known onsets");
            return Err(DataError::range("data.window", self.window, range));
        }
        let onsets = Onsets::read(path, all.recording())?;
        if let Some(last) = onsets.last_atom().filter(|last| *last >= atoms) {
            let reason = format!("has atom {last} (from 0), but there are {atoms} atoms");
            return Err(DataError::format(path, reason));
        }
        let late = (0..trials).flat_map(|trial| onsets.trial(trial));
        let late = late.filter(|onset| onset.start + taps > samples).count();
        if late == onsets.count() {
            let reason = format!(
                "has no onset that is {taps} samples, an atom, before the end of its trial"
            );
            return Err(DataError::format(path, reason));
        }
        if late > 0 {
            log::warn!(
                "{}: {late} onsets have no place, as their atoms would reach beyond the end of the trial",
                path.display()
            );
        }
        let all = all.with_onsets(Arc::new(onsets), CodeShape { atoms, taps });
        // A share above 0 holds out one trial at least, if one is left to learn from.
        let share = (trials as f64 * self.validation) as usize;
        let held_out = share.max(usize::from(self.validation > 0.0)).min(trials - 1);
        let training = all.of_trials(0..trials - held_out, false);
        let mut opened = Opened::new(training.clone());
        if held_out > 0 {
            let validation = all.of_trials(trials - held_out..trials, true);
            let batch = validation.batch_size();
            opened = opened.with_validation(validation, held_out.div_ceil(batch) as u64);
        }
        Ok(Opened { recording: Some(training), fingerprint, ..opened })
    }
}
