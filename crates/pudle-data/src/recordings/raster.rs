//! Spike rasters that are made, with known kernels and onsets.

use std::sync::Arc;

use pudle_core::Observation;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::extent::check_rate;
use super::onsets::{Onset, Onsets};
use super::recording::Recording;
use super::truth::Waveforms;
use crate::error::{DataError, Result, check_count, check_real};
use crate::rng::{Stream, step_rng};

/// Two kernels are less like each other than this cosine, at every shift.
const MOST_SIMILAR: f32 = 0.7;
/// Draws of a kernel before the least similar of them is taken.
const MOST_DRAWS: usize = 200;
/// Kernels have random streams of their own, apart from those of waveforms.
const KERNELS: u64 = 1 << 40;

/// The settings of a [`SyntheticRaster`].
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `observation` | `bernoulli` | how counts are drawn from their rate | `bernoulli`, `binomial:N` or `poisson:M` |
/// | `trials` | 500 | number of trials | 1 to 1,000,000 |
/// | `kernels` | 2 | number of kernels | 1 to 64 |
/// | `length` | 60 | samples of a kernel | 8 to 65,536 |
/// | `samples` | 1,000 | samples of a trial | at least `length` |
/// | `rate` | 1,000 | sampling rate in Hz | above 0 |
/// | `events` | 3 | events of each kernel in a trial | 0 to `samples / length` |
/// | `spikes` | [5, 30] | spikes in a second of a trial without events, from the least to the most | above 0, below half a spike for each sample |
/// | `height` | 2 | largest distance of a kernel from zero, in log-odds or log-rates | 0.01 to 10 |
/// | `jitter` | 0.2 | standard deviation of the sizes of events | 0 to 1 |
/// | `seed` | 0 | seed of everything | |
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticRasterConfig {
    /// How counts are drawn from their rate.
    pub observation: Observation,
    /// Number of trials.
    pub trials: usize,
    /// Number of kernels.
    pub kernels: usize,
    /// Samples of a kernel.
    pub length: usize,
    /// Samples of a trial.
    pub samples: usize,
    /// Sampling rate in Hz.
    pub rate: f64,
    /// Events of each kernel in a trial.
    pub events: usize,
    /// Spikes in a second of a trial without events: the logarithm is uniform between these.
    pub spikes: [f64; 2],
    /// Largest distance of a kernel from zero.
    pub height: f64,
    /// Standard deviation of the sizes of events, whose mean is 1.
    pub jitter: f64,
    /// Seed of kernels, baselines, events and counts.
    pub seed: u64,
}

impl Default for SyntheticRasterConfig {
    fn default() -> Self {
        Self {
            observation: "bernoulli".parse().expect("a known model"),
            trials: 500,
            kernels: 2,
            length: 60,
            samples: 1000,
            rate: 1000.0,
            events: 3,
            spikes: [5.0, 30.0],
            height: 2.0,
            jitter: 0.2,
            seed: 0,
        }
    }
}

/// Counts in trials whose rates rise and fall after known onsets.
///
/// In each trial, the log-odds of a spike (for `poisson`, the log-rate) are a baseline plus kernels at their onsets. A kernel is a
/// smooth rise and fall, or a fall and rise. The events of a kernel are at random times, but do not overlap each other; those of
/// different kernels do.
///
/// ```
/// use pudle_data::{SyntheticRaster, SyntheticRasterConfig};
/// let made = SyntheticRaster::new(SyntheticRasterConfig { trials: 20, ..Default::default() })?;
/// assert_eq!((made.recording().trials(), made.onsets().count()), (20, 20 * 2 * 3));
/// # Ok::<(), pudle_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyntheticRaster {
    config: SyntheticRasterConfig,
    recording: Recording,
    values: Arc<[f32]>,
    kernels: Waveforms,
    onsets: Onsets,
    /// The sizes of the events of each trial, in the order of its onsets.
    sizes: Vec<Vec<f32>>,
    baselines: Vec<f32>,
}

impl SyntheticRasterConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        if self.observation.is_gaussian() {
            let range = "bernoulli, binomial:N or poisson:M";
            return Err(DataError::range("observation", self.observation, range));
        }
        check_count("trials", self.trials, 1, 1_000_000)?;
        check_count("kernels", self.kernels, 1, 64)?;
        check_count("length", self.length, 8, 1 << 16)?;
        check_count("samples", self.samples, self.length, 1 << 24)?;
        check_rate("rate", self.rate)?;
        check_count("events", self.events, 0, self.samples / self.length)?;
        let [least, most] = self.spikes;
        if !(least > 0.0 && least <= most && most < 0.5 * self.rate) {
            let range = format!("above 0, the first at most the second, below {}", 0.5 * self.rate);
            return Err(DataError::range("spikes", format!("{least}-{most}"), range));
        }
        check_real("height", self.height as f32, 0.01, 10.0)?;
        check_real("jitter", self.jitter as f32, 0.0, 1.0)?;
        let numbers = self.trials.saturating_mul(self.samples);
        if numbers > 1 << 30 {
            let range =
                format!("at most {}, for trials of so many samples", (1 << 30) / self.samples);
            return Err(DataError::range("trials", self.trials, range));
        }
        Ok(())
    }
}

