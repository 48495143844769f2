//! A recording, and how it is opened.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::extent::check_rate;
use super::files::ArraySignal;
use super::signal::Signal;
use super::wav::WavSignal;
use crate::error::{DataError, Result};
use crate::fingerprint::Fingerprint;
use crate::matrix::{Missing, open_array};

/// How a recording is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecordingOptions<'a> {
    /// Name of the array in an `.npz` or safetensors file. Needed if the file has several.
    pub tensor: Option<&'a str>,
    /// Whether time comes before channels in an array: `[time, channels]`. A table of text always has time first.
    pub time_first: bool,
    /// Sampling rate in Hz, above 0. A WAV file has its own.
    pub rate: Option<f64>,
}

/// Signals over time in some channels, in one trial or several of the same length. Samples are read when they are needed.
#[derive(Clone, Debug)]
pub struct Recording {
    signal: Arc<dyn Signal>,
    shape: [usize; 3],
    rate: Option<f64>,
    file: Option<PathBuf>,
}

impl Recording {
    /// Opens a file: `.npy`, `.npz`, safetensors, `.csv`, `.tsv` or WAV. Content decides, not the extension.
    ///
    /// An array has the axes `[time]`, `[channels, time]` or `[trials, channels, time]`. A table has a row for each time and a
    /// column for each channel. Only headers are read, but for tables of text and compressed arrays, which are unpacked into
    /// a temporary file (or memory, below 64 MiB).
    ///
    /// # Errors
    /// Returns an error that names the file and what it is, if it is no recording or is damaged, or if the rate is not above 0.
    pub fn open(path: &Path, options: RecordingOptions<'_>) -> Result<Self> {
        if let Some(rate) = options.rate {
            check_rate("data.rate", rate)?;
        }
        let io = |e| DataError::io(path, e);
        if std::fs::metadata(path).map_err(io)?.is_dir() {
            return Err(DataError::format(path, "a folder, but a recording is a file"));
        }
        let mut head = Vec::new();
        std::fs::File::open(path).map_err(io)?.take(12).read_to_end(&mut head).map_err(io)?;
        let file = Some(path.to_owned());
        if head.starts_with(b"RIFF") && head.ends_with(b"WAVE") {
            let (signal, shape, rate) = WavSignal::open(path)?;
            let rate = Some(options.rate.unwrap_or(rate));
            return Ok(Self { signal: Arc::new(signal), shape, rate, file });
        }
        let array = open_array(path, options.tensor, "recording")?;
        let is_text = !head.starts_with(b"\x93NUMPY")
            && !head.starts_with(b"PK")
            && head.get(8) != Some(&b'{');
        let (signal, shape) = ArraySignal::new(array, options.time_first || is_text)?;
        Ok(Self { signal: Arc::new(signal), shape, rate: options.rate, file })
    }

    /// A recording of samples in memory, `[trials, channels, time]`.
    ///
    /// # Errors
    /// Returns an error if there are no samples, or not as many as the shape says.
    pub fn of_values(values: Vec<f32>, shape: [usize; 3], rate: Option<f64>) -> Result<Self> {
        let [trials, channels, samples] = shape;
        if values.is_empty()
            || trials.saturating_mul(channels).saturating_mul(samples) != values.len()
        {
            return Err(DataError::Shape {
                what: "samples in memory".into(),
                found: format!("{} numbers", values.len()),
                expected: format!("{trials}×{channels}×{samples}, at least one"),
            });
        }
        let held = Held { values, channels, samples };
        Ok(Self { signal: Arc::new(held), shape, rate, file: None })
    }

    /// A recording that is made.
    pub(super) fn of_signal(signal: Arc<dyn Signal>, shape: [usize; 3], rate: Option<f64>) -> Self {
        Self { signal, shape, rate, file: None }
    }

    /// Number of trials, at least 1.
    pub fn trials(&self) -> usize {
        self.shape[0]
    }

    /// Number of channels, at least 1.
    pub fn channels(&self) -> usize {
        self.shape[1]
    }

    /// Samples of a trial in each channel, at least 1.
    pub fn samples(&self) -> usize {
        self.shape[2]
    }

    /// Sampling rate in Hz, if it is known.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Seconds of all trials together, if the rate is known.
    pub fn seconds(&self) -> Option<f64> {
        Some((self.trials() * self.samples()) as f64 / self.rate?)
    }

    /// The file, or a name for samples that are in no file.
    pub fn path(&self) -> &Path {
        self.signal.path()
    }

    /// Reads samples from `first` on of all channels of a trial, `[C, n]`, as many as fill `out`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or holds a number that is not finite, with its place.
    ///
    /// # Panics
    /// Panics if the trial has fewer samples, or if `out` is no whole number of samples of all channels.
    pub fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()> {
        self.read_with(Missing::Error, trial, first, out)
    }

    /// Does the same as [`read`](Self::read), with this meaning of numbers that are NaN: gaps, which stay NaN, if it is
    /// [`Missing::Nan`].
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read), but none for NaN in a gap.
    ///
    /// # Panics
    /// Panics if [`read`](Self::read) does.
    pub fn read_with(
        &self,
        missing: Missing,
        trial: usize,
        first: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let [trials, channels, samples] = self.shape;
        let count = out.len() / channels;
        assert!(out.len().is_multiple_of(channels), "samples of all {channels} channels");
        assert!(trial < trials && first + count <= samples, "{count} samples from {first} on");
        self.signal.read(trial, first, out)?;
        let wrong = |value: &f32| match missing {
            Missing::Error => !value.is_finite(),
            Missing::Nan => value.is_infinite(),
        };
        match out.iter().position(wrong) {
            None => Ok(()),
            Some(place) => {
                let (channel, sample) = (place / count, first + place % count);
                let reason = format!(
                    "trial {trial}, channel {channel}, sample {sample} (all from 0) is {}, which is not a finite number",
                    out[place]
                );
                Err(DataError::format(self.path(), reason))
            }
        }
    }

    /// What the file is; that of no files for samples that are in none.
    ///
    /// # Errors
    /// Returns an error if the size of the file cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let files: Vec<PathBuf> = self.file.iter().cloned().collect();
        let folder = self.path().parent().unwrap_or(Path::new(""));
        Fingerprint::of([(folder, &files[..])])
    }

    /// A description in one line.
    pub fn describe(&self) -> String {
        let [trials, channels, samples] = self.shape;
        let many = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let time = match self.rate {
            Some(rate) => format!(" ({:.4} s at {rate} Hz)", samples as f64 / rate),
            None => String::new(),
        };
        format!(
            "{}, {}, {samples} samples{time} of {}",
            many(trials, "trial"),
            many(channels, "channel"),
            self.path().display()
        )
    }
}

/// Samples in memory.
#[derive(Debug)]
struct Held {
    values: Vec<f32>,
    channels: usize,
    samples: usize,
}

impl Signal for Held {
    fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()> {
        let count = out.len() / self.channels;
        for (channel, row) in out.chunks_exact_mut(count.max(1)).enumerate() {
            let start = (trial * self.channels + channel) * self.samples + first;
            row.copy_from_slice(&self.values[start..start + count]);
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("samples in memory")
    }
}
