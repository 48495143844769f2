//! What an experiment is: settings, cells that are run one by one and kept, and a report of them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use pudle_core::Backend;
use pudle_plot::Chart;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::folder::Folder;
use crate::progress::Progress;

/// Time between two saves of a part that can go on.
const INTERVAL: Duration = Duration::from_secs(20);

/// An experiment with all its settings.
pub trait Experiment: clap::Args + Serialize + DeserializeOwned + Clone + PartialEq {
    /// Its name on the command line.
    const NAME: &'static str;

    /// A part that is run and kept on its own; shown as the name of its file.
    type Key: Clone + Display;

    /// Named settings; the first is the default.
    fn presets() -> Vec<(&'static str, Self)>;

    /// Refuses settings out of their range.
    ///
    /// # Errors
    /// The first such setting, with value and range.
    fn check(&self) -> Result<()>;

    /// All parts, in the order in which they are run.
    fn keys(&self) -> Vec<Self::Key>;

    /// How much work a part is, in units of its own choice; decides about the estimate of the time
    /// left alone.
    fn work(&self, key: &Self::Key) -> u64;

    /// Runs a part.
    ///
    /// # Errors
    /// Where data or model cannot be made, or a number stops being finite.
    fn run(&self, key: &Self::Key, task: &Task<'_>) -> Result<Cell>;

    /// What all parts together show.
    fn report(&self, cells: &[(Self::Key, Cell)]) -> Report;
}

/// Where and how a part is run.
pub struct Task<'a> {
    /// Plain device, without autodiff.
    pub device: &'a Device,
    /// Its backend.
    pub backend: Backend,
    /// To be told of work that was done.
    pub progress: &'a Progress,
    /// Name of the part.
    pub name: String,
    /// Folder of the experiment.
    pub dir: &'a Path,
    /// Folder for what the part needs to go on after an interruption; may not exist yet.
    pub state: PathBuf,
    /// Time between two saves of it.
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

/// What a part found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Wall time in seconds.
    pub seconds: f64,
    /// Single figures by name.
    pub values: BTreeMap<String, f64>,
    /// Curves by name: pairs of abscissa and value.
    pub curves: BTreeMap<String, Vec<[f64; 2]>>,
}

impl Cell {
    /// A figure; NaN where there is none of this name.
    pub fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }

    /// A curve; empty where there is none of this name.
    pub fn curve(&self, name: &str) -> &[[f64; 2]] {
        self.curves.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a curve at an abscissa of its own.
    pub fn at(&self, name: &str, x: f64) -> f64 {
        self.curve(name).iter().find(|point| point[0] == x).map_or(f64::NAN, |point| point[1])
    }
}

/// A figure beside the published one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// The published figure, where there is one for these settings.
    pub published: Option<f64>,
    /// Mean over seeds.
    pub ours_mean: f64,
    /// Standard deviation over seeds (with n − 1), where there are at least two.
    pub ours_sd: Option<f64>,
}

impl Row {
    /// The row of figures of several seeds; those that are not finite are left out.
    pub fn new(name: impl Into<String>, published: Option<f64>, ours: &[f64]) -> Self {
        let (ours_mean, ours_sd) = mean_sd(ours);
        Self { name: name.into(), published, ours_mean, ours_sd }
    }
}

/// Mean and standard deviation (with n − 1; none for fewer than two) of the finite among `values`.
pub(crate) fn mean_sd(values: &[f64]) -> (f64, Option<f64>) {
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// The middle of `values`, NaN if there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A quantile of `values` by linear interpolation, NaN if there are none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// Slope of the least-squares line through points; NaN for fewer than two.
pub(crate) fn slope(points: &[[f64; 2]]) -> f64 {
    if points.len() < 2 {
        return f64::NAN;
    }
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p[0] / n, y + p[1] / n));
    let (xy, xx) = points
        .iter()
        .fold((0.0, 0.0), |(xy, xx), p| (xy + (p[0] - x) * (p[1] - y), xx + (p[0] - x).powi(2)));
    xy / xx
}

/// A table of numbers for a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name of the file without its ending.
    pub name: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(name: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|column| (*column).to_owned()).collect();
        Self { name: name.into(), header, rows: Vec::new() }
    }
}

