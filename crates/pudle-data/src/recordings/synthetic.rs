//! Recordings that are made, with known events.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, StandardNormal};

use super::extent::check_rate;
use super::recording::Recording;
use super::signal::Signal;
use super::truth::{TrueEvent, Waveforms};
use crate::error::{DataError, Result, check_count, check_real};
use crate::noise::add_noise;
use crate::rng::{Stream, step_rng};
use crate::whole::write_whole_with;

/// Samples of a stretch of noise that is drawn at once.
const BLOCK: usize = 4096;
/// Two waveforms are less like each other than this cosine, at every shift.
const MOST_SIMILAR: f32 = 0.7;
/// Draws of a waveform before the least similar of them is taken.
const MOST_DRAWS: usize = 200;
/// Periods of the drift over the recording.
const DRIFT_PERIODS: f64 = 1.5;

/// The settings of a [`SyntheticRecording`].
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `waveforms` | 4 | number of waveforms | 1 to 64 |
/// | `length` | 60 | samples of a waveform | 8 to 65,536 |
/// | `channels` | 1 | channels | 1 to 65,536 |
/// | `samples` | 300,000 | samples of each channel | at least `length` |
/// | `rate` | 30,000 | sampling rate in Hz | above 0 |
/// | `events_per_second` | 10 | events of each waveform in a second, on average | 0 to `rate / length` |
/// | `snr` | 10 | signal-to-noise ratio in dB: an event of amplitude 1 has, in the channel where it is largest, a mean square over its length that is so much larger than the variance of the noise | −60 to 120 |
/// | `drift` | 0.3 | amplitudes rise and fall slowly by this part | 0 to 0.9 |
/// | `jitter` | 0.1 | standard deviation of amplitudes beside the drift | 0 to 1 |
/// | `seed` | 0 | seed of everything | |
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticRecordingConfig {
    /// Number of waveforms.
    pub waveforms: usize,
    /// Samples of a waveform.
    pub length: usize,
    /// Number of channels.
    pub channels: usize,
    /// Samples of each channel.
    pub samples: usize,
    /// Sampling rate in Hz.
    pub rate: f64,
    /// Events of each waveform in a second.
    pub events_per_second: f64,
    /// Signal-to-noise ratio in dB.
    pub snr: f64,
    /// Part by which amplitudes drift.
    pub drift: f64,
    /// Standard deviation of amplitudes.
    pub jitter: f64,
    /// Seed of waveforms, events and noise.
    pub seed: u64,
}

impl Default for SyntheticRecordingConfig {
    fn default() -> Self {
        Self {
            waveforms: 4,
            length: 60,
            channels: 1,
            samples: 300_000,
            rate: 30_000.0,
            events_per_second: 10.0,
            snr: 10.0,
            drift: 0.3,
            jitter: 0.1,
            seed: 0,
        }
    }
}

/// A recording that is made of a few waveforms at random times, plus white noise. Its events are known.
///
/// A waveform is a short oscillation under a smooth envelope, the same in all channels but for a weight. Its largest mean square
/// in a channel is 1. Its events are a Poisson process, but two events of one waveform never overlap; those of different
/// waveforms do. Samples are made when they are read, so that a recording takes no memory.
///
/// ```
/// use pudle_data::{SyntheticRecording, SyntheticRecordingConfig};
/// let config = SyntheticRecordingConfig { samples: 30_000, ..Default::default() };
/// let made = SyntheticRecording::new(config)?;
/// let (recording, events) = (made.recording(), made.events());
/// assert_eq!((recording.channels(), recording.samples()), (1, 30_000));
/// assert!(events.len() > 20);
/// let mut stretch = [0.0; 100];
/// recording.read(0, 5000, &mut stretch)?;
/// # Ok::<(), pudle_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyntheticRecording {
    made: Arc<Made>,
}

#[derive(Debug)]
struct Made {
    config: SyntheticRecordingConfig,
    waveforms: Waveforms,
    /// Weights of the channels, `[p, C]`.
    weights: Vec<f32>,
    /// In the order of their starts.
    events: Vec<TrueEvent>,
    noise: f32,
}

impl SyntheticRecordingConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        check_count("waveforms", self.waveforms, 1, 64)?;
        check_count("length", self.length, 8, 1 << 16)?;
        check_count("channels", self.channels, 1, 1 << 16)?;
        check_count("samples", self.samples, self.length, 1 << 40)?;
        check_rate("rate", self.rate)?;
        let most = (self.rate / self.length as f64) as f32;
        check_real("events_per_second", self.events_per_second as f32, 0.0, most)?;
        check_real("snr", self.snr as f32, -60.0, 120.0)?;
        check_real("drift", self.drift as f32, 0.0, 0.9)?;
        check_real("jitter", self.jitter as f32, 0.0, 1.0)?;
        Ok(())
    }
}

