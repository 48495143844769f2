//! Settings that follow from a recording: the shape of the dictionary, windows, levels and noise of channels, and `λ`.

use std::sync::Arc;

use pudle_core::{ConvConfig, DictionaryConfig, Proximal};
use pudle_data::{ChannelNoise, DataConfig, Extent, Onsets, OpenOptions, Opened, Recording};

use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::signals::filters::Filters;
use crate::signals::onset_fit::OnsetFit;
use crate::signals::pilot::Pilot;
use crate::start::recording_atoms;

/// Samples of a window, unless atoms are long or the recording is short, and the atoms that fit into it.
const WINDOW: usize = 4096;
const ATOMS_IN_WINDOW: usize = 16;
/// Samples of a batch, and windows of it.
const BATCH_SAMPLES: usize = 1 << 17;
const BATCH: [usize; 2] = [4, 64];
/// Most numbers of a batch.
const BATCH_NUMBERS: usize = 1 << 22;
/// Samples of a trial, in atoms, from which on a part of it can be held out.
const LEAST_SPLIT: usize = 40;
/// Layers and steps for trials with known onsets, whose atoms start near the optimum, and the learning rate.
const ONSET_LAYERS: usize = 40;
const ONSET_STEPS: u64 = 10;
const ONSET_RATE: f64 = 1e-4;
/// The smallest λ at which events are counted for a wanted rate, in standard deviations of the noise.
const LEAST_LAMBDA: f32 = 2.5;

/// Trials of a batch with known onsets, at most.
const TRIALS: usize = 32;

/// Settings for trials with known onsets.
fn fit_trials(config: &mut RunConfig, recording: &Recording) {
    let most = (BATCH_SAMPLES / (recording.samples() * recording.channels())).max(1);
    config.training.batch = TRIALS.min(most).min(recording.trials());
    config.model.baseline = true;
    config.model.layers = ONSET_LAYERS;
    config.training.refit = false;
    config.training.steps = ONSET_STEPS;
    config.training.checkpoint_every = ONSET_STEPS;
    config.training.valid_every = ONSET_STEPS;
    config.training.learning_rate = ONSET_RATE;
}

/// A recording that is open, on which a run is to be trained.
#[derive(Clone, Debug)]
pub struct OwnRecording {
    recording: Arc<Recording>,
}

impl OwnRecording {
    /// Opens the recording of a run.
    ///
    /// # Errors
    /// Returns an error if the data are not a recording, or cannot be read.
    pub fn open(config: &RunConfig) -> Result<Self> {
        let DataConfig::Recordings(settings) = &config.data else {
            return Err(TrainError::range("data.kind", config.data.kind(), "recordings"));
        };
        Ok(Self { recording: Arc::new(settings.recording()?) })
    }

    /// The recording.
    pub fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// Gives the dictionary `atoms` filters of this length over the channels of the recording, at every sample. The windows have
    /// 4,096 samples, or 16 atoms if that is more, but at most the half of a trial. Level and noise of each channel are measured,
    /// so that the noise of what is trained on has a standard deviation of 1. Counts stay as they are.
    ///
    /// With known onsets, a window is a trial, each channel of it has a baseline that is inferred, and a step takes up to 32 trials.
    ///
    /// # Errors
    /// Returns an error if a number is out of its range, or if samples cannot be read.
    pub fn fit(&self, config: &mut RunConfig, atoms: usize, length: Extent) -> Result<()> {
        let recording = &*self.recording;
        let (samples, channels) = (recording.samples(), recording.channels());
        let size = length.samples(recording.rate())?;
        if !(4..=samples).contains(&size) {
            let range = format!("from 4 samples to {samples}, those of a trial");
            return Err(TrainError::range("length", format!("{size} samples"), range));
        }
        let DataConfig::Recordings(settings) = &mut config.data else { return Ok(()) };
        if config.model.observation.is_gaussian() {
            let noise = ChannelNoise::measure_with(recording, settings.missing)?;
            settings.offset = noise.iter().map(|noise| noise.level).collect();
            settings.scale = noise.iter().map(|noise| noise.deviation).collect();
        } else {
            // Counts are data as they are.
            settings.offset = vec![0.0; channels];
            settings.scale = vec![1.0; channels];
        }
        settings.rate = recording.rate();
        let filters = ConvConfig { atoms, channels, size, stride: 1 };
        config.model.dictionary = DictionaryConfig::Conv1d(filters);
        if settings.onsets.is_some() {
            settings.window = samples;
            fit_trials(config, recording);
            return Ok(());
        }
        if !config.model.observation.is_gaussian() {
            let range = "gaussian where no onsets are known: events in counts are found at known onsets only";
            return Err(TrainError::range("model.observation", config.model.observation, range));
        }
        let wanted = WINDOW.max(ATOMS_IN_WINDOW * size);
        if samples < LEAST_SPLIT * size {
            settings.validation = 0.0;
            settings.window = wanted.min(samples);
        } else {
            // What is held out has room for a window, too.
            let held_out = (samples as f64 * settings.validation) as usize;
            let room = if held_out > 0 {
                (samples - held_out).min(held_out.max(8 * size))
            } else {
                samples
            };
            settings.window = wanted.min(room);
        }
        let batch = (BATCH_SAMPLES / settings.window).clamp(BATCH[0], BATCH[1]);
        let most = (BATCH_NUMBERS / (settings.window * channels)).max(1);
        config.training.batch = batch.min(most);
        Ok(())
    }