/// What an experiment shows.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Published beside ours.
    pub rows: Vec<Row>,
    /// All numbers.
    pub tables: Vec<Table>,
    /// Pictures.
    pub charts: Vec<Chart>,
}

/// `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the experiment.
    pub experiment: String,
    /// All its settings.
    pub settings: serde_json::Value,
    /// Published beside ours.
    pub rows: Vec<Row>,
    /// Wall time of all parts together, in seconds.
    pub seconds: f64,
    /// Version of this program.
    pub version: String,
}

/// Runs an experiment in a folder, or goes on with one that was interrupted: parts that the folder
/// holds are not run again. Writes `settings.toml`, `cells/`, a CSV file per table, a chart each as SVG
/// and PNG, `summary.md` and `summary.json`.
///
/// # Errors
/// A backend that is not compiled in, settings out of range, a folder that holds results of other settings or cannot be written, and
/// whatever a part fails with.
pub fn perform<E: Experiment>(experiment: &E, dir: &Path, backend: Backend) -> Result<Summary> {
    let device = &backend.device()?;
    experiment.check()?;
    let folder = Folder::open(dir, experiment)?;
    let keys = experiment.keys();
    let mut cells: Vec<Option<Cell>> =
        keys.iter().map(|key| folder.cell(&key.to_string())).collect::<Result<_>>()?;
    let missing = keys.iter().zip(&cells).filter(|(_, cell)| cell.is_none());
    let progress = Progress::new(missing.map(|(key, _)| experiment.work(key)).sum());
    for (key, cell) in keys.iter().zip(&mut cells).filter(|(_, cell)| cell.is_none()) {
        let name = key.to_string();
        progress.start(&name);
        let state = folder.state(&name);
        let progress = &progress;
        let task = Task { device, backend, progress, dir, state, name, interval: INTERVAL };
        let start = Instant::now();
        let mut found = experiment.run(key, &task)?;
        // A part that went on with earlier work has added that work's time itself.
        found.seconds += start.elapsed().as_secs_f64();
        folder.keep(&task.name, &found)?;
        *cell = Some(found);
        progress.finish(&task.name, experiment.work(key));
    }
    progress.end();
    let cells: Vec<(E::Key, Cell)> =
        keys.into_iter().zip(cells).filter_map(|(key, cell)| Some((key, cell?))).collect();
    let report = experiment.report(&cells);
    let summary = Summary {
        experiment: E::NAME.into(),
        settings: serde_json::to_value(experiment).expect("settings are plain values"),
        rows: report.rows.clone(),
        seconds: cells.iter().map(|(_, cell)| cell.seconds).sum(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    folder.write(&report, &summary)?;
    Ok(summary)
}

/// A figure for people: four significant digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e4).contains(&size) => {
            let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.decimals$}")
        }
        size if size.is_finite() => format!("{value:.2e}"),
        _ => "–".into(),
    }
}

impl Summary {
    /// The table *published | ours* in Markdown.
    pub fn table(&self) -> String {
        let mut text = String::from("| | published | ours |\n| --- | --- | --- |\n");
        for row in &self.rows {
            let published = row.published.map_or("–".into(), figure);
            let sd = row.ours_sd.map_or(String::new(), |sd| format!(" ± {}", figure(sd)));
            text += &format!("| {} | {published} | {}{sd} |\n", row.name, figure(row.ours_mean));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_by_hand() {
        assert_eq!(mean_sd(&[1.0, 3.0, f64::NAN]), (2.0, Some(2f64.sqrt())));
        assert_eq!(mean_sd(&[4.0]), (4.0, None));
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert!((slope(&[[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]]) - 2.0).abs() < 1e-12);
        assert!(slope(&[[0.0, 1.0]]).is_nan());
    }

    #[test]
    fn figures_keep_four_digits() {
        for (value, text) in
            [(0.07661, "0.07661"), (2.369, "2.369"), (12345.0, "1.23e4"), (3.7e-4, "3.70e-4")]
        {
            assert_eq!(figure(value), text);
        }
    }
}
