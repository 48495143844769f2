//! From a description of the data to batches on the training device.

use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{DenseConfig, DictionaryConfig, Noise, ShiftedWindows};
use pudle_data::{
    Amplitude, Batch, ColorMode, CropConfig, Crops, DeadLeaves, DeadLeavesConfig, DigitBatches,
    DigitPart, Digits, ImageFolder, Prefetch, SignRule, Source, SparseCoding, SparseCodingConfig,
    Stream, WholePictures, step_rng, stroke_digits,
};

use crate::config::{AmplitudeConfig, DataConfig, RunConfig};
use crate::error::{Result, TrainError};

/// Generated pictures that a run validates on.
const VALIDATION_PICTURES: usize = 8;

/// What a run draws from.
pub(crate) struct Sources {
    /// Batches of training, by step from 0.
    pub train: Arc<dyn Source>,
    /// Batches of validation and their number.
    pub valid: Option<(Arc<dyn Source>, u64)>,
    /// The draws behind sparse-coding data, for the true dictionary.
    pub truth: Option<Arc<SparseCoding>>,
}

impl Sources {
    /// Opens or prepares the data of a run.
    pub fn open(config: &RunConfig) -> Result<Self> {
        let (seed, batch) = (config.seed, config.training.batch);
        let crops = |crop, sigma, flips| CropConfig { crop, batch, sigma, flips, seed };
        let color = |dictionary: &DictionaryConfig| match dictionary {
            DictionaryConfig::Conv2d(filters) if filters.channels == 3 => ColorMode::Rgb,
            _ => ColorMode::Gray,
        };
        match &config.data {
            DataConfig::Photographs { dir, valid, crop, sigma, flips } => {
                let color = color(&config.model.dictionary);
                let open = |dir: &Path| {
                    let folder = ImageFolder::open(dir, color)?;
                    Ok::<_, TrainError>(folder.with_capacity(config.training.cached_images))
                };
                let train = Crops::new(open(dir)?, crops(*crop, *sigma, *flips))?;
                let valid = match valid {
                    None => None,
                    Some(dir) => {
                        let pictures = WholePictures::new(open(dir)?, sigma.middle(), seed)?;
                        let count = pictures.len() as u64;
                        Some((Arc::new(pictures) as Arc<dyn Source>, count))
                    }
                };
                Ok(Self { train: Arc::new(train), valid, truth: None })
            }
            DataConfig::DeadLeaves { side, count, crop, sigma, flips } => {
                let channels = match color(&config.model.dictionary) {
                    ColorMode::Rgb => 3,
                    _ => 1,
                };
                let leaves = |count, seed| {
                    DeadLeaves::new(DeadLeavesConfig {
                        height: *side,
                        width: *side,
                        channels,
                        count,
                        seed,
                        ..DeadLeavesConfig::default()
                    })
                };
                let pictures = leaves(*count, seed)?.with_capacity(config.training.cached_images);
                let train = Crops::new(pictures, crops(*crop, *sigma, *flips))?;
                // Other pictures than any of training's: the complement is no seed a user chose.
                let pictures = leaves(VALIDATION_PICTURES, !seed)?;
                let valid = WholePictures::new(pictures, sigma.middle(), seed)?;
                let count = valid.len() as u64;
                let valid = Some((Arc::new(valid) as Arc<dyn Source>, count));
                Ok(Self { train: Arc::new(train), valid, truth: None })
            }
            DataConfig::SparseCoding { sparsity, count, amplitude, noise } => {
                let DictionaryConfig::Dense(DenseConfig { dim, atoms }) = config.model.dictionary
                else {
                    unreachable!("validated: sparse-coding data have a dense dictionary");
                };
                let draws = Arc::new(SparseCoding::new(SparseCodingConfig {
                    dim,
                    atoms,
                    sparsity: *sparsity,
                    count: *count,
                    batch,
                    amplitude: amplitude.law(),
                    noise_sd: *noise,
                    seed,
                })?);
                Ok(Self { train: draws.clone(), valid: None, truth: Some(draws) })
            }
            DataConfig::Digits { .. } | DataConfig::Strokes { .. } => {
                let digits = config.digits()?.expect("these data are digits");
                Self::digits(config, digits)
            }
        }
    }

