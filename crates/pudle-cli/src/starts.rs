//! Flags of `pudle train` for where atoms start, and what they may become.

use std::path::{Path, PathBuf};

use pudle_data::Missing;
use pudle_train::{Initialization, RunConfig, TrainError, shipped_names};

use crate::arguments::words;
use crate::failure::Failure;

#[derive(clap::Args)]
pub struct StartArgs {
    /// Where atoms start: random; data (atoms are data of unit norm); or FILE, a dictionary that `pudle import` reads, or a
    /// checkpoint. A file with fewer atoms gives the first ones.
    #[arg(long, value_name = "random|data|FILE", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// Name of the tensor in the file of --init. Needed if the file has several.
    #[arg(long, value_name = "NAME", requires = "init")]
    init_tensor: Option<String>,
    /// Never change the first N atoms.
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    fixed_atoms: Option<usize>,
    /// Start atoms that no datum uses again from the data that are reconstructed worst.
    #[arg(long, conflicts_with = "resume")]
    revive: bool,
    /// Keep the atoms at or above zero.
    #[arg(long, conflicts_with = "resume")]
    nonnegative: bool,
    /// What a number that is NaN means in a matrix: error, or nan for a number that is not known, which has no residual.
    #[arg(long, value_name = "M", value_parser = words::<Missing>(), conflicts_with = "resume")]
    missing: Option<Missing>,
}

impl StartArgs {
    /// Overrides the settings by the flags.
    pub fn apply(&self, config: &mut RunConfig) -> Result<(), Failure> {
        if let Some(init) = &self.init {
            config.training.initialization = initialization(init, self.init_tensor.clone())?;
        }
        let training = &mut config.training;
        training.fixed_atoms = self.fixed_atoms.unwrap_or(training.fixed_atoms);
        training.revive |= self.revive;
        config.model.nonnegative |= self.nonnegative;
        if let Some(missing) = self.missing {
            config.data.set_missing(missing)?;
        }
        Ok(())
    }
}

/// An error of a training, with a hint about the flag of the first atoms if it is about their file.
pub fn explained(error: TrainError) -> Failure {
    match error {
        TrainError::SeveralTensors { .. } => {
            format!("{error}; choose one with --init-tensor").into()
        }
        TrainError::Ambiguous { .. } => {
            format!("{error}; `pudle import` it first, and give the checkpoint to --init").into()
        }
        error => error.into(),
    }
}

/// What the word or path of `--init` means.
fn initialization(init: &Path, tensor: Option<String>) -> Result<Initialization, Failure> {
    let absolute = || init.canonicalize().unwrap_or_else(|_| init.to_path_buf());
    let shipped = shipped_names().any(|name| Path::new(name) == init);
    let start = match init.to_str() {
        Some("random") => Initialization::Random,
        Some("data") => Initialization::Data,
        _ if shipped => Initialization::Checkpoint { dir: init.to_path_buf() },
        _ if init.join("config.toml").exists() => Initialization::Checkpoint { dir: absolute() },
        _ => Initialization::File { path: absolute(), tensor: tensor.clone() },
    };
    match (tensor, &start) {
        (Some(_), Initialization::File { .. }) | (None, _) => Ok(start),
        (Some(_), _) => Err("--init-tensor is for a file of arrays in --init".into()),
    }
}
