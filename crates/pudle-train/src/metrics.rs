//! Figures of a training step, for Burn's dashboard and for `metrics.csv`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{ExecutionError, Tensor, TensorReadError};
use burn::train::ItemLazy;
use burn::train::logger::MetricLogger;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{
    Adaptor, Metric, MetricAttributes, MetricDefinition, MetricMetadata, MetricName, Numeric,
    NumericAttributes, NumericEntry, SerializedEntry,
};
use pudle_core::Objective;

use crate::error::{Result, TrainError};
use crate::files::write_whole;

/// The figures of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRecord {
    /// The loss, mean over the batch.
    pub loss: f64,
    /// `½‖x − D z‖²` against the target, mean over the batch.
    pub fit: f64,
    /// Peak signal-to-noise ratio of the batch in dB with peak 1. In a validation with images, the
    /// estimate is clipped to [0, 1].
    pub psnr: f64,
    /// Share of the code's entries that are not zero, in [0, 1].
    pub active: f64,
    /// `‖D − D*‖_F / ‖D*‖_F`, if the true dictionary `D*` is known and the run starts near it, so that
    /// both have the same order of atoms.
    pub dictionary_error: Option<f64>,
    /// Number of atoms that no datum of the last steps used, in a run: those of the setting `training.unused_window`.
    pub unused: Option<u64>,
    /// Whether a datum of the step used each atom. Empty in a validation.
    pub(crate) used: Arc<[bool]>,
}

/// What is read from a forward pass beside the usual figures.
#[derive(Default)]
pub(crate) struct Extra {
    /// The mean square error for PSNR, in place of the fit.
    pub error: Option<Tensor<1>>,
    /// The distance from the true dictionary.
    pub dictionary_error: Option<Tensor<1>>,
    /// Whether the atoms in use are asked for.
    pub usage: bool,
}

/// How many entries of each atom in the code are not zero, `[p]`.
fn uses<const D: usize>(code: Tensor<D>) -> Tensor<1> {
    let dims = code.dims();
    let (batch, atoms) = (dims[0], dims[1]);
    let places = dims[2..].iter().product();
    let active = code.not_equal_elem(0.0).float().reshape([batch, atoms, places]);
    active.sum_dim(2).sum_dim(0).reshape([atoms])
}

impl StepRecord {
    /// Reads the figures of a forward pass from the device in one transfer. The tensors in `extra` have one element.
    pub(crate) fn read<const D: usize>(objective: &Objective<D>, extra: Extra) -> Self {
        let Extra { error, dictionary_error, usage } = extra;
        let fit = objective.fit.clone().inner();
        // The fit is half the sum of squares of a datum; PSNR needs the mean of squares.
        let size = objective.reconstruction.dims()[1..].iter().product::<usize>() as f64;
        let error = error.unwrap_or_else(|| fit.clone() * (2.0 / size));
        let mut figures = vec![objective.loss.clone().inner(), fit, error];
        let known = dictionary_error.is_some();
        figures.extend(dictionary_error);
        figures.push(uses(objective.code.clone().inner()));
        let figures: Vec<f64> = Tensor::cat(figures, 0).into_data().iter::<f64>().collect();
        let uses = &figures[3 + usize::from(known)..];
        let entries = objective.code.dims().iter().product::<usize>() as f64;
        Self {
            loss: figures[0],
            fit: figures[1],
            psnr: -10.0 * figures[2].log10(),
            active: uses.iter().sum::<f64>() / entries,
            dictionary_error: known.then(|| figures[3]),
            unused: None,
            used: uses.iter().filter(|_| usage).map(|uses| *uses > 0.0).collect(),
        }
    }
}

