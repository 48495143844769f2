//! Finds the events of a recording with a trained network, a few windows at a time.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use pudle_core::{DictionaryConfig, Noise, Proximal};
use pudle_data::{ChannelNoise, DataConfig, Missing, Recording, RecordingSettings};
use rayon::prelude::*;

use super::confidence::set_confidence;
use super::events::{Event, Events};
use super::filters::Filters;
use super::refine::{Found, Rule, merged, refined};
use crate::checkpoint::Checkpoint;
use crate::codes::{Coder, Visit};
use crate::config::RunConfig;
use crate::error::{Result, TrainError};

/// Numbers of a window, and of all windows that are encoded together.
const WINDOW_NUMBERS: usize = 1 << 19;
const BATCH_NUMBERS: usize = 1 << 22;
/// Samples of a window, at least and at most, beside what its neighbours share.
const WINDOW: [usize; 2] = [4096, 65_536];
/// Atoms that fit into what two neighbouring windows share on either side.
const MARGIN: usize = 2;

/// Finds events: codes by the layers, one event for neighbouring codes, amplitudes by least squares.
#[derive(Clone, Debug)]
pub struct EventFinder {
    coder: Coder,
    filters: Filters,
    settings: RecordingSettings,
    rule: Rule,
    /// Least confidence of an event.
    confidence: f32,
    /// Whether events have a factor for each channel.
    channels: bool,
    /// Whether level and noise of channels are measured again on each recording.
    measured: bool,
}

/// A part of a trial: what is read, and the starts of events that count.
#[derive(Clone, Copy, Debug)]
struct Part {
    trial: usize,
    first: usize,
    samples: usize,
    counts: [usize; 2],
}

impl EventFinder {
    /// Reads the run in `dir`.
    ///
    /// # Errors
    /// Returns an error if it cannot be read, or was not trained on a recording.
    pub fn of_run(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join("config.toml");
        let config = RunConfig::read(&path).map_err(|error| match error {
            TrainError::ConfigFile { .. } => {
                TrainError::weights(dir, format!("is no run of a training on a recording: {error}"))
            }
            other => other,
        })?;
        let DataConfig::Recordings(settings) = config.data else {
            let reason = format!("was trained on {}, not on a recording", config.data.kind());
            return Err(TrainError::weights(dir, reason));
        };
        Self::new(Checkpoint::read(dir, device)?, settings, device)
            .map_err(|error| TrainError::in_file(dir, error))
    }

    /// Finds events with a checkpoint that was trained on recordings with these settings.
    ///
    /// # Errors
    /// Returns an error if the model has no filters along signals at every sample, or no λ, or was trained with known onsets.
    pub fn new(
        checkpoint: Checkpoint,
        settings: RecordingSettings,
        device: &Device,
    ) -> Result<Self> {
        if settings.onsets.is_some() {
            let reason = "the model was trained with known onsets: its events are in events.csv in its folder";
            return Err(TrainError::Unsuitable(reason.into()));
        }
        let config = &checkpoint.config;
        let filters = Filters::of_model(&checkpoint.model).ok_or_else(|| {
            TrainError::range(
                "model.dictionary.kind",
                config.dictionary.kind(),
                "conv1d of stride 1",
            )
        })?;
        if !matches!(config.prox, Proximal::Soft | Proximal::Relu | Proximal::Hard) {
            return Err(TrainError::range("model.prox", config.prox, "soft, relu or hard"));
        }
        if !config.observation.is_gaussian() {
            let range = "gaussian, as sizes and confidences are those of white noise";
            return Err(TrainError::range("model.observation", config.observation, range));
        }
        let rule = Rule {
            least: least_level(&checkpoint, filters.atoms()),
            signed: config.prox != Proximal::Relu,
        };
        let coder = Coder::new(checkpoint, device)?;
        let (confidence, channels, measured) = (0.5, false, false);
        Ok(Self { coder, filters, settings, rule, confidence, channels, measured })
    }

    /// With this least confidence of an event, from 0 to 1. The default is 0.5.
    ///
    /// # Errors
    /// Returns an error if it is out of its range.
    pub fn with_confidence(self, confidence: f32) -> Result<Self> {
        match (0.0..=1.0).contains(&confidence) {
            true => Ok(Self { confidence, ..self }),
            false => Err(TrainError::range("confidence", confidence, "from 0 to 1")),
        }
    }

    /// With a factor for each channel in every event.
    pub fn with_channels(self, channels: bool) -> Self {
        Self { channels, ..self }
    }

    /// With level and noise of the channels measured on each recording, instead of those of the recording of the training.
    pub fn with_measured_noise(self, measured: bool) -> Self {
        Self { measured, ..self }
    }