impl SyntheticRaster {
    /// Draws kernels, onsets and counts.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: SyntheticRasterConfig) -> Result<Self> {
        config.validate()?;
        let kernels =
            Waveforms { values: kernels(&config), shape: [config.kernels, 1, config.length] };
        let samples = config.samples;
        let mut values = vec![0.0f32; config.trials * samples];
        let (mut onsets, mut sizes, mut baselines) = (Vec::new(), Vec::new(), Vec::new());
        for (trial, counts) in values.chunks_exact_mut(samples).enumerate() {
            let mut rng = step_rng(config.seed, Stream::Event, KERNELS + trial as u64);
            let [least, most] = config.spikes.map(f64::ln);
            let rate = (least + (most - least) * rng.random::<f64>()).exp() / config.rate;
            let baseline = match config.observation {
                Observation::Poisson(_) => rate.ln(),
                Observation::Binomial(model) => {
                    let share = rate / f64::from(model.n);
                    (share / (1.0 - share)).ln()
                }
                Observation::Gaussian(_) => rate,
            };
            let mut events = events(&config, &mut rng);
            events.sort_by_key(|(onset, _)| *onset);
            let mut u = vec![baseline; samples];
            for (Onset { start, atom }, size) in &events {
                let kernel = kernels.waveform(atom.unwrap_or(0));
                let part = u[*start..].iter_mut().zip(kernel);
                part.for_each(|(u, value)| *u += f64::from(size * value));
            }
            for (count, u) in counts.iter_mut().zip(u) {
                *count = draw(config.observation, u, &mut rng);
            }
            sizes.push(events.iter().map(|(_, size)| *size).collect());
            onsets.push(events.into_iter().map(|(onset, _)| onset).collect());
            baselines.push(baseline as f32);
        }
        let shape = [config.trials, 1, samples];
        let recording = Recording::of_values(values.clone(), shape, Some(config.rate))?;
        let onsets = Onsets::of_trials(onsets);
        let values = values.into();
        Ok(Self { config, recording, values, kernels, onsets, sizes, baselines })
    }

    /// The counts, `[trials, 1, time]`.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The kernels at size 1, in log-odds or log-rates.
    pub fn kernels(&self) -> &Waveforms {
        &self.kernels
    }

    /// The onsets, with the number of their kernel.
    pub fn onsets(&self) -> &Onsets {
        &self.onsets
    }

    /// The baseline of each trial, in log-odds or log-rates.
    pub fn baselines(&self) -> &[f32] {
        &self.baselines
    }

    /// Counts in a second, on average.
    pub fn mean_rate(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|value| f64::from(*value)).sum();
        sum / self.values.len() as f64 * self.config.rate
    }

    /// The bytes of an array of NumPy, `[trials, 1, time]`.
    pub fn to_npy(&self) -> Vec<u8> {
        let SyntheticRasterConfig { trials, samples, .. } = self.config;
        let header = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': ({trials}, 1, {samples}), }}"
        );
        // Magic word, version and length are 10 bytes; the numbers start at a multiple of 64.
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend(format!("{header:<width$}\n", width = length - 1).as_bytes());
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// The onsets as a table that [`Onsets::read`] reads: `trial`, `sample`, `atom` and `size`.
    pub fn onset_table(&self) -> String {
        let mut text = String::from("trial,sample,atom,size\n");
        for (trial, sizes) in self.sizes.iter().enumerate() {
            for (Onset { start, atom }, size) in self.onsets.trial(trial).iter().zip(sizes) {
                text += &format!("{trial},{start},{},{size}\n", atom.unwrap_or(0));
            }
        }
        text
    }
}

/// The kernels, `[p, k]`.
fn kernels(config: &SyntheticRasterConfig) -> Vec<f32> {
    let mut all: Vec<f32> = Vec::new();
    for j in 0..config.kernels {
        let mut rng = step_rng(config.seed, Stream::Waveform, KERNELS + j as u64);
        let mut best: Option<(f32, Vec<f32>)> = None;
        for _ in 0..MOST_DRAWS {
            let kernel = kernel(config, &mut rng);
            let like = |other: &[f32]| Waveforms::similarity(other, &kernel, 1, true).0.abs();
            let most = all.chunks_exact(config.length).map(like).fold(0.0, f32::max);
            if best.as_ref().is_none_or(|(least, _)| most < *least) {
                best = Some((most, kernel));
            }
            if most < MOST_SIMILAR {
                break;
            }
        }
        all.extend(best.expect("a kernel was drawn").1);
    }
    all
}

