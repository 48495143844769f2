//! A recording under filters along time. A datum is what the filters at one place have to explain.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use pudle_core::{AnyPudle, Noise};
use pudle_data::{Image, Missing, OpenOptions, Recording, RecordingSettings};
use pudle_train::{Checkpoint, EventFinder, Filters, RunConfig};

use crate::codes::SparseCodes;
use crate::data::{DataKind, Encoded, EncodedInput, Input, InputNoise, Source, Split, Windows};
use crate::depict::{Depict, OutputViews, Words};
use crate::error::{ExplainError, Result};
use crate::removal_run::ContinuedTraining;
use crate::subject::events::RecordedEvents;
use crate::subject::npy::write_npy;
use crate::subject::signals::SignalCoder;
use crate::subject::trained::TrainedCodes;
use crate::subject::{Batches, Retraining, Subject};
use crate::traces::{Traces, waveforms};

/// Width of a picture of an atom in pixels.
const TILE: usize = 120;
/// Most numbers of a recording that the removal test copies.
const MOST_COPIED: usize = 1 << 28;

/// A model of filters along signals and the recording that it was trained on.
///
/// The direct part of the gradient vanishes where, for each atom, `Σ_u z_u (P_u x − P_u D z)ᵀ = 0` over all places `u`, with
/// `P_u` the stretch there, as for photographs: see [`PhotographSubject`](crate::PhotographSubject). So a datum is
/// `r_u = P_u (x − D z) + D z_u`, the stretch without what the codes at other places explain of it. Only places where a code is not
/// zero are data, as all others have no part in the sum. Signals are shifted and divided by the noise of their channels.
///
/// An event is usually spread over a few neighbouring places. Their shares are added up, and the removal test removes them
/// together.
#[derive(Debug)]
pub struct RecordingSubject {
    checkpoint: Checkpoint,
    coder: SignalCoder,
    settings: RecordingSettings,
    /// Codes of the training data, once they are needed for pictures.
    trained: OnceLock<TrainedCodes>,
}

impl RecordingSubject {
    /// The model of a checkpoint, and the recording that it was trained on.
    ///
    /// # Errors
    /// Returns an error if the model has no filters along signals at every sample, if its data are counts, if there may be gaps or onsets
    /// are known, or if the recording cannot be read or does not fit the model.
    pub fn new(
        checkpoint: Checkpoint,
        config: &RunConfig,
        settings: &RecordingSettings,
        device: &Device,
    ) -> Result<Self> {
        let unsuitable = |reason: &str| ExplainError::Unsuitable(reason.into());
        let filters = Filters::of_model(&checkpoint.model)
            .ok_or_else(|| unsuitable("only filters at every sample can be explained"))?;
        let AnyPudle::Conv1d(model) = checkpoint.model.clone() else {
            return Err(unsuitable("only filters along signals can be explained by a recording"));
        };
        if !checkpoint.config.observation.is_gaussian() {
            return Err(unsuitable(
                "the data of the model are counts, but the identity is for Gaussian noise",
            ));
        }
        if settings.missing == Missing::Nan {
            return Err(unsuitable("recordings with gaps are not explained"));
        }
        if settings.onsets.is_some() {
            return Err(unsuitable(
                "its atoms occur at known onsets, which are the data behind them",
            ));
        }
        let options = OpenOptions {
            dictionary: checkpoint.config.dictionary,
            batch: config.training.batch,
            seed: config.seed,
            normalization: None,
        };
        let opened = settings.open_recording(Arc::new(settings.recording()?), &options)?;
        let windows = opened.recording.expect("the data are a recording");
        let coder = SignalCoder { model, filters, windows, device: device.clone() };
        Ok(Self { checkpoint, coder, settings: settings.clone(), trained: OnceLock::new() })
    }

    fn recording(&self) -> &Recording {
        self.coder.recording()
    }

    /// The codes of the training data. They are computed once.
    fn trained(&self) -> Result<&TrainedCodes> {
        if let Some(trained) = self.trained.get() {
            return Ok(trained);
        }
        let mut codes = SparseCodes::new(self.atoms())?;
        let mut sources = Vec::new();
        for batch in self.batches(Split::Training) {
            let batch = batch?;
            codes.append(&batch.codes);
            sources.extend(batch.sources);
        }
        Ok(self.trained.get_or_init(|| TrainedCodes { codes, sources }))
    }