impl SyntheticRecording {
    /// Draws waveforms and events.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: SyntheticRecordingConfig) -> Result<Self> {
        config.validate()?;
        let (shapes, weights) = (shapes(&config), weights(&config));
        let mut values = Vec::with_capacity(shapes.len() * config.channels);
        for (shape, weights) in
            shapes.chunks_exact(config.length).zip(weights.chunks_exact(config.channels))
        {
            values.extend(weights.iter().flat_map(|weight| shape.iter().map(move |v| weight * v)));
        }
        let shape = [config.waveforms, config.channels, config.length];
        let mut events: Vec<TrueEvent> =
            (0..config.waveforms).flat_map(|j| events(&config, j)).collect();
        events.sort_by_key(|event| (event.start, event.waveform));
        let noise = 10f64.powf(-config.snr / 20.0) as f32;
        let waveforms = Waveforms { values, shape };
        Ok(Self { made: Arc::new(Made { config, waveforms, weights, events, noise }) })
    }

    /// The recording, in one trial.
    pub fn recording(&self) -> Recording {
        let SyntheticRecordingConfig { channels, samples, rate, .. } = self.made.config;
        Recording::of_signal(self.made.clone(), [1, channels, samples], Some(rate))
    }

    /// The waveforms at amplitude 1.
    pub fn waveforms(&self) -> &Waveforms {
        &self.made.waveforms
    }

    /// The weights of the channels of each waveform, `[p, C]`. The largest of a waveform is 1.
    pub fn weights(&self) -> &[f32] {
        &self.made.weights
    }

    /// The events, in the order of their starts.
    pub fn events(&self) -> &[TrueEvent] {
        &self.made.events
    }

    /// Writes the recording as an array of NumPy, channels and time, sample after sample (the order of Fortran). `visit` is called
    /// after some samples with those that are done and all; [`ControlFlow::Break`] ends the work.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written, or if `visit` ends the work. There is no file then.
    pub fn write_npy(
        &self,
        path: &Path,
        visit: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<()> {
        let SyntheticRecordingConfig { channels, samples, .. } = self.made.config;
        write_whole_with(path, |file| {
            let header = format!(
                "{{'descr': '<f4', 'fortran_order': True, 'shape': ({channels}, {samples}), }}"
            );
            // Magic word, version and length are 10 bytes; the numbers start at a multiple of 64.
            let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
            file.write_all(b"\x93NUMPY\x01\x00")?;
            file.write_all(&(length as u16).to_le_bytes())?;
            file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes())?;
            for first in (0..samples).step_by(BLOCK) {
                let count = BLOCK.min(samples - first);
                let mut block = vec![0.0; channels * count];
                self.made.read(0, first, &mut block).map_err(std::io::Error::other)?;
                let numbers = (0..count).flat_map(|i| block[i..].iter().step_by(count));
                let bytes: Vec<u8> = numbers.flat_map(|value| value.to_le_bytes()).collect();
                file.write_all(&bytes)?;
                if visit((first + count) as u64, samples as u64) == ControlFlow::Break(()) {
                    return Err(std::io::ErrorKind::Interrupted.into());
                }
            }
            Ok(())
        })
        .map_err(|e| DataError::io(path, e))
    }

    /// The events as a table: `start` (sample), `waveform` and `amplitude`.
    pub fn truth_table(&self) -> String {
        let mut text = String::from("start,waveform,amplitude\n");
        for TrueEvent { start, waveform, amplitude } in self.events() {
            text += &format!("{start},{waveform},{amplitude}\n");
        }
        text
    }

    /// Standard deviation of the noise.
    pub fn noise(&self) -> f32 {
        self.made.noise
    }
}

/// One channel of every waveform, `[p, k]`, of mean square 1.
fn shapes(config: &SyntheticRecordingConfig) -> Vec<f32> {
    let length = config.length;
    let mut all: Vec<f32> = Vec::new();
    for j in 0..config.waveforms {
        let mut rng = step_rng(config.seed, Stream::Waveform, j as u64);
        let mut best: Option<(f32, Vec<f32>)> = None;
        for _ in 0..MOST_DRAWS {
            let shape = draw_shape(length, &mut rng);
            let like = |other: &[f32]| Waveforms::similarity(other, &shape, 1, true).0.abs();
            let most = all.chunks_exact(length).map(like).fold(0.0, f32::max);
            if best.as_ref().is_none_or(|(least, _)| most < *least) {
                best = Some((most, shape));
            }
            if most < MOST_SIMILAR {
                break;
            }
        }
        all.extend(best.expect("a shape was drawn").1);
    }
    all
}

