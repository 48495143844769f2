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