    fn digits(config: &RunConfig, (digits, trained): (Digits, Range<usize>)) -> Result<Self> {
        let pixels = digits.height() * digits.width();
        let DictionaryConfig::Dense(DenseConfig { dim, .. }) = config.model.dictionary else {
            unreachable!("validated: digits have a dense dictionary");
        };
        if dim != pixels {
            return Err(TrainError::range(
                "model.dictionary.dim",
                dim,
                format!(
                    "{pixels}, the pixels of a digit of {}×{}",
                    digits.height(),
                    digits.width()
                ),
            ));
        }
        if let Some(beyond) = config.training.without.iter().find(|k| **k >= trained.len()) {
            let range = format!("below {}, the digits that are trained on", trained.len());
            return Err(TrainError::range("training.without", beyond, range));
        }
        let kept = trained.end..digits.len();
        let digits = Arc::new(digits);
        let (seed, batch) = (config.seed, config.training.batch);
        let train = DigitBatches::new(digits.clone(), batch, seed, trained)?
            .without(&config.training.without);
        let valid = match kept.len() {
            0 => None,
            rest => {
                let size = rest.min(batch);
                let source = DigitBatches::new(digits, size, seed, kept)?;
                Some((Arc::new(source) as Arc<dyn Source>, (rest / size) as u64))
            }
        };
        Ok(Self { train: Arc::new(train), valid, truth: None })
    }
}

impl RunConfig {
    /// The digits of a run and which of them it trains on, four fifths: the rest is kept for validation. `None` for
    /// a run on other data.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn digits(&self) -> Result<Option<(Digits, Range<usize>)>> {
        let digits = match &self.data {
            // A folder may hold one part only.
            DataConfig::Digits { path, classes } => {
                Digits::open(path, DigitPart::Train, classes)
                    .or_else(|error| Digits::open(path, DigitPart::Test, classes).or(Err(error)))?
            }
            DataConfig::Strokes { count, classes } => stroke_digits(*count, classes, self.seed),
            _ => return Ok(None),
        };
        let trained = 0..digits.len() - digits.len() / 5;
        Ok(Some((digits, trained)))
    }
}

impl AmplitudeConfig {
    fn law(self) -> Amplitude {
        match self {
            AmplitudeConfig::Uniform { low, high, sign_per_datum } => Amplitude::Uniform {
                low,
                high,
                sign: if sign_per_datum { SignRule::PerDatum } else { SignRule::PerEntry },
            },
            AmplitudeConfig::Gaussian { mean, sd } => Amplitude::Gaussian { mean, sd },
        }
    }
}

/// Input and target on a device.
#[derive(Clone, Debug)]
pub struct DeviceBatch<const D: usize> {
    /// What the encoder sees.
    pub input: Tensor<D>,
    /// What the reconstruction is compared with.
    pub target: Tensor<D>,
    /// Noise of each datum on the scale 0 … 255.
    pub noise: Noise,
    /// Windows whose reconstructions are averaged, if there are several.
    pub shifts: Option<ShiftedWindows>,
}

/// How shifts are drawn for a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShiftSampler {
    pub seed: u64,
    pub count: usize,
    /// How many shifts' mean the loss stands for, at least `count`.
    pub averaged: usize,
    /// Of the atoms.
    pub stride: usize,
}

impl ShiftSampler {
    /// What a run averages over, if it does.
    pub fn of(config: &RunConfig) -> Option<Self> {
        let DictionaryConfig::Conv2d(filters) = config.model.dictionary else { return None };
        let count = config.training.shifts;
        let averaged = config.training.averaged.unwrap_or(count);
        (count > 1).then_some(Self { seed: config.seed, count, averaged, stride: filters.stride })
    }

