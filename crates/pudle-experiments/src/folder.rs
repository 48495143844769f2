//! The folder of an experiment.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::experiment::{Cell, Experiment, Report, Summary, Table};

/// Writes a file beside its place and renames it into it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    pudle_data::write_whole(path, bytes).map_err(ExperimentError::io(path))
}

/// `settings.toml`.
#[derive(Serialize, Deserialize)]
struct Settings<E> {
    experiment: String,
    settings: E,
}

/// A folder with the settings and the parts that were run.
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Creates the folder, or opens one of the same experiment with the same settings, the number of seeds
    /// aside: parts of more of them join those that are there.
    pub fn open<E: Experiment>(dir: &Path, experiment: &E) -> Result<Self> {
        let settings = Settings { experiment: E::NAME.into(), settings: experiment };
        let text = toml::to_string(&settings).expect("settings are plain values");
        let path = dir.join("settings.toml");
        match std::fs::read_to_string(&path) {
            Ok(found) => {
                if let Some(difference) = difference(&found, &text)
                    .map_err(|error| ExperimentError::damaged(&path, error.message()))?
                {
                    return Err(ExperimentError::OtherSettings { path: dir.into(), difference });
                }
                if found != text {
                    write(&path, text.as_bytes())?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let cells = dir.join("cells");
                std::fs::create_dir_all(&cells).map_err(ExperimentError::io(&cells))?;
                write(&path, text.as_bytes())?;
            }
            Err(error) => return Err(ExperimentError::io(&path)(error)),
        }
        Ok(Self { dir: dir.into() })
    }

    fn path(&self, cell: &str, ending: &str) -> PathBuf {
        // Names of gradients hold characters that some file systems refuse.
        let name: String = cell.chars().map(|c| if ":/ ".contains(c) { '-' } else { c }).collect();
        self.dir.join("cells").join(name + ending)
    }

    /// Where a part keeps what it needs to go on.
    pub fn state(&self, cell: &str) -> PathBuf {
        self.path(cell, ".state")
    }

    /// A part that was run before.
    pub fn cell(&self, cell: &str) -> Result<Option<Cell>> {
        let path = self.path(cell, ".json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| ExperimentError::damaged(&path, error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExperimentError::io(&path)(error)),
        }
    }

    /// Keeps a part, and drops what it needed to go on.
    pub fn keep(&self, cell: &str, found: &Cell) -> Result<()> {
        let json = serde_json::to_vec(found).expect("a cell is plain values");
        let path = self.path(cell, ".json");
        std::fs::create_dir_all(self.dir.join("cells")).map_err(ExperimentError::io(&path))?;
        write(&path, &json)?;
        let state = self.state(cell);
        match std::fs::remove_dir_all(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ExperimentError::io(&state)(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes what the parts together show.
    pub fn write(&self, report: &Report, summary: &Summary) -> Result<()> {
        for table in &report.tables {
            write(&self.dir.join(format!("{}.csv", table.name)), &csv(table))?;
        }
        for chart in &report.charts {
            let (svg, png) = chart.draw()?;
            write(&self.dir.join(format!("{}.svg", chart.name)), svg.as_bytes())?;
            write(&self.dir.join(format!("{}.png", chart.name)), &png)?;
        }
        write(&self.dir.join("summary.md"), summary.table().as_bytes())?;
        let mut json = serde_json::to_vec_pretty(summary).expect("a summary is plain values");
        json.push(b'\n');
        write(&self.dir.join("summary.json"), &json)
    }
}

fn csv(table: &Table) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = std::iter::once(&table.header).chain(&table.rows);
    rows.for_each(|row| writer.write_record(row).expect("rows as long as the header"));
    writer.into_inner().expect("memory does not fail")
}

/// The first setting that differs, if any.
fn difference(found: &str, asked: &str) -> Result<Option<String>, toml::de::Error> {
    let (found, asked) = (found.parse::<toml::Table>()?, asked.parse::<toml::Table>()?);
    Ok(differing("", &toml::Value::Table(found), &toml::Value::Table(asked)))
}

fn differing(name: &str, found: &toml::Value, asked: &toml::Value) -> Option<String> {
    let (toml::Value::Table(found), toml::Value::Table(asked)) = (found, asked) else {
        return (found != asked).then(|| format!("{name} is {found} there, not {asked}"));
    };
    let names = found.keys().chain(asked.keys()).filter(|name| *name != "seeds");
    names.into_iter().find_map(|key| match (found.get(key), asked.get(key)) {
        (Some(found), Some(asked)) => differing(key, found, asked),
        _ => Some(format!("only one of them has {key}")),
    })
}
