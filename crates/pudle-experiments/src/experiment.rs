//! What an experiment is: settings, parts that are run one by one, and what is made of their results.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use pudle_core::Backend;
use pudle_plot::Chart;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ExperimentError, Result};
use crate::folder::Folder;
use crate::progress::Progress;
use crate::results::{Measurements, Results, Row, Summary, Table};

/// Time between two saves of a part that is running.
const INTERVAL: Duration = Duration::from_secs(20);

/// An experiment with all its settings.
pub trait Experiment: clap::Args + Serialize + DeserializeOwned + Clone + PartialEq {
    /// Its name on the command line.
    const NAME: &'static str;

    /// Names a part, which is run on its own and has a file of its own under that name.
    type Key: Clone + Display;

    /// Named settings; the first is the default.
    fn presets() -> Vec<(&'static str, Self)>;

    /// Checks all settings.
    ///
    /// # Errors
    /// Returns the first setting that is out of its range, with value and range.
    fn check(&self) -> Result<()>;

    /// All parts, in the order in which they are run.
    fn keys(&self) -> Vec<Self::Key>;

    /// How much work a part is, in any unit. It is used for the estimate of the time left, and for nothing else.
    fn work(&self, key: &Self::Key) -> u64;

    /// Runs a part.
    ///
    /// # Errors
    /// Returns an error if data or model cannot be made, or if a number is not finite.
    fn run(&self, key: &Self::Key, task: &Task<'_>) -> Result<Measurements>;

    /// The numbers of the experiment beside the published ones.
    fn statistics(&self, results: &Results<Self::Key>) -> Vec<Row>;

    /// All numbers, as tables for CSV files.
    fn tables(&self, results: &Results<Self::Key>) -> Vec<Table>;

    /// The charts of the experiment.
    fn charts(&self, results: &Results<Self::Key>) -> Vec<Chart>;
}

/// What a part needs to run.
pub struct Task<'a> {
    /// The device, without autodiff.
    pub device: &'a Device,
    /// Its backend.
    pub backend: Backend,
    /// Counts the work that is done.
    pub progress: &'a Progress,
    /// Name of the part.
    pub name: String,
    /// Folder of the experiment.
    pub dir: &'a Path,
    /// Folder of the files that continue the part after an interruption. It may not exist yet.
    pub state: PathBuf,
    /// Time between two saves of them.
    pub interval: Duration,
}

impl Task<'_> {
    /// `value`, if it is finite.
    pub(crate) fn finite(&self, what: &str, value: f64) -> Result<f64> {
        if value.is_finite() {
            return Ok(value);
        }
        Err(ExperimentError::NotFinite { part: self.name.clone(), what: what.into() })
    }
}

/// Runs an experiment in a folder, or continues one that was interrupted: parts whose results are in the folder are
/// not run again. Writes `settings.toml`, `cells/` (the results of each part), a CSV file for each table, an SVG and a
/// PNG file for each chart, `summary.md` and `summary.json`.
///
/// # Errors
/// Returns an error if the backend is not compiled in, if a setting is out of range, if the folder holds results of other
/// settings or cannot be written, and if a part fails.
pub fn perform<E: Experiment>(experiment: &E, dir: &Path, backend: Backend) -> Result<Summary> {
    experiment.check()?;
    let device = backend.device()?;
    let folder = Folder::open(dir, E::NAME, experiment)?;
    let results = run_missing(experiment, &folder, &device, backend)?;
    let summary = Summary {
        experiment: E::NAME.into(),
        settings: serde_json::to_value(experiment).expect("settings are plain values"),
        rows: experiment.statistics(&results),
        seconds: results.iter().map(|(_, measured)| measured.seconds).sum(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    experiment.tables(&results).iter().try_for_each(|table| folder.write_table(table))?;
    experiment.charts(&results).iter().try_for_each(|chart| folder.write_chart(chart))?;
    folder.write_summary(&summary)?;
    Ok(summary)
}

/// The results of all parts. Those that the folder does not hold are run.
fn run_missing<E: Experiment>(
    experiment: &E,
    folder: &Folder,
    device: &Device,
    backend: Backend,
) -> Result<Vec<(E::Key, Measurements)>> {
    let keys = experiment.keys();
    let found: Vec<Option<Measurements>> =
        keys.iter().map(|key| folder.read(&key.to_string())).collect::<Result<_>>()?;
    let missing = keys.iter().zip(&found).filter(|(_, found)| found.is_none());
    let progress = &Progress::new(missing.map(|(key, _)| experiment.work(key)).sum());
    let mut results = Vec::new();
    for (key, found) in keys.into_iter().zip(found) {
        if let Some(measured) = found {
            results.push((key, measured));
            continue;
        }
        let name = key.to_string();
        progress.start(&name);
        let state = folder.state(&name);
        let task =
            Task { device, backend, progress, dir: folder.dir(), state, name, interval: INTERVAL };
        let start = Instant::now();
        let mut measured = experiment.run(&key, &task)?;
        // A part that continues has added the time of earlier work itself.
        measured.seconds += start.elapsed().as_secs_f64();
        folder.write(&task.name, &measured)?;
        progress.finish(&task.name, experiment.work(&key));
        results.push((key, measured));
    }
    progress.end();
    Ok(results)
}