    /// Different shifts, at random.
    fn draw(self, step: u64) -> ShiftedWindows {
        let Self { seed, count, averaged, stride } = self;
        let mut rng = step_rng(seed, Stream::Shift, step);
        let places = rand::seq::index::sample(&mut rng, stride * stride, count);
        let starts = places.into_iter().map(|place| [place / stride, place % stride]).collect();
        ShiftedWindows { starts, reach: stride - 1, averaged }
    }
}

/// The steps `steps` of a source as a Burn data loader: drawn ahead on their own thread, moved to
/// the device as they are asked for.
pub(crate) struct StepLoader<const D: usize> {
    source: Option<Arc<dyn Source>>,
    steps: Range<u64>,
    ahead: usize,
    device: Device,
    shifts: Option<ShiftSampler>,
    rank: PhantomData<[(); D]>,
}

impl<const D: usize> StepLoader<D> {
    /// A loader of `steps` of `source`, `ahead` batches ahead.
    pub fn new(source: Arc<dyn Source>, steps: Range<u64>, ahead: usize, device: Device) -> Self {
        Self { source: Some(source), steps, ahead, device, shifts: None, rank: PhantomData }
    }

    /// The same, with shifts for every step.
    pub fn with_shifts(self, shifts: Option<ShiftSampler>) -> Self {
        Self { shifts, ..self }
    }

    /// A loader of nothing.
    pub fn empty(device: Device) -> Self {
        Self { source: None, steps: 0..0, ahead: 1, device, shifts: None, rank: PhantomData }
    }
}

impl<const D: usize> DataLoader<DeviceBatch<D>> for StepLoader<D> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<DeviceBatch<D>> + 'a> {
        let batches =
            self.source.clone().map(|source| Prefetch::new(source, self.steps.clone(), self.ahead));
        Box::new(StepIterator {
            batches,
            device: self.device.clone(),
            first: self.steps.start,
            shifts: self.shifts,
            done: 0,
            total: self.num_items(),
        })
    }

    fn num_items(&self) -> usize {
        self.steps.end.saturating_sub(self.steps.start) as usize
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<DeviceBatch<D>>> {
        Arc::new(Self {
            source: self.source.clone(),
            steps: self.steps.clone(),
            ahead: self.ahead,
            device: device.clone(),
            shifts: self.shifts,
            rank: PhantomData,
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<DeviceBatch<D>>> {
        let first = self.steps.start;
        Arc::new(Self {
            source: self.source.clone(),
            steps: first + start as u64..(first + end as u64).min(self.steps.end),
            ahead: self.ahead,
            device: self.device.clone(),
            shifts: self.shifts,
            rank: PhantomData,
        })
    }
}

struct StepIterator<const D: usize> {
    batches: Option<Prefetch>,
    device: Device,
    first: u64,
    shifts: Option<ShiftSampler>,
    done: usize,
    total: usize,
}

impl<const D: usize> Iterator for StepIterator<D> {
    type Item = std::result::Result<DeviceBatch<D>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.as_mut()?.next()?;
        let step = self.first + self.done as u64;
        self.done += 1;
        let shifts = self.shifts.map(|draw| draw.draw(step));
        Some(match batch {
            Ok(batch) => Ok(to_device(batch, shifts, &self.device)),
            Err(error) => Err(DatasetError::new(error)),
        })
    }
}

fn to_device<const D: usize>(
    batch: Batch,
    shifts: Option<ShiftedWindows>,
    device: &Device,
) -> DeviceBatch<D> {
    let tensor =
        |values: Vec<f32>| Tensor::from_data(TensorData::new(values, batch.shape.clone()), device);
    let noise = match batch.noise.is_empty() {
        true => Noise::Unknown,
        false => Noise::PerDatum(batch.noise.iter().map(|sigma| f64::from(*sigma)).collect()),
    };
    DeviceBatch { input: tensor(batch.input), target: tensor(batch.target), noise, shifts }
}

impl<const D: usize> DataLoaderIterator<DeviceBatch<D>> for StepIterator<D> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.total, Some("steps".into()))
    }
}