    /// With this meaning of numbers that are NaN, instead of that of the training: gaps, if it is [`Missing::Nan`]. An event that
    /// touches a gap is left out.
    pub fn with_missing(mut self, missing: Missing) -> Self {
        self.settings.missing = missing;
        self
    }

    /// The settings of the recording that the model was trained on.
    pub fn settings(&self) -> &RecordingSettings {
        &self.settings
    }

    /// The atoms.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The events of a recording. `visit` is called after some windows with the samples that are done and all samples;
    /// [`ControlFlow::Break`] ends the work.
    ///
    /// # Errors
    /// Returns an error if the recording has other channels than the atoms or is shorter than an atom, or if it cannot be read;
    /// and [`TrainError::Interrupted`] if `visit` ends the work.
    pub fn find(&self, recording: &Recording, visit: Visit<'_>) -> Result<Events> {
        let settings = self.settings_for(recording)?;
        let parts = self.parts(recording);
        let total = (recording.trials() * recording.samples()) as u64;
        let mut list: Vec<Event> = Vec::new();
        let mut done = 0;
        let longest = parts.iter().map(|part| part.samples).max().unwrap_or(1);
        let together = (BATCH_NUMBERS / (longest * recording.channels())).max(1);
        let batches: Vec<&[Part]> = parts
            .chunk_by(|a, b| a.samples == b.samples)
            .flat_map(|p| p.chunks(together))
            .collect();
        let mut next =
            batches.first().map(|parts| read(&settings, recording, parts)).transpose()?;
        for (k, parts) in batches.iter().enumerate() {
            let data = next.take().expect("read ahead");
            // The next windows are read while these are encoded.
            let ahead =
                || batches.get(k + 1).map(|parts| read(&settings, recording, parts)).transpose();
            let (found, data) = rayon::join(|| self.events_of(&data, parts), ahead);
            next = data?;
            list.extend(found?);
            done += parts.iter().map(|part| (part.counts[1] - part.counts[0]) as u64).sum::<u64>();
            if visit(done.min(total), total) == ControlFlow::Break(()) {
                return Err(TrainError::Interrupted);
            }
        }
        self.join(&mut list);
        let positions = recording.trials() * (recording.samples() + 1 - self.filters.taps());
        let Rule { least, signed } = self.rule;
        set_confidence(&mut list, &self.filters, positions, least, signed);
        list.retain(|event| event.confidence >= self.confidence);
        Ok(Events {
            list,
            filters: self.filters.clone(),
            offset: settings.offset,
            scale: settings.scale,
            rate: recording.rate(),
            samples: recording.trials() * recording.samples(),
        })
    }

    /// The settings with level and noise for a recording.
    fn settings_for(&self, recording: &Recording) -> Result<RecordingSettings> {
        let (channels, taps) = (self.filters.channels(), self.filters.taps());
        if recording.channels() != channels {
            let reason =
                format!("has {} channels, but the atoms have {channels}", recording.channels());
            return Err(TrainError::weights(recording.path(), reason));
        }
        if recording.samples() < taps {
            let reason =
                format!("has {} samples, fewer than an atom's {taps}", recording.samples());
            return Err(TrainError::weights(recording.path(), reason));
        }
        let mut settings = self.settings.clone();
        if self.measured {
            let noise = ChannelNoise::measure_with(recording, settings.missing)?;
            settings.offset = noise.iter().map(|noise| noise.level).collect();
            settings.scale = noise.iter().map(|noise| noise.deviation).collect();
        }
        Ok(settings)
    }

    /// The parts of all trials. Those of a trial share samples with their neighbours, so that an event is whole in one of them.
    fn parts(&self, recording: &Recording) -> Vec<Part> {
        let margin = MARGIN * self.filters.taps();
        let samples = recording.samples();
        let least = WINDOW[0].max(8 * margin);
        let core = (WINDOW_NUMBERS / recording.channels()).clamp(least, WINDOW[1].max(least));
        let mut parts = Vec::new();
        for trial in 0..recording.trials() {
            for start in (0..samples).step_by(core) {
                let end = (start + core).min(samples);
                let first = start.saturating_sub(margin);
                // A part at the end is as long as the others, where the trial has as many samples.
                let last = (end + margin).min(samples);
                let first = first.min(last.saturating_sub(core + 2 * margin));
                parts.push(Part { trial, first, samples: last - first, counts: [start, end] });
            }
        }
        parts
    }

