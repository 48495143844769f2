//! Reading and writing the file of a run.

use std::path::Path;

use super::run::RunConfig;
use crate::error::{Result, TrainError};
use crate::files::write_whole;

impl RunConfig {
    /// Reads a TOML file. Its values are not [validated](Self::validate) yet.
    ///
    /// # Errors
    /// Returns an error with the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        Self::parse(&text, path)
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
        table
            .try_into()
            .map_err(|error: toml::de::Error| failed(error.message().replace('\n', " ")))
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
        let text = toml::to_string(self).map_err(|error| TrainError::ConfigFile {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
        write_whole(path, text.as_bytes())
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