    /// A stretch with its reconstruction, and the places `marked` in it of the length of an atom.
    fn drawn(&self, seen: &[f32], rebuilt: &[f32], marked: &[usize], width: usize) -> Image {
        let taps = self.coder.taps();
        let marked: Vec<_> = marked.iter().map(|place| *place..place + taps).collect();
        Traces { seen, rebuilt, channels: self.coder.channels() }.draw(&marked, width)
    }

    fn waveform(&self, values: &[f32]) -> Image {
        waveforms(values, self.coder.channels(), TILE)
    }

    /// The stretch of a datum and its surroundings.
    fn stretch(&self, source: Source) -> Result<Image> {
        let taps = self.coder.taps();
        let (margin, length) = (taps / 2, 2 * taps);
        let first = source.column as isize - margin as isize;
        let seen = self.coder.samples(source.item as usize, first, length)?;
        let trained = self.trained()?;
        let rebuilt = trained.explained(&self.coder.filters, source.item, first, length);
        Ok(self.drawn(&seen, &rebuilt, &[margin], 2 * TILE))
    }

    /// A time, or the number of a sample if the rate is not known.
    fn time(&self, sample: usize) -> String {
        match self.recording().rate() {
            Some(rate) => format!("{:.4} s", sample as f64 / rate),
            None => format!("sample {sample}"),
        }
    }

    /// A name of a place.
    fn place(&self, trial: usize, sample: usize) -> String {
        match self.recording().trials() {
            1 => self.time(sample),
            _ => format!("{} of trial {trial}", self.time(sample)),
        }
    }

    fn input(&self, name: String, number: Option<usize>, values: Vec<f32>) -> Result<Input> {
        let channels = self.coder.channels();
        let values = Image::new(channels, 1, values.len() / channels, values)?;
        Ok(Input { name, number, label: None, values, sigma: None })
    }

    /// The recording without what the codes of some training data explain of it, in units of the recording, `[trials, C, n]`.
    fn without(&self, without: &[usize]) -> Result<Vec<f32>> {
        let recording = self.recording();
        let size = recording.channels() * recording.samples();
        let mut values = vec![0.0; recording.trials() * size];
        for (trial, out) in values.chunks_exact_mut(size).enumerate() {
            recording.read(trial, 0, out)?;
        }
        let trained = self.trained()?;
        let factors: Vec<f32> = self.settings.scale.iter().map(|scale| -scale).collect();
        for &k in without {
            let source = trained.sources[k];
            let signal = &mut values[source.item as usize * size..][..size];
            trained.add(&self.coder.filters, k, signal, source.column as isize, &factors);
        }
        Ok(values)
    }
}

impl Subject for RecordingSubject {
    fn data_kind(&self) -> DataKind {
        DataKind::Windows(Windows { size: [1, self.coder.taps()], stride: 1 })
    }

    fn device(&self) -> &Device {
        &self.coder.device
    }

    fn dictionary(&self) -> Vec<f32> {
        self.coder.filters.values().to_vec()
    }

    fn atoms(&self) -> usize {
        self.coder.filters.atoms()
    }

    fn dim(&self) -> usize {
        self.coder.channels() * self.coder.taps()
    }

