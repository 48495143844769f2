//! Batches on the training device.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{Dictionary, DictionaryConfig, Noise, Objective, Pudle, ShiftedWindows};
use pudle_data::{Batch, Missing, Prefetch, Source, Stream, Support, step_rng};

use crate::config::RunConfig;

/// Input and target on a device.
#[derive(Clone, Debug)]
pub struct DeviceBatch<const D: usize> {
    /// Input of the encoder.
    pub input: Tensor<D>,
    /// Target of the reconstruction.
    pub target: Tensor<D>,
    /// Standard deviation of the noise of each datum on the scale 0 … 255.
    pub noise: Noise,
    /// The shifted windows whose reconstructions are averaged, if there are several.
    pub shifts: Option<ShiftedWindows>,
    /// 1 where an entry is known and 0 where it is missing; `None` if all are known.
    pub mask: Option<Tensor<D>>,
    /// 1 where a code may be other than zero and 0 elsewhere; `None` if it may be anywhere.
    pub support: Option<Tensor<D>>,
    /// The size of the data, for the comparison with the loss.
    pub energy: Energy,
    /// What the loss is multiplied by before its gradient is taken: the share of the data of a step, 1 for all of them.
    pub share: f64,
}

impl<const D: usize> DeviceBatch<D> {
    /// The data of `rows`, whose loss counts by `share`. The energy stays that of the whole batch.
    pub(crate) fn part(&self, rows: Range<usize>, share: f64) -> Self {
        let some = |tensor: &Tensor<D>| tensor.clone().slice_dim(0, rows.clone());
        let noise = match &self.noise {
            Noise::PerDatum(levels) => Noise::PerDatum(levels[rows.clone()].to_vec()),
            same => same.clone(),
        };
        Self {
            input: some(&self.input),
            target: some(&self.target),
            noise,
            shifts: self.shifts.clone(),
            mask: self.mask.as_ref().map(some),
            support: self.support.as_ref().map(some),
            energy: self.energy,
            share,
        }
    }

    /// The objective of data of which something is known: where they are missing, or where codes may be other than zero. `None`
    /// if nothing is.
    pub(crate) fn given_objective<A: Dictionary<D>>(
        &self,
        model: &Pudle<D, A>,
    ) -> Option<Objective<D>> {
        let Self { input, target, noise, mask, support, .. } = self;
        let (input, target, mask) = (input.clone(), target.clone(), mask.clone());
        match (mask, support.clone()) {
            (mask, Some(support)) => {
                Some(model.supported_objective(input, target, support, mask, noise))
            }
            (Some(mask), None) => Some(model.masked_objective(input, target, mask, noise)),
            (None, None) => None,
        }
    }

    /// The same data without autodiff.
    pub(crate) fn inner(self) -> Self {
        Self {
            input: self.input.inner(),
            target: self.target.inner(),
            mask: self.mask.map(Tensor::inner),
            support: self.support.map(Tensor::inner),
            ..self
        }
    }

    /// The same data on another device.
    pub(crate) fn moved_to(self, device: &Device) -> Self {
        Self {
            input: self.input.to_device(device),
            target: self.target.to_device(device),
            mask: self.mask.map(|mask| mask.to_device(device)),
            support: self.support.map(|support| support.to_device(device)),
            ..self
        }
    }
}

/// The size of the data of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Mean squared norm of a datum, of the input or of the target, whichever is larger.
    pub squared_norm: f64,
    /// Values of a datum.
    pub values: f64,
}

impl Energy {
    fn of(batch: &Batch) -> Self {
        let data = batch.shape.first().copied().unwrap_or(1).max(1) as f64;
        let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let largest = sum(&batch.input).max(sum(&batch.target));
        Self { squared_norm: largest / data, values: batch.input.len() as f64 / data }
    }

    /// A bound of the loss of a zero output for data that are moved by `offset`: half the mean squared norm.
    pub fn of_zero(&self, offset: f64) -> f64 {
        self.squared_norm + self.values * offset * offset
    }
}

/// Draws the shifted windows of a training step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShiftSampler {
    pub seed: u64,
    /// Number of shifts per step.
    pub count: usize,
    /// Number of shifts whose mean the loss estimates, at least `count`.
    pub averaged: usize,
    /// Stride of the atoms.
    pub stride: usize,
}

