//! Windows of a recording, read as training goes.

use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;

use super::recording::Recording;
use crate::error::{DataError, Result, check_count};
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};

/// Windows of a recording, `[b, C, length]`, the target equal to the input. Each channel is shifted and scaled. Windows of
/// training start at random samples; those of validation follow each other.
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
    /// The samples of every trial that windows come from.
    span: Range<usize>,
    /// Whether windows follow each other.
    in_order: bool,
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
        let span = 0..recording.samples();
        let (offset, scale) = (offset.into(), scale.into());
        Ok(Self { recording, offset, scale, length, batch, seed, span, in_order: false })
    }

    /// Windows of these samples of every trial alone. With `in_order`, they follow each other.
    pub fn of_span(&self, span: Range<usize>, in_order: bool) -> Self {
        Self { span, in_order, ..self.clone() }
    }

    /// Windows of another length, at most that of the span.
    pub fn with_length(&self, length: usize) -> Self {
        Self { length: length.min(self.span.len()), ..self.clone() }
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Samples of a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The samples of every trial that windows come from.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Number of windows that follow each other, at least 1.
    pub fn consecutive(&self) -> usize {
        self.recording.trials() * (self.span.len() / self.length).max(1)
    }

    /// Trial and first sample of a window.
    fn place(&self, number: u64) -> (usize, usize) {
        let room = self.span.len() - self.length;
        let trials = self.recording.trials();
        if self.in_order {
            let each = (self.span.len() / self.length).max(1);
            let number = (number % (trials * each) as u64) as usize;
            return (number / each, self.span.start + number % each * self.length);
        }
        let mut rng = step_rng(self.seed, Stream::Window, number);
        (rng.random_range(0..trials), self.span.start + rng.random_range(0..=room))
    }

    /// Reads samples from `first` on of all channels of a trial, shifted and scaled.
    ///
    /// # Errors
    /// Returns an error if samples cannot be read.
    ///
    /// # Panics
    /// Panics if the trial has fewer samples.
    pub fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()> {
        self.recording.read(trial, first, out)?;
        let count = out.len() / self.recording.channels();
        let numbers = self.offset.iter().zip(&*self.scale);
        for (samples, (offset, scale)) in out.chunks_exact_mut(count.max(1)).zip(numbers) {
            samples.iter_mut().for_each(|value| *value = (*value - offset) / scale);
        }
        Ok(())
    }
}

impl Source for RecordingWindows {
    fn batch(&self, step: u64) -> Result<Batch> {
        let (channels, batch) = (self.recording.channels(), self.batch as u64);
        let size = channels * self.length;
        let mut input = vec![0.0; self.batch * size];
        for (k, window) in input.chunks_exact_mut(size).enumerate() {
            let (trial, first) = self.place(step.wrapping_mul(batch).wrapping_add(k as u64));
            self.read(trial, first, window)?;
        }
        let shape = vec![self.batch, channels, self.length];
        Ok(Batch { shape, target: input.clone(), input, noise: vec![] })
    }

    fn describe(&self) -> String {
        format!("windows of {} samples of {}", self.length, self.recording.describe())
    }
}