/// Two bumps of opposite sign, the first of which may be up or down.
fn kernel(config: &SyntheticRasterConfig, rng: &mut impl Rng) -> Vec<f32> {
    let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
    let second: f64 = rng.random_range(0.3..1.0);
    let centres: [f64; 2] = [rng.random_range(0.2..0.35), rng.random_range(0.55..0.75)];
    let widths: [f64; 2] = [rng.random_range(0.05..0.1), rng.random_range(0.08..0.14)];
    let bump = |time: f64, k: usize| (-0.5 * ((time - centres[k]) / widths[k]).powi(2)).exp();
    let values: Vec<f64> = (0..config.length)
        .map(|i| {
            let time = (i as f64 + 0.5) / config.length as f64;
            sign * (bump(time, 0) - second * bump(time, 1))
        })
        .collect();
    let most = values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    values.into_iter().map(|value| (value * config.height / most) as f32).collect()
}

/// The events of a trial: of each kernel, one at a random place in each of its equal parts.
fn events(config: &SyntheticRasterConfig, rng: &mut impl Rng) -> Vec<(Onset, f32)> {
    let mut found = Vec::new();
    for atom in 0..config.kernels {
        for k in 0..config.events {
            let part = config.samples / config.events;
            let start = k * part + rng.random_range(0..=part - config.length);
            let draw: f64 = StandardNormal.sample(rng);
            let size = (1.0 + config.jitter * draw).max(0.1) as f32;
            found.push((Onset { start, atom: Some(atom) }, size));
        }
    }
    found
}

/// A count at `u`.
fn draw(observation: Observation, u: f64, rng: &mut impl Rng) -> f32 {
    match observation {
        Observation::Binomial(model) => {
            let share = 1.0 / (1.0 + (-u).exp());
            (0..model.n).filter(|_| rng.random::<f64>() < share).count() as f32
        }
        Observation::Poisson(_) => {
            Poisson::new(u.exp()).map_or(0.0, |counts| counts.sample(rng) as f32)
        }
        Observation::Gaussian(_) => u as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_their_rates() {
        for (name, most) in [("bernoulli", 1.0), ("binomial:3", 3.0), ("poisson:5", 20.0)] {
            let observation = name.parse().unwrap();
            let config = SyntheticRasterConfig {
                observation,
                trials: 200,
                events: 0,
                spikes: [20.0, 20.0],
                ..Default::default()
            };
            let made = SyntheticRaster::new(config.clone()).unwrap();
            // 4,000 spikes have a standard deviation of 63.
            assert!((made.mean_rate() - 20.0).abs() < 1.5, "{name}: {}", made.mean_rate());
            assert!(made.values.iter().all(|v| v.fract() == 0.0 && (0.0..=most).contains(v)));
            let again = SyntheticRaster::new(config).unwrap();
            assert_eq!(made.values, again.values);
        }
    }

    #[test]
    fn rates_rise_after_onsets_by_the_kernel() {
        let config =
            SyntheticRasterConfig { trials: 2000, spikes: [20.0, 20.0], ..Default::default() };
        let made = SyntheticRaster::new(config).unwrap();
        // The mean after the onsets of a kernel, against the odds that it predicts; the other kernel blurs both.
        let mut sums = vec![0.0f64; 60];
        let mut count = 0.0;
        for trial in 0..2000 {
            for onset in made.onsets().trial(trial).iter().filter(|onset| onset.atom == Some(0)) {
                let counts = &made.values[trial * 1000 + onset.start..][..60];
                sums.iter_mut().zip(counts).for_each(|(sum, c)| *sum += f64::from(*c));
                count += 1.0;
            }
        }
        let rates: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        let kernel = made.kernels().waveform(0);
        let largest = (0..60).max_by(|a, b| kernel[*a].total_cmp(&kernel[*b])).unwrap();
        let smallest = (0..60).min_by(|a, b| kernel[*a].total_cmp(&kernel[*b])).unwrap();
        assert!(rates[largest] > 2.0 * rates[smallest], "{rates:?}");
        let height = kernel.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        assert!((height - 2.0).abs() < 1e-5, "{height}");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let base = SyntheticRasterConfig::default;
        for (config, field) in [
            (
                SyntheticRasterConfig { observation: Observation::default(), ..base() },
                "observation",
            ),
            (SyntheticRasterConfig { trials: 0, ..base() }, "trials"),
            (SyntheticRasterConfig { events: 17, ..base() }, "events"),
            (SyntheticRasterConfig { spikes: [30.0, 5.0], ..base() }, "spikes"),
            (SyntheticRasterConfig { spikes: [5.0, 900.0], ..base() }, "spikes"),
            (SyntheticRasterConfig { height: 0.0, ..base() }, "height"),
            (SyntheticRasterConfig { length: 2000, ..base() }, "samples"),
        ] {
            let error = SyntheticRaster::new(config).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
