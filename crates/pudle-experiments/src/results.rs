//! The results of an experiment: measurements of its parts, and what is made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statistics::mean_sd;

/// The parts of an experiment and their measurements.
pub type Results<K> = [(K, Measurements)];

/// The results of one part of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// Wall time in seconds.
    pub seconds: f64,
    /// Single numbers by name.
    pub values: BTreeMap<String, f64>,
    /// Curves by name: points `[x, value]`.
    pub curves: BTreeMap<String, Vec<[f64; 2]>>,
}

impl Measurements {
    /// The number of this name; NaN if there is none.
    pub fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }

    /// The curve of this name; empty if there is none.
    pub fn curve(&self, name: &str) -> &[[f64; 2]] {
        self.curves.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a curve at `x`; NaN if it has no point there.
    pub fn at(&self, name: &str, x: f64) -> f64 {
        self.curve(name).iter().find(|point| point[0] == x).map_or(f64::NAN, |point| point[1])
    }
}

/// The numbers of this name in several measurements.
pub(crate) fn each(measurements: &[&Measurements], name: &str) -> Vec<f64> {
    measurements.iter().map(|measured| measured.value(name)).collect()
}

/// The measurements of the parts that `wanted` accepts.
pub(crate) fn select<K>(results: &Results<K>, wanted: impl Fn(&K) -> bool) -> Vec<&Measurements> {
    results.iter().filter(|(key, _)| wanted(key)).map(|(_, measured)| measured).collect()
}

/// A number of ours beside the published one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The published number, if there is one for these settings.
    pub published: Option<f64>,
    /// Mean over seeds.
    pub ours_mean: f64,
    /// Standard deviation over seeds (with n − 1), if there are at least two.
    pub ours_sd: Option<f64>,
}

impl Row {
    /// The row of one number under several seeds; those that are not finite are left out.
    pub fn new(name: impl Into<String>, published: Option<f64>, ours: &[f64]) -> Self {
        let (ours_mean, ours_sd) = mean_sd(ours);
        Self { name: name.into(), published, ours_mean, ours_sd }
    }
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

/// `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the experiment.
    pub experiment: String,
    /// All its settings.
    pub settings: serde_json::Value,
    /// Our numbers beside the published ones.
    pub rows: Vec<Row>,
    /// Wall time of all parts together, in seconds.
    pub seconds: f64,
    /// Version of this program.
    pub version: String,
}

/// A number as text, with four significant digits.
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
    fn numbers_keep_four_digits() {
        for (value, text) in
            [(0.07661, "0.07661"), (2.369, "2.369"), (12345.0, "1.23e4"), (3.7e-4, "3.70e-4")]
        {
            assert_eq!(figure(value), text);
        }
    }
}
