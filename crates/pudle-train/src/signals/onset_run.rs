//! What a run with known onsets found: kernels, the sizes of events, and baselines.

use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{AnyPudle, ConvDictionary1d, Noise, Pudle};
use pudle_data::{DataConfig, Onset, OpenOptions, RecordingWindows};
use rayon::prelude::*;

use super::filters::Filters;
use super::link::at;
use super::onset_fit::OnsetFit;
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::files::write_whole;

/// Numbers of the trials that are encoded together.
const TOGETHER: usize = 1 << 21;

/// What a run with known onsets found.
#[derive(Clone, Debug)]
pub struct OnsetResults {
    /// The atoms, of unit norm.
    pub filters: Filters,
    /// The mean size of the events of each atom, by which it is multiplied for a kernel.
    pub sizes: Vec<f32>,
    /// The events of each trial with their sizes. An onset without an atom of its own has an event for each.
    pub events: Vec<Vec<(Onset, f32)>>,
    /// The baseline of each channel of each trial, `[trials, C]`, in log-odds, log-rates, or standard deviations of the noise.
    pub baselines: Vec<f32>,
    /// The mean of the data at the baseline, in units of the recording, `[trials, C]`.
    pub means: Vec<f32>,
    /// What each channel was divided by; 1 for counts.
    pub scale: Vec<f32>,
    /// Sampling rate in Hz, if it is known.
    pub rate: Option<f64>,
}

impl OnsetResults {
    /// Encodes all trials of a run with its last weights; `None` if it has no known onsets.
    ///
    /// # Errors
    /// Returns an error if the run or its data cannot be read.
    pub fn of_run(dir: &Path, device: &Device) -> Result<Option<Self>> {
        let config = RunConfig::read(&dir.join("config.toml"))?;
        let DataConfig::Recordings(settings) = &config.data else { return Ok(None) };
        if settings.onsets.is_none() {
            return Ok(None);
        }
        let Checkpoint { model: AnyPudle::Conv1d(model), .. } = Checkpoint::read(dir, device)?
        else {
            return Ok(None);
        };
        let options = OpenOptions {
            dictionary: config.model.dictionary,
            batch: 1,
            seed: 0,
            normalization: None,
        };
        let opened = config.data.open(&options)?;
        let Some(windows) = &opened.recording else { return Ok(None) };
        // All trials, those that were held out too.
        let all = windows.of_trials(0..windows.recording().trials(), true);
        let results = match model.config().shared {
            true => Self::with_shared_sizes(&model, &all, windows.trials()),
            false => Self::of(&model, &all, device),
        };
        results.map(|results| {
            Some(Self {
                scale: settings.scale.clone(),
                ..results.shifted(&settings.offset, &settings.scale)
            })
        })
    }

    /// All trials, with one size for each atom. Sizes and baselines are those of the smallest loss, because the layers come
    /// near them only slowly where events are rare. Sizes are those of the `training` trials.
    fn with_shared_sizes(
        model: &Pudle<3, ConvDictionary1d>,
        windows: &RecordingWindows,
        training: Range<usize>,
    ) -> Result<Self> {
        let filters = filters_of(model)?;
        let config = model.config();
        let size = [filters.atoms(), filters.taps()];
        let fit = OnsetFit::read(windows, config.observation, size)?;
        let trials = fit.trials();
        let own: Vec<usize> = training.collect();
        let sizes = trials.shared_sizes(filters.values(), &own)?;
        let event = |&(atom, start): &(usize, usize)| {
            (Onset { start, atom: Some(atom) }, sizes[atom] as f32)
        };
        let events = trials.list.iter().map(|trial| trial.events.iter().map(event).collect());
        let best: Vec<f64> = (0..trials.list.len() * trials.channels)
            .into_par_iter()
            .map(|k| {
                let (trial, channel) = (k / trials.channels, k % trials.channels);
                trials.baseline(trial, channel, filters.values(), &sizes)
            })
            .collect();
        // At a count of zero, the residual is minus the mean.
        let mean = |baseline: &f64| -at(config.observation, *baseline, 0.0).residual as f32;
        Ok(Self {
            events: events.collect(),
            baselines: best.iter().map(|b| (b - config.offset) as f32).collect(),
            means: best.iter().map(mean).collect(),
            sizes: sizes.iter().map(|size| *size as f32).collect(),
            scale: vec![1.0; trials.channels],
            rate: windows.recording().rate(),
            filters,
        })
    }