/// An oscillation of one to four periods, faster at its start than at its end or the other way round, under an envelope that
/// is almost zero at the ends.
fn draw_shape(length: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let periods: f64 = rng.random_range(1.0..4.0);
    let phase: f64 = rng.random_range(0.0..std::f64::consts::TAU);
    let chirp: f64 = rng.random_range(-1.0..1.0);
    let width: f64 = rng.random_range(0.09..0.15);
    let centre: f64 = rng.random_range(0.45..0.55);
    let mut shape: Vec<f32> = (0..length)
        .map(|i| {
            let time = (i as f64 + 0.5) / length as f64 - centre;
            let envelope = (-0.5 * (time / width).powi(2)).exp();
            let angle = std::f64::consts::TAU * (periods * time + chirp * time * time) + phase;
            (envelope * angle.cos()) as f32
        })
        .collect();
    let square = shape.iter().map(|v| v * v).sum::<f32>() / length as f32;
    shape.iter_mut().for_each(|value| *value /= square.sqrt());
    shape
}

/// Weights of the channels, `[p, C]`: a hill at a random place, whose top is 1.
fn weights(config: &SyntheticRecordingConfig) -> Vec<f32> {
    let channels = config.channels;
    let mut all = Vec::with_capacity(config.waveforms * channels);
    for j in 0..config.waveforms {
        let mut rng = step_rng(config.seed, Stream::Waveform, (1 << 32) + j as u64);
        let centre: f32 = rng.random_range(0.0..channels as f32);
        let width = 0.5 + channels as f32 * rng.random_range(0.05..0.15);
        let hill = (0..channels).map(|c| {
            let distance = (c as f32 + 0.5 - centre) / width;
            (-0.5 * distance * distance).exp() * rng.random_range(0.8f32..1.0)
        });
        let hill: Vec<f32> = hill.collect();
        let top = hill.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        all.extend(hill.into_iter().map(|weight| weight / top));
    }
    all
}

/// The events of one waveform, in order.
fn events(config: &SyntheticRecordingConfig, waveform: usize) -> Vec<TrueEvent> {
    let mut rng = step_rng(config.seed, Stream::Event, waveform as u64);
    let phase: f64 = rng.random_range(0.0..std::f64::consts::TAU);
    let length = config.length as f64;
    // After an event, the next one waits for its end.
    let mean = config.rate / config.events_per_second - length;
    let last = (config.samples - config.length) as f64;
    let mut found = Vec::new();
    if config.events_per_second == 0.0 {
        return found;
    }
    let waiting = Exp::new(1.0 / mean.max(1e-9)).expect("a rate above 0");
    let mut time: f64 = waiting.sample(&mut rng);
    while time <= last {
        let part = time / config.samples as f64;
        let slow = (std::f64::consts::TAU * DRIFT_PERIODS * part + phase).sin();
        let draw: f64 = StandardNormal.sample(&mut rng);
        let amplitude = (1.0 + config.drift * slow) * (1.0 + config.jitter * draw).max(0.1);
        found.push(TrueEvent { start: time as usize, waveform, amplitude: amplitude as f32 });
        time += length + waiting.sample(&mut rng);
    }
    found
}

impl Signal for Made {
    fn read(&self, _: usize, first: usize, out: &mut [f32]) -> Result<()> {
        let channels = self.config.channels;
        let count = out.len() / channels;
        if count == 0 {
            return Ok(());
        }
        out.fill(0.0);
        let end = first + count;
        let mut noise = vec![0.0; channels * BLOCK];
        for block in first / BLOCK..=(end - 1) / BLOCK {
            noise.fill(0.0);
            let mut rng = step_rng(self.config.seed, Stream::RecordingNoise, block as u64);
            add_noise(&mut noise, self.noise, &mut rng);
            let (from, to) = ((block * BLOCK).max(first), ((block + 1) * BLOCK).min(end));
            for (row, noise) in out.chunks_exact_mut(count).zip(noise.chunks_exact(BLOCK)) {
                row[from - first..to - first]
                    .copy_from_slice(&noise[from - block * BLOCK..to - block * BLOCK]);
            }
        }
        let length = self.config.length;
        let begin = self.events.partition_point(|event| event.start + length <= first);
        for event in self.events[begin..].iter().take_while(|event| event.start < end) {
            let waveform = self.waveforms.waveform(event.waveform);
            let (from, to) = (event.start.max(first), (event.start + length).min(end));
            let rows = out.chunks_exact_mut(count).zip(waveform.chunks_exact(length));
            for (row, waveform) in rows {
                let waveform = &waveform[from - event.start..to - event.start];
                let samples = row[from - first..to - first].iter_mut().zip(waveform);
                samples.for_each(|(sample, value)| *sample += event.amplitude * value);
            }
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("synthetic recording")
    }
}
