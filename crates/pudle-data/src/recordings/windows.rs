//! Windows of a recording, read as training goes.

use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;

use super::onsets::Onsets;
use super::recording::Recording;
use crate::error::{DataError, Result, check_count};
use crate::matrix::Missing;
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source, Support};

/// Random windows that are drawn before a recording counts as one of gaps alone.
const MOST_DRAWS: u64 = 200;

/// Windows of a recording, `[b, C, length]`, the target equal to the input. Each channel is shifted and scaled. Windows of
/// training start at random samples; those of validation follow each other, but where there are gaps. With onsets, a batch
/// says where codes may be other than zero. Windows have no gaps, unless there are onsets: a gap is then NaN.
#[derive(Clone, Debug)]
pub struct RecordingWindows {
    recording: Arc<Recording>,
    /// What is subtracted from each channel.
    offset: Arc<[f32]>,
    /// What each channel is divided by.
    scale: Arc<[f32]>,
    /// Samples of a window.
    length: usize,
    batch: usize,
    seed: u64,
    /// The trials and the samples of each that windows come from.
    trials: Range<usize>,
    span: Range<usize>,
    /// Whether windows follow each other.
    in_order: bool,
    missing: Missing,
    onsets: Option<(Arc<Onsets>, CodeShape)>,
}

/// The atoms of a code along time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeShape {
    /// Number of atoms.
    pub atoms: usize,
    /// Samples of an atom.
    pub taps: usize,
}

impl RecordingWindows {
    /// Random windows of `length` samples, `batch` at a time, of all trials. `offset` and `scale` have a number for each
    /// channel.
    ///
    /// # Errors
    /// Returns an error if a number is out of its range, or if a trial is shorter than a window.
    pub fn new(
        recording: Arc<Recording>,
        [offset, scale]: [&[f32]; 2],
        length: usize,
        batch: usize,
        seed: u64,
    ) -> Result<Self> {
        let channels = recording.channels();
        for (field, numbers) in [("data.offset", offset), ("data.scale", scale)] {
            if numbers.len() != channels {
                let range = format!("{channels} numbers, one for each channel");
                return Err(DataError::range(
                    field,
                    format!("of {} numbers", numbers.len()),
                    range,
                ));
            }
        }
        check_count("data.window", length, 1, recording.samples())?;
        check_count("batch", batch, 1, 1 << 20)?;
        let (trials, span) = (0..recording.trials(), 0..recording.samples());
        let (offset, scale) = (offset.into(), scale.into());
        let (in_order, missing, onsets) = (false, Missing::Error, None);
        Ok(Self {
            recording,
            offset,
            scale,
            length,
            batch,
            seed,
            trials,
            span,
            in_order,
            missing,
            onsets,
        })
    }

    /// Windows of these samples of every trial alone. With `in_order`, they follow each other.
    pub fn of_span(&self, span: Range<usize>, in_order: bool) -> Self {
        Self { span, in_order, ..self.clone() }
    }

    /// Windows of these trials alone. With `in_order`, they follow each other.
    pub fn of_trials(&self, trials: Range<usize>, in_order: bool) -> Self {
        Self { trials, in_order, ..self.clone() }
    }

    /// Windows of another length, at most that of the span.
    pub fn with_length(&self, length: usize) -> Self {
        Self { length: length.min(self.span.len()), ..self.clone() }
    }

