//! `record.toml`: what a run was really trained with. It is compared when the run goes on.

use std::collections::BTreeMap;
use std::path::Path;

use pudle_data::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::files::write_whole;

const FILE: &str = "record.toml";

/// Settings that may change while a run goes on. They change when something is done, where data lie or how something is
/// computed, but not what is trained.
const FREE: [&str; 14] = [
    "backend",
    "data.cached_images",
    "data.dir",
    "data.path",
    "data.valid",
    "model.kernels",
    "model.recompute",
    "training.ahead",
    "training.checkpoint_every",
    "training.keep",
    "training.patience",
    "training.steps",
    "training.stopped_at",
    "training.valid_every",
];

/// The settings and the data of a run, as the program last used them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The data, if they are files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Fingerprint>,
    /// The settings.
    pub settings: RunConfig,
}

impl Record {
    /// The record of a run directory, or `None` for a run of an older version.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or is damaged.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(
                toml::from_str(&text).map_err(|error| TrainError::toml(&path, &text, &error))?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TrainError::io(&path)(error)),
        }
    }

    /// Writes the record into a run directory.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let text = toml::to_string(self).map_err(|error| TrainError::ConfigFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        write_whole(&path, text.as_bytes())
    }

    /// Checks that `settings` continue this run.
    ///
    /// # Errors
    /// Returns an error that lists the settings that differ.
    pub fn check_settings(&self, settings: &RunConfig, dir: &Path) -> Result<()> {
        let (then, now) = (flat(&self.settings), flat(settings));
        let keys: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "not set".into());
        let differences: Vec<String> = keys
            .into_iter()
            .filter(|key| !FREE.contains(&key.as_str()) && !key.starts_with("versions."))
            .filter(|key| then.get(*key) != now.get(*key))
            .map(|key| {
                format!("`{key}` was {}, and is {}", shown(then.get(key)), shown(now.get(key)))
            })
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(TrainError::OtherSettings {
            dir: dir.to_path_buf(),
            differences: differences.join("; "),
        })
    }

    /// Says in a line if the data are not those of the run.
    pub fn compare_data(&self, now: Option<&Fingerprint>, dir: &Path) {
        if let (Some(then), Some(now)) = (&self.data, now)
            && then != now
        {
            log::warn!(
                "{}: the data are not those that the run was trained on: {then} then, {now} now",
                dir.display()
            );
        }
    }
}

/// Says in a line if the data of `config` are not those that the run in `dir` was trained on. Directories without a record
/// and data that are drawn are never different.
///
/// # Errors
/// Returns an error if the record is damaged, or if the data cannot be opened.
pub fn compare_data(dir: &Path, config: &RunConfig) -> Result<()> {
    if let Some(record) = Record::read(dir)?.filter(|record| record.data.is_some()) {
        record.compare_data(config.open_data()?.fingerprint.as_ref(), dir);
    }
    Ok(())
}

/// All settings with their paths, as text.
fn flat(settings: &RunConfig) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(table) = toml::Table::try_from(settings) {
        flatten("", &toml::Value::Table(table), &mut flat);
    }
    flat
}

fn flatten(path: &str, value: &toml::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        value => {
            flat.insert(path.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    #[test]
    fn settings_of_the_result_may_not_change() {
        let settings = Preset::Denoise.config();
        let record = Record { data: None, settings: settings.clone() };
        let dir = Path::new("run");
        let mut longer = settings.clone();
        longer.training.steps += 1;
        longer.model.recompute = true;
        record.check_settings(&longer, dir).unwrap();
        let mut other = settings;
        other.seed = 9;
        other.model = other.model.with_lambda(0.5);
        let error = record.check_settings(&other, dir).unwrap_err().to_string();
        for word in ["`seed` was 0, and is 9", "`model.threshold.lambda`", "0.5", "run"] {
            assert!(error.contains(word), "{error}");
        }
        assert!(!error.contains("steps"), "{error}");
    }

    #[test]
    fn a_record_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let data = Some(Fingerprint { files: 2, bytes: 30, digest: "ab".into() });
        let record = Record { data, settings: Preset::Digits.config() };
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), Some(record));
    }
}