impl StepRecord {
    /// The figures of a step from those of its parts, each with its share of the data. There is at least one.
    pub(crate) fn merged(parts: &[(f64, Self)]) -> Self {
        let mean = |pick: fn(&Self) -> f64| {
            parts.iter().map(|(share, record)| share * pick(record)).sum::<f64>()
        };
        let used = |atom: usize| parts.iter().any(|(_, part)| part.used[atom]);
        let (_, first) = &parts[0];
        Self {
            loss: mean(|part| part.loss),
            fit: mean(|part| part.fit),
            // Mean squares are averaged, not decibels.
            psnr: -10.0 * mean(|part| 10f64.powf(-part.psnr / 10.0)).log10(),
            active: mean(|part| part.active),
            dictionary_error: first.dictionary_error,
            unused: None,
            used: (0..first.used.len()).map(used).collect(),
        }
    }
}

impl ItemLazy for StepRecord {
    fn sync(self) -> std::result::Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl Adaptor<StepRecord> for StepRecord {
    fn adapt(&self) -> StepRecord {
        self.clone()
    }
}

/// One figure of a [`StepRecord`] as a Burn metric.
#[derive(Clone)]
pub(crate) struct Figure {
    name: MetricName,
    unit: Option<&'static str>,
    higher_is_better: bool,
    pick: fn(&StepRecord) -> Option<f64>,
    state: NumericMetricState,
}

impl Figure {
    fn new(
        name: &str,
        unit: Option<&'static str>,
        higher_is_better: bool,
        pick: fn(&StepRecord) -> Option<f64>,
    ) -> Self {
        let state = NumericMetricState::new();
        Self { name: Arc::new(name.into()), unit, higher_is_better, pick, state }
    }

    /// The loss.
    pub fn loss() -> Self {
        Self::new("Loss", None, false, |record| Some(record.loss))
    }
    /// The fit term.
    pub fn fit() -> Self {
        Self::new("Fit", None, false, |record| Some(record.fit))
    }
    /// The signal-to-noise ratio.
    pub fn psnr() -> Self {
        Self::new("PSNR", Some("dB"), true, |record| Some(record.psnr))
    }
    /// The share of active codes.
    pub fn active() -> Self {
        Self::new("Active codes", None, false, |record| Some(record.active))
    }
    /// The error of the dictionary.
    pub fn dictionary_error() -> Self {
        Self::new("Dictionary error", None, false, |record| record.dictionary_error)
    }

    /// The number of unused atoms.
    pub fn unused() -> Self {
        Self::new("Unused atoms", None, false, |record| record.unused.map(|count| count as f64))
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name.clone()).precision(4);
        match self.unit {
            Some(unit) => options.unit(unit),
            None => options,
        }
    }
}

impl Metric for Figure {
    type Input = StepRecord;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        let unit = self.unit.map(str::to_owned);
        NumericAttributes { unit, higher_is_better: self.higher_is_better }.into()
    }

    fn update(
        &mut self,
        record: &StepRecord,
        _metadata: &MetricMetadata,
    ) -> std::result::Result<SerializedEntry, TensorReadError> {
        if let Some(value) = (self.pick)(record) {
            self.state.update(value, 1);
        }
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> std::result::Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for Figure {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }
    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }
    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

/// A metric log that stores nothing. `metrics.csv` has all figures, and Burn's log would grow in memory during a run.
pub(crate) struct NoLog;

impl MetricLogger for NoLog {
    fn log(&mut self, _update: MetricsUpdate, _epoch: usize, _split: &Split) {}

    fn read_numeric(
        &mut self,
        name: &str,
        _epoch: usize,
        _split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        Err(format!("there is no log of {name}"))
    }

    fn log_metric_definition(&mut self, _definition: MetricDefinition) {}

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}

/// `metrics.csv`: a row per step, and one per validation with the mean of its figures.
pub(crate) struct MetricsFile {
    path: PathBuf,
    writer: csv::Writer<File>,
    validated: bool,
    /// Step and loss of every validation.
    losses: Vec<(u64, f64)>,
}

/// The validation with the smallest loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Best {
    pub step: u64,
    pub loss: f64,
    /// Number of validations after it.
    pub since: u64,
}

/// The splits of a row.
pub(crate) const TRAIN: &str = "train";
pub(crate) const VALID: &str = "valid";

const HEADER: [&str; 9] = [
    "step",
    "split",
    "loss",
    "fit",
    "psnr",
    "active",
    "dictionary_error",
    "learning_rate",
    "unused",
];
/// Columns of a file that an older version wrote, which are the first ones.
const OLD_COLUMNS: usize = 8;