    /// A batch for each part of a trial.
    fn batches(&self, split: Split) -> Batches<'_> {
        let trials = match split {
            Split::Training => 0..self.recording().trials(),
            Split::HeldOut => 0..0,
        };
        let starts = self.coder.starts();
        let parts = trials.flat_map(move |trial| starts.clone().map(move |start| (trial, start)));
        Box::new(parts.map(|(trial, start)| self.coder.batch(trial, start)))
    }

    /// The pass also gives the codes that pictures and the removal test need.
    fn encode(&self, split: Split, progress: &mut dyn FnMut(usize)) -> Result<Encoded> {
        let mut encoded = Encoded::new(self.atoms(), self.dim())?;
        for (k, batch) in self.batches(split).enumerate() {
            encoded.add(&batch?);
            progress(k + 1);
        }
        if split == Split::Training {
            let (codes, sources) = (encoded.codes.clone(), encoded.sources.clone());
            self.trained.get_or_init(|| TrainedCodes { codes, sources });
        }
        Ok(encoded)
    }

    fn batch_count(&self, split: Split) -> usize {
        match split {
            Split::Training => self.recording().trials() * self.coder.starts().count(),
            Split::HeldOut => 0,
        }
    }

    fn held_out(&self) -> usize {
        self.coder.later_events().map_or(0, |events| events.len())
    }

    /// Events in the samples at the end of each trial that were held out: stretches of the length of an atom.
    fn held_out_inputs(&self, count: usize) -> Vec<Input> {
        let events = self.coder.later_events().unwrap_or_default();
        let count = count.min(events.len());
        let input = |k: usize| {
            let (trial, place) = events[k * events.len() / count];
            let values = self.coder.samples(trial, place as isize, self.coder.taps()).ok()?;
            let name = format!("held-out event at {}", self.place(trial, place));
            self.input(name, Some(place), values).ok()
        };
        (0..count).filter_map(input).collect()
    }

    /// Reads a recording and takes the stretch of it in which most happens. The noise plays no part.
    fn read_input(&self, path: &Path, _noise: InputNoise) -> Result<Input> {
        let settings = RecordingSettings { path: path.to_path_buf(), ..self.settings.clone() };
        let recording = settings.recording()?;
        let name = path.display().to_string();
        let (channels, taps) = (self.coder.channels(), self.coder.taps());
        if recording.channels() != channels || recording.samples() < taps {
            let reason = format!(
                "{} channels and {} samples, but the atoms need {channels} channels and at least {taps} samples",
                recording.channels(),
                recording.samples()
            );
            return Err(ExplainError::of_input(&name)(ExplainError::Unsuitable(reason)));
        }
        let windows = settings.windows(Arc::new(recording), 1, 0)?;
        let found = self.coder.liveliest(&windows)?;
        let name = format!("{name}, from {}", self.place(found.trial, found.first));
        self.input(name, None, found.values)
    }

    fn check_input(&self, input: &Input) -> Result<()> {
        let (channels, taps) = (self.coder.channels(), self.coder.taps());
        let found = [input.values.channels, input.values.width];
        if found[0] != channels || found[1] < taps {
            return Err(ExplainError::Unsuitable(format!(
                "{} channels and {} samples, but the atoms need {channels} channels and at least {taps} samples",
                found[0], found[1]
            )));
        }
        Ok(())
    }

    fn encode_input(&self, input: &Input) -> Result<EncodedInput> {
        self.check_input(input)?;
        let [code, rebuilt] = self.coder.encode(&input.values.data);
        let positions = code.len() / self.atoms();
        let mut codes = SparseCodes::new(self.atoms())?;
        for place in 0..positions {
            codes.push((0..self.atoms()).map(|j| code[j * positions + place]));
        }
        let Image { channels, height, width, .. } = input.values;
        let output = Some(Image::new(channels, height, width, rebuilt)?);
        Ok(EncodedInput { codes, grid: [1, positions], seen: input.values.clone(), output })
    }

    fn thresholds(&self) -> Vec<f32> {
        let layer = self.checkpoint.config.layers - 1;
        self.checkpoint.model.lambda(layer, &Noise::Unknown)
    }

    fn same_event(&self, a: Source, b: Source) -> bool {
        a.item == b.item && (a.column.abs_diff(b.column) as usize) < self.coder.near()
    }

    fn events(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<RecordedEvents>> {
        let (checkpoint, settings) = (self.checkpoint.clone(), self.settings.clone());
        let finder = EventFinder::new(checkpoint, settings, self.device())?;
        let recording = self.recording().clone();
        let events = finder.find(&recording, &mut |done, all| {
            progress(done, all);
            ControlFlow::Continue(())
        })?;
        Ok(Some(RecordedEvents { events, recording }))
    }

    fn retraining(&self) -> Option<&dyn Retraining> {
        Some(self)
    }
}

impl Retraining for RecordingSubject {
    fn target(&self, datum: usize) -> Result<Vec<f32>> {
        let (trained, filters) = (self.trained()?, &self.coder.filters);
        let (source, taps) = (trained.sources[datum], filters.taps());
        let first = source.column as isize;
        let mut target = self.coder.samples(source.item as usize, first, taps)?;
        let explained = trained.explained(filters, source.item, first, taps);
        target.iter_mut().zip(explained).for_each(|(t, e)| *t -= e);
        trained.add(filters, datum, &mut target, 0, &vec![1.0; filters.channels()]);
        Ok(target)
    }