    /// The same with this meaning of numbers that are NaN.
    pub fn with_missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// The same with known onsets, for codes of this shape.
    pub fn with_onsets(self, onsets: Arc<Onsets>, code: CodeShape) -> Self {
        Self { onsets: Some((onsets, code)), ..self }
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The onsets, if they are known.
    pub fn onsets(&self) -> Option<&Onsets> {
        self.onsets.as_ref().map(|(onsets, _)| &**onsets)
    }

    /// Samples of a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Number of windows of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The trials that windows come from.
    pub fn trials(&self) -> Range<usize> {
        self.trials.clone()
    }

    /// The samples of every trial that windows come from.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Number of windows that follow each other, at least 1.
    pub fn consecutive(&self) -> usize {
        self.trials.len() * (self.span.len() / self.length).max(1)
    }

    /// Samples between attempts at windows that follow each other.
    fn shift(&self) -> usize {
        (self.length / 8).max(1)
    }

    /// Trial and first sample of a window, at the `draw`-th attempt.
    fn place(&self, number: u64, draw: u64) -> (usize, usize) {
        let room = self.span.len() - self.length;
        if self.in_order {
            let each = (self.span.len() / self.length).max(1);
            let number = (number % (self.trials.len() * each) as u64) as usize;
            let first = number % each * self.length;
            // Later attempts go through the trial in steps of an eighth of a window, and then through the next one.
            let step = self.shift();
            let (draw, starts) = (draw as usize, room / step + 1);
            let trial = (number / each + draw / starts) % self.trials.len();
            let first = if draw == 0 { first } else { (first / step + draw) % starts * step };
            return (self.trials.start + trial, self.span.start + first);
        }
        let mut rng = step_rng(self.seed, Stream::Window, number.wrapping_add(draw << 40));
        let trial = rng.random_range(self.trials.clone());
        (trial, self.span.start + rng.random_range(0..=room))
    }

    /// Reads samples from `first` on of all channels of a trial, shifted and scaled. Those of a gap are NaN.
    ///
    /// # Errors
    /// Returns an error if samples cannot be read, or are NaN and that is no gap.
    ///
    /// # Panics
    /// Panics if the trial has fewer samples.
    pub fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()> {
        self.recording.read_with(self.missing, trial, first, out)?;
        let count = out.len() / self.recording.channels();
        let numbers = self.offset.iter().zip(&*self.scale);
        for (samples, (offset, scale)) in out.chunks_exact_mut(count.max(1)).zip(numbers) {
            samples.iter_mut().for_each(|value| *value = (*value - offset) / scale);
        }
        Ok(())
    }

    /// Whether there is a window without a gap.
    ///
    /// # Errors
    /// Returns an error if samples cannot be read.
    pub fn has_window(&self) -> Result<bool> {
        let mut window = vec![0.0; self.recording.channels() * self.length];
        Ok(self.find(0, &mut window)?.is_some())
    }

    /// Reads a window, and returns its place.
    fn window(&self, number: u64, out: &mut [f32]) -> Result<(usize, usize)> {
        let length = self.length;
        self.find(number, out)?.ok_or_else(|| {
            let reason = format!("has gaps in all windows of {length} samples that were tried");
            DataError::format(self.recording.path(), reason)
        })
    }

    /// Reads a window, and returns its place. Without onsets, it is the first one that is tried and has no gap; `None` if there
    /// is none.
    fn find(&self, number: u64, out: &mut [f32]) -> Result<Option<(usize, usize)>> {
        let starts = (self.span.len() - self.length) / self.shift() + 1;
        let draws = match self.in_order {
            true => (self.trials.len() * starts) as u64,
            false => MOST_DRAWS,
        };
        for draw in 0..draws {
            let (trial, first) = self.place(number, draw);
            self.read(trial, first, out)?;
            let has_gap = self.missing == Missing::Nan && out.iter().any(|value| value.is_nan());
            if self.onsets.is_some() || !has_gap {
                return Ok(Some((trial, first)));
            }
        }
        Ok(None)
    }
}

impl Source for RecordingWindows {
    fn batch(&self, step: u64) -> Result<Batch> {
        let (channels, batch) = (self.recording.channels(), self.batch as u64);
        let size = channels * self.length;
        let (mut input, mut support) = (vec![0.0; self.batch * size], Vec::new());
        for (k, window) in input.chunks_exact_mut(size).enumerate() {
            let number = step.wrapping_mul(batch).wrapping_add(k as u64);
            let (trial, first) = self.window(number, window)?;
            if let Some((onsets, CodeShape { atoms, taps })) = &self.onsets {
                support.extend(onsets.support(trial, first..first + self.length, *atoms, *taps));
            }
        }
        let support = self.onsets.as_ref().map(|(_, CodeShape { atoms, taps })| Support {
            shape: vec![self.batch, *atoms, self.length + 1 - taps],
            values: support,
        });
        let shape = vec![self.batch, channels, self.length];
        Ok(Batch { shape, target: input.clone(), input, noise: vec![], support })
    }

    fn describe(&self) -> String {
        format!("windows of {} samples of {}", self.length, self.recording.describe())
    }
}
