//! The folder of an experiment.

use std::path::{Path, PathBuf};

use pudle_plot::Chart;
use serde::Serialize;

use crate::error::{ExperimentError, Result};
use crate::results::{Measurements, Summary, Table};

/// Writes a file beside its place and renames it into it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    pudle_data::write_whole(path, bytes).map_err(ExperimentError::io(path))
}

/// The bytes of a file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExperimentError::io(path)(error)),
    }
}

/// `settings.toml`.
#[derive(Serialize)]
struct Settings<'a, E> {
    experiment: &'a str,
    settings: &'a E,
}

/// A folder with the settings of an experiment and the results of its parts.
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Creates the folder, or opens one of the same experiment with the same settings. The number of seeds may
    /// differ: the parts of further seeds join those that are there.
    pub fn open(dir: &Path, experiment: &str, settings: &impl Serialize) -> Result<Self> {
        let settings = Settings { experiment, settings };
        let text = toml::to_string(&settings).expect("settings are plain values");
        let path = dir.join("settings.toml");
        match read(&path)? {
            Some(found) => {
                let damaged =
                    |error: &dyn ToString| ExperimentError::damaged(&path, error.to_string());
                let found = String::from_utf8(found).map_err(|error| damaged(&error))?;
                let difference =
                    difference(&found, &text).map_err(|error| damaged(&error.message()))?;
                if let Some(difference) = difference {
                    return Err(ExperimentError::OtherSettings { path: dir.into(), difference });
                }
                if found != text {
                    write(&path, text.as_bytes())?;
                }
            }
            None => {
                let parts = dir.join("cells");
                std::fs::create_dir_all(&parts).map_err(ExperimentError::io(&parts))?;
                write(&path, text.as_bytes())?;
            }
        }
        Ok(Self { dir: dir.into() })
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, part: &str, ending: &str) -> PathBuf {
        // Names of gradients hold characters that some file systems do not allow.
        let name: String = part.chars().map(|c| if ":/ ".contains(c) { '-' } else { c }).collect();
        self.dir.join("cells").join(name + ending)
    }

    /// The folder of the files that continue a part.
    pub fn state(&self, part: &str) -> PathBuf {
        self.path(part, ".state")
    }

    /// The results of a part, if there are any.
    pub fn read(&self, part: &str) -> Result<Option<Measurements>> {
        let path = self.path(part, ".json");
        let parse = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes).map_err(|error| ExperimentError::damaged(&path, error))
        };
        read(&path)?.map(parse).transpose()
    }

    /// Writes the results of a part, and removes the files that continue it.
    pub fn write(&self, part: &str, measured: &Measurements) -> Result<()> {
        let json = serde_json::to_vec(measured).expect("measurements are plain values");
        let path = self.path(part, ".json");
        std::fs::create_dir_all(self.dir.join("cells")).map_err(ExperimentError::io(&path))?;
        write(&path, &json)?;
        let state = self.state(part);
        match std::fs::remove_dir_all(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ExperimentError::io(&state)(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a table as a CSV file.
    pub fn write_table(&self, table: &Table) -> Result<()> {
        write(&self.dir.join(format!("{}.csv", table.name)), &csv(table))
    }

    /// Writes a chart as an SVG and as a PNG file.
    pub fn write_chart(&self, chart: &Chart) -> Result<()> {
        let (svg, png) = chart.draw()?;
        write(&self.dir.join(format!("{}.svg", chart.name)), svg.as_bytes())?;
        write(&self.dir.join(format!("{}.png", chart.name)), &png)
    }

    /// Writes `summary.md` and `summary.json`.
    pub fn write_summary(&self, summary: &Summary) -> Result<()> {
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

/// The first setting that differs, if there is one.
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