    /// What the codes of these data explain is subtracted from the recording. The codes there are then zero and all others as they
    /// were, as the residual does not change.
    fn train_without(
        &self,
        training: &ContinuedTraining,
        without: &[usize],
    ) -> Result<Box<dyn Subject>> {
        let recording = self.recording();
        let shape = [recording.trials(), recording.channels(), recording.samples()];
        let numbers: usize = shape.iter().product();
        if numbers > MOST_COPIED {
            let range = format!("at most {MOST_COPIED} numbers, as the test copies it");
            return Err(ExplainError::range("recording", format!("{numbers} numbers"), range));
        }
        let folder =
            tempfile::tempdir().map_err(ExplainError::io(Path::new("a temporary folder")))?;
        let path = folder.path().join("without.npy");
        write_npy(&path, shape, &self.without(without)?).map_err(ExplainError::io(&path))?;
        let rate = recording.rate();
        let checkpoint = training.run(self.device(), |config| {
            if let pudle_train::DataConfig::Recordings(settings) = &mut config.data {
                settings.path.clone_from(&path);
                (settings.tensor, settings.time_first, settings.rate) = (None, false, rate);
            }
            Ok(())
        })?;
        Ok(Box::new(Self::new(checkpoint, &training.config, &self.settings, self.device())?))
    }
}

impl Depict for RecordingSubject {
    fn words(&self) -> Words {
        Words { datum: "stretch", data: "stretches", item: "recording" }
    }

    fn datum_name(&self, source: Source) -> [String; 2] {
        let trial = match self.recording().trials() {
            1 => String::new(),
            _ => format!("trial {}", source.item),
        };
        [self.time(source.column as usize), trial]
    }

    fn datum_columns(&self) -> &'static [&'static str] {
        &["trial", "sample", "time"]
    }

    fn datum_fields(&self, source: Source) -> Vec<String> {
        let time = self.recording().rate().map(|rate| f64::from(source.column) / rate);
        let time = time.map_or(String::new(), |time| format!("{time:.7}"));
        vec![source.item.to_string(), source.column.to_string(), time]
    }

    fn datum_picture(&self, source: Source) -> Result<Image> {
        self.stretch(source)
    }

    /// The stretch. It is not inverted if its weight is negative: its tile is of another colour.
    fn sheet_picture(&self, source: Source, _inverted: bool) -> Result<Image> {
        self.stretch(source)
    }

    fn signed_picture(&self, values: &[f32]) -> Image {
        self.waveform(values)
    }

    fn output_picture(&self, values: &[f32]) -> Result<Image> {
        Ok(self.waveform(values))
    }

    fn output_views(
        &self,
        encoded: &EncodedInput,
        position: usize,
        decoded: &[f32],
    ) -> Result<OutputViews> {
        let taps = self.coder.taps();
        let output = encoded.output.as_ref().expect("signals have an output");
        let cut = |image: &Image| -> Vec<f32> {
            let rows = image.data.chunks_exact(image.width);
            rows.flat_map(|row| &row[position..position + taps]).copied().collect()
        };
        let (seen, rebuilt) = (cut(&encoded.seen), cut(output));
        Ok(OutputViews {
            seen: self.drawn(&seen, &rebuilt, &[], TILE),
            output: self.waveform(&rebuilt),
            own: Some(self.waveform(decoded)),
        })
    }

    /// The input and its reconstruction, if it is longer than an atom.
    fn marked_output(
        &self,
        _input: &Input,
        encoded: &EncodedInput,
        positions: &[usize],
    ) -> Option<Image> {
        let output = encoded.output.as_ref()?;
        (encoded.grid[1] > 1)
            .then(|| self.drawn(&encoded.seen.data, &output.data, positions, 8 * TILE))
    }

    fn window_name(&self, input: &str, [_, first]: [usize; 2]) -> String {
        match (first, self.recording().rate()) {
            (0, _) => input.to_owned(),
            (_, Some(rate)) => format!("{input}, and {:.4} s on", first as f64 / rate),
            (_, None) => format!("{input}, and {first} samples on"),
        }
    }

    fn marked_caption(&self) -> &'static str {
        "the recording in grey, its reconstruction in orange; the explained stretches are shaded"
    }
}