impl ShiftSampler {
    /// The sampler of a run; `None` if it trains a single shift.
    pub fn of(config: &RunConfig) -> Option<Self> {
        let DictionaryConfig::Conv2d(filters) = config.model.dictionary else { return None };
        let count = config.training.shifts;
        let averaged = config.training.averaged.unwrap_or(count);
        (count > 1).then_some(Self { seed: config.seed, count, averaged, stride: filters.stride })
    }

    /// Draws `count` different shifts uniformly.
    fn draw(self, step: u64) -> ShiftedWindows {
        let Self { seed, count, averaged, stride } = self;
        let mut rng = step_rng(seed, Stream::Shift, step);
        let places = rand::seq::index::sample(&mut rng, stride * stride, count);
        let starts = places.into_iter().map(|place| [place / stride, place % stride]).collect();
        ShiftedWindows { starts, reach: stride - 1, averaged }
    }
}

/// A Burn data loader for the steps `steps` of a source. A separate thread prepares batches in advance. A batch is
/// moved to the device when it is requested.
pub(crate) struct StepLoader<const D: usize> {
    source: Option<Arc<dyn Source>>,
    steps: Range<u64>,
    ahead: usize,
    device: Device,
    shifts: Option<ShiftSampler>,
    missing: Missing,
    rank: PhantomData<[(); D]>,
}

impl<const D: usize> StepLoader<D> {
    /// A loader for `steps` of `source` that prepares up to `ahead` batches in advance.
    pub fn new(source: Arc<dyn Source>, steps: Range<u64>, ahead: usize, device: Device) -> Self {
        let (source, missing) = (Some(source), Missing::Error);
        Self { source, steps, ahead, device, shifts: None, missing, rank: PhantomData }
    }

    /// The same loader, with this meaning of numbers that are NaN.
    pub fn with_missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// The same loader with shifted windows for every step, if `shifts` is not `None`.
    pub fn with_shifts(self, shifts: Option<ShiftSampler>) -> Self {
        Self { shifts, ..self }
    }

    /// A loader without batches.
    pub fn empty(device: Device) -> Self {
        let missing = Missing::Error;
        Self {
            source: None,
            steps: 0..0,
            ahead: 1,
            device,
            shifts: None,
            missing,
            rank: PhantomData,
        }
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
            missing: self.missing,
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
            missing: self.missing,
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
            missing: self.missing,
            rank: PhantomData,
        })
    }
}

struct StepIterator<const D: usize> {
    batches: Option<Prefetch>,
    device: Device,
    first: u64,
    shifts: Option<ShiftSampler>,
    missing: Missing,
    done: usize,
    total: usize,
}

impl<const D: usize> Iterator for StepIterator<D> {
    type Item = std::result::Result<DeviceBatch<D>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.as_mut()?.next()?;
        let step = self.first + self.done as u64;
        self.done += 1;
        let shifts = self.shifts.map(|sampler| sampler.draw(step));
        Some(match batch {
            Ok(batch) => Ok(to_device(batch, shifts, self.missing, &self.device)),
            Err(error) => Err(DatasetError::new(error)),
        })
    }
}

/// The numbers of a mask: 1 where a value is known, 0 where it is missing. Missing values become zero. `None` if there are
/// none.
fn split_missing(batch: &mut Batch) -> Option<Vec<f32>> {
    if !batch.target.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mask = batch.target.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect();
    for value in batch.input.iter_mut().chain(&mut batch.target).filter(|value| value.is_nan()) {
        *value = 0.0;
    }
    Some(mask)
}

/// Moves a batch to a device.
pub(crate) fn to_device<const D: usize>(
    mut batch: Batch,
    shifts: Option<ShiftedWindows>,
    missing: Missing,
    device: &Device,
) -> DeviceBatch<D> {
    let mask = match missing {
        Missing::Error => None,
        Missing::Nan => split_missing(&mut batch),
    };
    let tensor =
        |values: Vec<f32>| Tensor::from_data(TensorData::new(values, batch.shape.clone()), device);
    let energy = Energy::of(&batch);
    let noise = match batch.noise.is_empty() {
        true => Noise::Unknown,
        false => Noise::PerDatum(batch.noise.iter().map(|sigma| f64::from(*sigma)).collect()),
    };
    let support = batch
        .support
        .map(|Support { shape, values }| Tensor::from_data(TensorData::new(values, shape), device));
    let (input, target, mask) = (tensor(batch.input), tensor(batch.target), mask.map(tensor));
    DeviceBatch { input, target, noise, shifts, mask, support, energy, share: 1.0 }
}

impl<const D: usize> DataLoaderIterator<DeviceBatch<D>> for StepIterator<D> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.total, Some("steps".into()))
    }
}
