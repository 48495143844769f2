//! Checkpoints by name or by directory.

use std::path::Path;

use burn::tensor::Device;

use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::error::Result;
use crate::shipped::shipped;

impl Checkpoint {
    /// The shipped checkpoint of this name, or that of a directory.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn load(name_or_dir: &Path, device: &Device) -> Result<Self> {
        match shipped(name_or_dir) {
            Some(shipped) => {
                Self::from_parts(shipped.config, shipped.weights, shipped.name, device)
            }
            None => Self::read(name_or_dir, device),
        }
    }
}

impl RunConfig {
    /// The settings of the run that trained the shipped checkpoint of this name, or that of a directory.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn load(name_or_dir: &Path) -> Result<Self> {
        match shipped(name_or_dir) {
            Some(shipped) => Self::parse(shipped.config, name_or_dir),
            None => Self::read(&name_or_dir.join("config.toml")),
        }
    }

    /// Does the same as [`load`](Self::load). `None` if the checkpoint is that of no run, because it was imported.
    ///
    /// # Errors
    /// Returns the errors of `load`.
    pub fn load_run(name_or_dir: &Path) -> Result<Option<Self>> {
        let path = name_or_dir.join("config.toml");
        // The file of an imported checkpoint has the model, and of the data no more than their noise.
        let bare = |text: String| {
            let table: toml::Table = text.parse().ok()?;
            let kind = table.get("data").and_then(|data| data.get("kind"));
            Some(kind.is_none() && table.contains_key("model") && !table.contains_key("training"))
        };
        let imported = shipped(name_or_dir).is_none()
            && std::fs::read_to_string(path).ok().and_then(bare).unwrap_or(false);
        if imported { Ok(None) } else { Self::load(name_or_dir).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::shipped_names;

    #[test]
    fn shipped_names_mean_shipped_checkpoints() {
        let device = Device::flex();
        for name in shipped_names() {
            Checkpoint::load(Path::new(name), &device).unwrap();
            RunConfig::load(Path::new(name)).unwrap();
            let folder = Path::new(".").join(name);
            assert!(Checkpoint::load(&folder, &device).is_err(), "{}", folder.display());
        }
    }
}
