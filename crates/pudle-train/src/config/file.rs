//! Reading and writing the file of a run.

use std::path::{Path, PathBuf};

use super::run::RunConfig;
use super::training::Initialization;
use crate::error::{Result, TrainError};
use crate::files::write_whole;
use crate::shipped::shipped_names;

impl RunConfig {
    /// Reads a TOML file. Its values are not [validated](Self::validate) yet.
    ///
    /// # Errors
    /// Returns an error with the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Ok(Self::parse(&text, path)?.with_paths_from(path))
    }

    /// The same settings with the paths of a file, which are relative to its folder. A path that does not exist there, but
    /// does in the working directory, is that one, as in older versions.
    fn with_paths_from(mut self, file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        for path in self.paths_mut() {
            let beside = folder.join(&*path);
            if beside.exists() || !path.exists() {
                *path = beside;
            }
        }
        self
    }

    /// The same settings with absolute paths, which mean the same in any folder.
    pub(crate) fn with_absolute_paths(mut self) -> Self {
        for path in self.paths_mut() {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        self
    }

    /// All paths in the settings. The name of a shipped checkpoint is no path.
    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = self.data.paths_mut();
        match &mut self.training.initialization {
            Initialization::Checkpoint { dir }
                if !shipped_names().any(|name| Path::new(name) == dir) =>
            {
                paths.push(dir);
            }
            Initialization::File { path, .. } => paths.push(path),
            _ => {}
        }
        paths.retain(|path| !path.as_os_str().is_empty());
        paths
    }

    /// Reads a text. Errors name `path` as its file.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))
    }

    /// Reads a TOML file whose keys replace those of this configuration. A section with another `kind` replaces the
    /// whole section. The result is not [validated](Self::validate) yet.
    ///
    /// # Errors
    /// Returns an error with the file and what is wrong in it.
    pub fn overlaid(self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let over: toml::Table =
            toml::from_str(&text).map_err(|error| TrainError::toml(path, &text, &error))?;
        let failed = |reason: String| TrainError::ConfigFile { path: path.to_path_buf(), reason };
        let mut table = toml::Table::try_from(&self).map_err(|error| failed(error.to_string()))?;
        overlay(&mut table, over);
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| failed(error.message().replace('\n', " ")))?;
        Ok(config.with_paths_from(path))
    }

    /// Checks every field, as [`validate`](Self::validate) does. Errors name `path` as the file of the settings.
    ///
    /// # Errors
    /// Those of `validate`.
    pub fn validate_from(&self, path: &Path) -> Result<()> {
        self.validate().map_err(|source| TrainError::InFile {
            path: path.to_path_buf(),
            source: Box::new(source),
        })
    }

    /// Writes the TOML file, completely or not at all.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, self.to_text()?.as_bytes())
    }

    /// The text of the TOML file.
    ///
    /// # Errors
    /// Returns an error if a path is not UTF-8, which TOML cannot hold.
    pub(crate) fn to_text(&self) -> Result<String> {
        let mut copy = self.clone();
        if let Some(path) = copy.paths_mut().into_iter().find(|path| path.to_str().is_none()) {
            return Err(TrainError::Unsuitable(format!(
                "{}: the name is not UTF-8, which the file of the settings cannot hold; use a link with another name",
                path.display()
            )));
        }
        toml::to_string(self).map_err(|error| TrainError::Unsuitable(error.to_string()))
    }
}

fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over))
                if over.get("kind").is_none_or(|kind| base.get("kind") == Some(kind)) =>
            {
                overlay(base, over);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::preset::Preset;
    use super::*;
    use pudle_data::DataConfig;

    #[test]
    fn a_file_lies_over_a_preset() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[model]\nlayers = 4\n[model.threshold]\nlambda = 0.5\n\
                    [data]\nkind = \"photographs\"\ndir = \"x\"\ncrop = 33\nsigma = 10\n\
                    flips = false\n";
        std::fs::write(file.path(), text).unwrap();
        let config = Preset::Denoise.config().overlaid(file.path()).unwrap();
        assert_eq!(config.model, Preset::Denoise.config().model.with_layers(4).with_lambda(0.5));
        assert!(
            matches!(config.data, DataConfig::Photographs(photographs) if photographs.crop == 33)
        );
        assert_eq!(config.training, Preset::Denoise.config().training);
        for (text, word) in [("[model]\nlayrs = 4", "layrs"), ("[model]\nlayers = 0", "0")] {
            std::fs::write(file.path(), text).unwrap();
            let config = Preset::Dense.config().overlaid(file.path());
            let error = config.and_then(|config| config.validate_from(file.path())).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(word), "{error}");
            assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn presets_are_valid_and_round_trip() {
        for preset in Preset::ALL {
            let config = preset.config();
            config.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<RunConfig>(&text).unwrap(), config);
        }
    }
}