impl MetricsFile {
    /// Opens the file of a run that continues after step `done`. Rows of later steps and incomplete rows,
    /// which an interrupted run can leave, are removed.
    pub fn open(path: &Path, done: u64) -> Result<Self> {
        let failed = |error: csv::Error| TrainError::Io {
            path: path.to_path_buf(),
            source: std::io::Error::other(error),
        };
        let mut history = csv::Writer::from_writer(Vec::new());
        history.write_record(HEADER).map_err(failed)?;
        let (mut validated, mut losses) = (false, Vec::new());
        if done > 0 && path.exists() {
            let mut rows =
                csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed)?;
            let whole = rows.headers().map(csv::StringRecord::len).unwrap_or(0);
            for mut row in rows.into_records().filter_map(|row| row.ok()) {
                if whole == OLD_COLUMNS && row.len() == OLD_COLUMNS {
                    row.push_field("");
                }
                let step = row.get(0).and_then(|step| step.parse::<u64>().ok());
                if row.len() == HEADER.len() && step.is_some_and(|step| step <= done) {
                    let loss = row.get(2).and_then(|loss| loss.parse::<f64>().ok());
                    if let (Some(VALID), Some(step), Some(loss)) = (row.get(1), step, loss) {
                        validated |= step == done;
                        losses.push((step, loss));
                    }
                    history.write_record(&row).map_err(failed)?;
                }
            }
        }
        let history = history.into_inner().map_err(|error| TrainError::Io {
            path: path.to_path_buf(),
            source: std::io::Error::other(error.to_string()),
        })?;
        // The old rows are written completely before new rows follow.
        write_whole(path, &history)?;
        let file = File::options().append(true).open(path).map_err(TrainError::io(path))?;
        let writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        Ok(Self { path: path.to_path_buf(), writer, validated, losses })
    }

    /// Whether the file already has the validation of step `done`.
    pub fn validated(&self) -> bool {
        self.validated
    }

    /// The validation with the smallest loss, the first if several have it.
    pub fn best(&self) -> Option<Best> {
        let smallest = |best: Option<(usize, f64)>, (k, loss)| match best {
            Some((_, least)) if least <= loss => best,
            _ => Some((k, loss)),
        };
        let losses = self.losses.iter().map(|(_, loss)| *loss).enumerate();
        let (k, loss) = losses.fold(None, smallest)?;
        let since = (self.losses.len() - 1 - k) as u64;
        Some(Best { step: self.losses[k].0, loss, since })
    }

    /// Appends a row.
    pub fn row(
        &mut self,
        step: u64,
        split: &str,
        record: &StepRecord,
        learning_rate: Option<f64>,
    ) -> Result<()> {
        if split == VALID {
            self.losses.push((step, record.loss));
        }
        let optional =
            |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        self.writer
            .write_record([
                step.to_string(),
                split.to_owned(),
                record.loss.to_string(),
                record.fit.to_string(),
                record.psnr.to_string(),
                record.active.to_string(),
                optional(record.dictionary_error),
                optional(learning_rate),
                record.unused.map(|count| count.to_string()).unwrap_or_default(),
            ])
            .map_err(|error| TrainError::Io {
                path: self.path.clone(),
                source: std::io::Error::other(error),
            })
    }

    /// Writes buffered rows to the disk.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(TrainError::io(&self.path))
    }
}

/// The mean of the figures of several batches.
pub(crate) fn mean(records: &[StepRecord]) -> Option<StepRecord> {
    let count = records.len() as f64;
    let mean = |pick: fn(&StepRecord) -> f64| records.iter().map(pick).sum::<f64>() / count;
    let last = records.last()?;
    Some(StepRecord {
        loss: mean(|record| record.loss),
        fit: mean(|record| record.fit),
        psnr: mean(|record| record.psnr),
        active: mean(|record| record.active),
        dictionary_error: last.dictionary_error,
        unused: None,
        used: Arc::default(),
    })
}