    /// Opens the data for training.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, or does not fit the recording.
    pub fn batches(&self, config: &RunConfig) -> Result<Opened> {
        config.validate()?;
        let DataConfig::Recordings(settings) = &config.data else {
            return Err(TrainError::range("data.kind", config.data.kind(), "recordings"));
        };
        let (batch, seed, dictionary) =
            (config.training.batch, config.seed, config.model.dictionary);
        let options = OpenOptions { dictionary, batch, seed, normalization: None };
        Ok(settings.open_recording(self.recording.clone(), &options)?)
    }

    /// The number of atoms of the table of onsets: its largest number of an atom plus 1, or 1 if it has none; `None` if onsets are
    /// not known.
    ///
    /// # Errors
    /// Returns an error if the table cannot be read or does not fit the recording.
    pub fn atoms_of_onsets(&self, config: &RunConfig) -> Result<Option<usize>> {
        let DataConfig::Recordings(settings) = &config.data else { return Ok(None) };
        let Some(path) = &settings.onsets else { return Ok(None) };
        let onsets = Onsets::read(path, &self.recording)?;
        Ok(Some(onsets.last_atom().map_or(1, |last| last + 1)))
    }

    /// Sets the weight of the penalty on second differences to the one, of some between 0 and 100,000, with the smallest loss on
    /// trials that are left out, one at a time, and returns it. For known onsets.
    ///
    /// # Errors
    /// Returns an error if onsets are not known, if there is one trial only, or if data cannot be read.
    pub fn find_smooth(config: &mut RunConfig, opened: &Opened) -> Result<f64> {
        let windows = opened.recording.as_ref().filter(|windows| windows.onsets().is_some());
        let (Some(windows), DictionaryConfig::Conv1d(shape)) = (windows, config.model.dictionary)
        else {
            let range = "a number where onsets are not known";
            return Err(TrainError::range("training.smooth", "to be chosen", range));
        };
        let size = [shape.atoms, shape.size];
        let smooth = OnsetFit::read(windows, config.model.observation, size)?.choose_smooth()?;
        config.training.smooth = smooth;
        Ok(smooth)
    }

    /// Sets the `λ` at which all atoms together have the wanted number of events in a second, or in a sample if the sampling rate
    /// is not known, to three digits, and returns it. The events are those of the first atoms of the run, found by matching pursuit.
    ///
    /// # Errors
    /// Returns an error if the operator has no λ in units of the data, if the wanted rate is not above 0 or larger than what is
    /// found at λ = 2.5, or if data cannot be read.
    pub fn find_lambda(config: &mut RunConfig, opened: &Opened, wanted: f64) -> Result<f64> {
        let windows = opened.recording.as_ref().ok_or_else(|| {
            TrainError::range("data.kind", config.data.kind(), "recordings, to count events")
        })?;
        if !matches!(config.model.prox, Proximal::Soft | Proximal::Relu) {
            let range = "soft or relu, to find λ from a rate of events";
            return Err(TrainError::range("model.prox", config.model.prox, range));
        }
        let DictionaryConfig::Conv1d(shape) = config.model.dictionary else {
            let kind = config.model.dictionary.kind();
            return Err(TrainError::range("model.dictionary.kind", kind, "conv1d"));
        };
        if windows.onsets().is_some() {
            let range = "no target where onsets are known: atoms occur there";
            return Err(TrainError::range("target_events", wanted, range));
        }
        let smooth = config.training.smooth;
        let atoms = recording_atoms(windows, &config.model, smooth, config.seed)?;
        let filters = Filters::new(atoms.concat(), shape.channels, shape.size);
        let stretches = Pilot::read(windows, shape.size)?;
        let signed = config.model.prox != Proximal::Relu;
        let mut sizes = Pilot::sizes(&filters, &stretches, LEAST_LAMBDA, signed);
        sizes.sort_by(|a, b| b.total_cmp(a));
        let samples: usize = stretches.iter().map(|x| x.len() / shape.channels).sum();
        let time = samples as f64 / windows.recording().rate().unwrap_or(1.0);
        let count = (wanted * time).round();
        if !(wanted > 0.0 && count >= 1.0 && (count as usize) < sizes.len()) {
            let range = format!(
                "above 0 and below {:.3}, what is found at λ = {LEAST_LAMBDA}",
                sizes.len() as f64 / time
            );
            return Err(TrainError::range("target_events", wanted, range));
        }
        let lambda: f64 = format!("{:.2e}", sizes[count as usize - 1]).parse().unwrap_or(4.0);
        config.model = config.model.clone().with_lambda(lambda);
        Ok(lambda)
    }
}