    /// The events of parts of one length, from their samples one after the other.
    fn events_of(&self, data: &[f32], parts: &[Part]) -> Result<Vec<Event>> {
        let samples = parts[0].samples;
        let size = self.filters.channels() * samples;
        let shape = [parts.len(), self.filters.channels(), samples];
        // A gap is like noise of no size. Events that touch it are left out below.
        let filled: Vec<f32>;
        let whole = match data.iter().any(|value| value.is_nan()) {
            true => {
                filled = data.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
                &filled[..]
            }
            false => data,
        };
        let coded = self.coder.encode(whole, &shape)?;
        let code = coded.code.len() / parts.len();
        let work = whole.par_chunks(size).zip(coded.code.par_chunks(code)).zip(parts);
        let found: Vec<Vec<Event>> = work
            .zip(data.par_chunks(size))
            .map(|(((x, code), part), data)| {
                let mut events = self.events_of_part(x, code, part);
                self.leave_out_gaps(&mut events, data, part);
                events
            })
            .collect();
        Ok(found.concat())
    }

    /// Leaves out events of a part that touch a gap, which is NaN in some channel.
    fn leave_out_gaps(&self, events: &mut Vec<Event>, data: &[f32], part: &Part) {
        if !data.iter().any(|value| value.is_nan()) {
            return;
        }
        let taps = self.filters.taps();
        events.retain(|event| {
            let first = event.start - part.first;
            let mut rows = data.chunks_exact(part.samples);
            !rows.any(|row| row[first..first + taps].iter().any(|value| value.is_nan()))
        });
    }

    fn events_of_part(&self, x: &[f32], code: &[f32], part: &Part) -> Vec<Event> {
        let positions = code.len() / self.filters.atoms();
        let entries = code.chunks_exact(positions).enumerate().flat_map(|(atom, row)| {
            let nonzero = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
            nonzero.map(move |(start, value)| Found { start, atom, amplitude: *value })
        });
        let events = merged(&self.filters, entries);
        let (events, residual) = refined(&self.filters, x, events, self.rule);
        let counts = |event: &Found| {
            let start = part.first + event.start;
            (part.counts[0]..part.counts[1]).contains(&start)
        };
        let event = |found: &Found| Event {
            trial: part.trial,
            start: part.first + found.start,
            atom: found.atom,
            size: found.amplitude,
            confidence: 0.0,
            channels: if self.channels { self.factors(&residual, found) } else { Vec::new() },
        };
        events.iter().filter(|event| counts(event)).map(event).collect()
    }

    /// The factor of an event in each channel alone, by least squares, in units of the recording at the atom's largest sample in
    /// that channel. Channels where the atom is zero have 0.
    fn factors(&self, residual: &[f32], found: &Found) -> Vec<f32> {
        let (taps, samples) = (self.filters.taps(), residual.len() / self.filters.channels());
        let rows =
            residual.chunks_exact(samples).zip(self.filters.atom(found.atom).chunks_exact(taps));
        rows.zip(&self.settings.scale)
            .map(|((row, atom), scale)| {
                let norm: f32 = atom.iter().map(|v| v * v).sum();
                let left = row[found.start..][..taps].iter().zip(atom);
                let product: f32 = left.map(|(r, a)| r * a).sum();
                let factor = found.amplitude + product / norm.max(f32::MIN_POSITIVE);
                let largest = atom.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                if norm > 1e-12 { factor * largest * scale } else { 0.0 }
            })
            .collect()
    }

    /// Makes an event one that two neighbouring parts have found at different places near their border.
    fn join(&self, list: &mut Vec<Event>) {
        list.sort_by_key(|event| (event.trial, event.atom, event.start));
        list.dedup_by(|later, first| {
            let same = later.trial == first.trial && later.atom == first.atom;
            let near = same && later.start - first.start < self.filters.radius(first.atom);
            if near && later.size.abs() > first.size.abs() {
                std::mem::swap(later, first);
            }
            near
        });
        list.sort_by_key(|event| (event.trial, event.start, event.atom));
    }
}

/// The lowest level of the last layer over the atoms, as an amplitude.
fn least_level(checkpoint: &Checkpoint, atoms: usize) -> f32 {
    let lambda = checkpoint.model.lambda(checkpoint.config.layers - 1, &Noise::Unknown);
    debug_assert!(
        atoms >= 1 && matches!(checkpoint.config.dictionary, DictionaryConfig::Conv1d(_))
    );
    lambda.into_iter().fold(f32::INFINITY, f32::min)
}

/// The samples of parts, one after the other, shifted and scaled.
fn read(settings: &RecordingSettings, recording: &Recording, parts: &[Part]) -> Result<Vec<f32>> {
    let size = recording.channels() * parts[0].samples;
    let mut data = vec![0.0; parts.len() * size];
    for (part, out) in parts.iter().zip(data.chunks_exact_mut(size)) {
        recording.read_with(settings.missing, part.trial, part.first, out)?;
        let numbers = settings.offset.iter().zip(&settings.scale);
        for (row, (offset, scale)) in out.chunks_exact_mut(part.samples).zip(numbers) {
            row.iter_mut().for_each(|value| *value = (*value - offset) / scale);
        }
    }
    Ok(data)
}