    /// Encodes all trials of windows with onsets.
    fn of(
        model: &Pudle<3, ConvDictionary1d>,
        windows: &RecordingWindows,
        device: &Device,
    ) -> Result<Self> {
        let onsets = windows
            .onsets()
            .ok_or_else(|| TrainError::Unsuitable("kernels need known onsets".into()))?;
        let recording = windows.recording();
        let (channels, samples) = (recording.channels(), recording.samples());
        let filters = filters_of(model)?;
        let (atoms, taps) = (filters.atoms(), filters.taps());
        let positions = samples + 1 - taps;
        let together = (TOGETHER / (samples * channels.max(atoms))).max(1);
        let mut results = Self {
            sizes: vec![0.0; atoms],
            events: Vec::new(),
            baselines: Vec::new(),
            means: Vec::new(),
            scale: vec![1.0; channels],
            rate: recording.rate(),
            filters,
        };
        let (mut sums, mut counts) = (vec![0.0f64; atoms], vec![0usize; atoms]);
        let all: Vec<usize> = windows.trials().collect();
        for trials in all.chunks(together) {
            let (mut x, mut support) = (Vec::new(), Vec::new());
            for trial in trials {
                let mut values = vec![0.0; channels * samples];
                windows.read(*trial, 0, &mut values)?;
                x.extend(values);
                support.extend(onsets.support(*trial, 0..samples, atoms, taps));
            }
            let known: Vec<f32> = x.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }).collect();
            let mask = known.contains(&0.0).then_some(known);
            x.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
            let tensor = |values: Vec<f32>, rows: usize, columns: usize| {
                let data = TensorData::new(values, [trials.len(), rows, columns]);
                Tensor::<3>::from_data(data, device)
            };
            let x = tensor(x, channels, samples);
            let mask = mask.map(|mask| tensor(mask, channels, samples));
            let support = tensor(support, atoms, positions);
            let found = model.supported_objective(x.clone(), x, support, mask, &Noise::Unknown);
            let numbers = |t: Tensor<3>| t.into_data().iter::<f32>().collect::<Vec<f32>>();
            let code = numbers(found.code);
            for (trial, code) in trials.iter().zip(code.chunks_exact(atoms * positions)) {
                let mut events = Vec::new();
                for onset in onsets.trial(*trial).iter().filter(|onset| onset.start < positions) {
                    for atom in onset.atom.map_or(0..atoms, |atom| atom..atom + 1) {
                        let size = code[atom * positions + onset.start];
                        sums[atom] += f64::from(size);
                        counts[atom] += 1;
                        events.push((Onset { start: onset.start, atom: Some(atom) }, size));
                    }
                }
                results.events.push(events);
            }
            if let Some(baseline) = found.baseline {
                let mean =
                    model.config().observation.mean(baseline.clone() + model.config().offset);
                results.means.extend(numbers(mean));
                results.baselines.extend(numbers(baseline));
            }
        }
        let mean = |(sum, count): (f64, usize)| (sum / count.max(1) as f64) as f32;
        results.sizes = sums.into_iter().zip(counts).map(mean).collect();
        Ok(results)
    }

    /// The same with means in units of the recording.
    fn shifted(mut self, offset: &[f32], scale: &[f32]) -> Self {
        let numbers = offset.iter().zip(scale).cycle();
        self.means.iter_mut().zip(numbers).for_each(|(mean, (o, s))| *mean = *mean * s + o);
        self
    }

    /// The kernels, `[p, C, k]`: each atom times the mean size of its events, in log-odds, log-rates, or units of the recording.
    pub fn kernels(&self) -> Vec<f32> {
        let (channels, taps) = (self.filters.channels(), self.filters.taps());
        let value = |(k, v): (usize, &f32)| {
            v * self.sizes[k / (channels * taps)] * self.scale[k / taps % channels]
        };
        self.filters.values().iter().enumerate().map(value).collect()
    }

    /// Writes three tables into `dir`, and returns their paths: `waveforms.csv` (`atom`, `channel`, `sample`, `time`, `value`) with the
    /// [kernels](Self::kernels); `events.csv` (`trial`, `time`, `sample`, `atom`, `size`), where a size is that of an atom of unit
    /// norm; and `baselines.csv` (`trial`, `channel`, `baseline`, `mean`).
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        let time = |sample: usize| match self.rate {
            Some(rate) => format!("{:.7}", sample as f64 / rate),
            None => String::new(),
        };
        let (channels, taps) = (self.filters.channels(), self.filters.taps());
        let mut waveforms = String::from("atom,channel,sample,time,value\n");
        for (k, value) in self.kernels().iter().enumerate() {
            let (atom, channel, sample) = (k / (channels * taps), k / taps % channels, k % taps);
            waveforms += &format!("{atom},{channel},{sample},{},{value}\n", time(sample));
        }
        let mut events = String::from("trial,time,sample,atom,size\n");
        for (trial, own) in self.events.iter().enumerate() {
            for (Onset { start, atom }, size) in own {
                let atom = atom.unwrap_or(0);
                events += &format!("{trial},{},{start},{atom},{size}\n", time(*start));
            }
        }
        let mut baselines = String::from("trial,channel,baseline,mean\n");
        for (k, (baseline, mean)) in self.baselines.iter().zip(&self.means).enumerate() {
            baselines += &format!("{},{},{baseline},{mean}\n", k / channels, k % channels);
        }
        let tables =
            [("waveforms.csv", waveforms), ("events.csv", events), ("baselines.csv", baselines)];
        let mut written = Vec::new();
        for (name, text) in tables {
            let path = dir.join(name);
            write_whole(&path, text.as_bytes())?;
            written.push(path);
        }
        Ok(written)
    }
}

/// # Errors
/// Returns an error if the atoms are no filters at every sample.
fn filters_of(model: &Pudle<3, ConvDictionary1d>) -> Result<Filters> {
    Filters::of_model(&AnyPudle::Conv1d(model.clone()))
        .ok_or_else(|| TrainError::Unsuitable("the atoms are no filters at every sample".into()))
}
