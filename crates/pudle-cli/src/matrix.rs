//! Flags of `pudle train` for a matrix of one's own.

use std::io::Read;
use std::path::Path;

use pudle_core::DictionaryConfig;
use pudle_data::{DataConfig, Matrix, Normalize, Opened};
use pudle_train::{
    LearningRateSchedule, OwnData, Preset, RunConfig, RunFigures, Sparsity, UpdateRule,
};

use crate::arguments::{parse_patch, words};
use crate::failure::Failure;
use crate::recording::write_onsets;
use crate::terminal::say;

const HEADING: &str = "Vectors (docs/own-data.md)";

/// The settings that the user gives, which the data do not change.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub file: bool,
    pub lambda: bool,
    pub update: bool,
    pub learning_rate: bool,
    pub schedule: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = HEADING)]
pub struct MatrixArgs {
    /// Name of the array in an .npz or .safetensors file. Needed if the file has several.
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    tensor: Option<String>,
    /// The columns of the matrix are the data, not its rows.
    #[arg(long, conflicts_with = "resume")]
    columns: bool,
    /// Take all patches of this height and width of the pictures in the folder of --data, in grey and less their mean, as
    /// vectors.
    #[arg(long, value_name = "HxW", value_parser = parse_patch, conflicts_with = "resume")]
    patches: Option<[usize; 2]>,
    /// Normalisation: none; center (the mean of each column is subtracted), scale (each column is divided by its standard
    /// deviation), center+scale; or unit (each datum is divided by its norm). It is part of the checkpoint.
    #[arg(long, value_name = "N", value_parser = words::<Normalize>(), conflicts_with = "resume")]
    normalize: Option<Normalize>,
    /// Number of atoms [default for a matrix: 4 for each number of a datum, at most 1024].
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    atoms: Option<usize>,
    /// Number of unrolled layers.
    #[arg(long, value_name = "T", conflicts_with = "resume")]
    layers: Option<usize>,
    /// Find the λ at which this share of the codes is not zero [default for a matrix: 5%, but at most a quarter as many as a
    /// datum has numbers].
    #[arg(long, value_name = "P%", value_parser = parse_share, allow_negative_numbers = true,
          conflicts_with_all = ["lambda", "resume"])]
    target_active: Option<f64>,
    /// Find the λ at which a code has this number of non-zeros on average.
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          conflicts_with_all = ["target_active", "lambda", "resume"])]
    target_nonzeros: Option<f64>,
    /// Share of the rows that is held out of training for validation [default for a matrix: 10%].
    #[arg(long, value_name = "P%", value_parser = parse_share, allow_negative_numbers = true, conflicts_with = "resume")]
    validation: Option<f64>,
    /// End the training after N validations without a smaller loss, with the weights of the smallest one.
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    patience: Option<u64>,
}

impl MatrixArgs {
    /// The number of atoms, if it is given.
    pub fn atoms(&self) -> Option<usize> {
        self.atoms
    }

    /// Whether a share of the data for validation is given.
    pub fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    /// Whether pictures are to give patches.
    pub fn wants_patches(&self) -> bool {
        self.patches.is_some()
    }

    /// The target of the sparsity, if there is one.
    fn target(&self) -> Option<Sparsity> {
        let active = self.target_active.map(Sparsity::Active);
        active.or(self.target_nonzeros.map(Sparsity::Nonzeros))
    }

    /// Overrides the settings by the flags, but for what depends on the matrix.
    pub fn apply(&self, config: &mut RunConfig, has_file: bool) -> Result<(), Failure> {
        let kind = config.data.kind();
        let training = &mut config.training;
        if let Some(patience) = self.patience {
            training.patience = Some(patience);
            training.checkpoint_every = training.valid_every;
            // The checkpoint of the smallest loss is among these.
            training.keep = training.keep.max(patience.saturating_add(2).min(1000) as usize);
        }
        config.model.layers = self.layers.unwrap_or(config.model.layers);
        match &mut config.data {
            DataConfig::Matrix(settings) => {
                if settings.path.as_os_str().is_empty() {
                    return Err("a matrix is needed: name its file with --data".into());
                }
                settings.tensor = self.tensor.clone().or(settings.tensor.take());
                settings.columns |= self.columns;
                settings.patches = self.patches.or(settings.patches);
                settings.normalize = self.normalize.unwrap_or(settings.normalize);
                settings.validation = self.validation.unwrap_or(settings.validation);
            }
            DataConfig::Recordings(settings) => {
                settings.tensor = self.tensor.clone().or(settings.tensor.take());
                settings.validation = self.validation.unwrap_or(settings.validation);
                self.refuse(kind, true)?;
            }
            _ => self.refuse(kind, false)?,
        }
        // Those of a matrix or a recording are set when its width is known.
        let known = !matches!(config.data, DataConfig::Matrix(_) | DataConfig::Recordings(_));
        if let Some(atoms) = self.atoms
            && (has_file || known)
        {
            set_atoms(config, atoms);
        }
        Ok(())
    }

    /// An error if a flag is given that only a matrix has, or a matrix and a recording.
    fn refuse(&self, kind: &str, recording: bool) -> Result<(), Failure> {
        let flags = [
            ("--tensor", self.tensor.is_some() && !recording),
            ("--columns", self.columns),
            ("--patches", self.patches.is_some()),
            ("--normalize", self.normalize.is_some()),
            ("--target-active", self.target_active.is_some()),
            ("--target-nonzeros", self.target_nonzeros.is_some()),
            ("--validation", self.validation.is_some() && !recording),
        ];
        match flags.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(format!("{flag} is for the rows of a matrix, but the data are {kind}").into())
            }
            None => Ok(()),
        }
    }

    /// Opens the data if they are a matrix. Settings of a file are complete; otherwise the matrix gives the shape of the
    /// dictionary and `λ`, and lines say so.
    pub fn open(&self, config: &mut RunConfig, given: Given) -> Result<Option<Opened>, Failure> {
        if !matches!(config.data, DataConfig::Matrix(_)) {
            return Ok(None);
        }
        let data = OwnData::open(config)?;
        if !given.file {
            data.fit(config);
            choose_update(config, &data, given);
            if let Some(atoms) = self.atoms {
                set_atoms(config, atoms);
            }
        }
        let opened = data.batches(config)?;
        describe(config, &data);
        let usual =
            || (!given.file && !given.lambda).then(|| Sparsity::usual(&config.model.dictionary));
        if let Some(target) = self.target().or_else(usual) {
            let device = config.backend.device()?;
            let lambda = OwnData::find_lambda(config, &opened, target, &device)?;
            let atoms = config.model.dictionary.atoms();
            match target {
                Sparsity::Nonzeros(count) => {
                    say!("λ = {lambda}, at which a code has about {count:.1} non-zeros of {atoms}");
                }
                Sparsity::Active(share) => {
                    say!(
                        "λ = {lambda}, at which about {:.1}% of the codes are not zero",
                        100.0 * share
                    );
                }
            }
        }
        Ok(Some(opened))
    }
}

/// Chooses Adam where online dictionary learning cannot train, and says so; and the learning rate of other rules than the latter.
fn choose_update(config: &mut RunConfig, data: &OwnData, given: Given) {
    if !given.update
        && let Some(reason) = config.refuses_online()
    {
        config.training.update = UpdateRule::Adam;
        say!("{reason}, so the update is adam");
    }
    let training = &mut config.training;
    if training.update == UpdateRule::Online {
        return;
    }
    if !given.learning_rate {
        training.learning_rate = data.learning_rate();
    }
    if !given.schedule {
        training.schedule = LearningRateSchedule::Cosine;
    }
}

/// Says what is learned.
fn describe(config: &RunConfig, data: &OwnData) {
    let training = &config.training;
    let (rows, atoms) = (data.rows(), config.model.dictionary.atoms());
    let dim = config.model.dictionary.shape()[0];
    say!(
        "{rows} data of {dim} numbers, {atoms} atoms, {} layers, {} steps of {} data",
        config.model.layers,
        training.steps,
        training.batch
    );
}

fn set_atoms(config: &mut RunConfig, atoms: usize) {
    match &mut config.model.dictionary {
        DictionaryConfig::Dense(dense) => dense.atoms = atoms,
        DictionaryConfig::Conv1d(conv) | DictionaryConfig::Conv2d(conv) => conv.atoms = atoms,
    }
}

/// The preset for data of this kind. A line says which.
pub fn preset_for(data: &Path, patches: bool) -> Result<Preset, Failure> {
    let shown = data.display();
    let io = |error: std::io::Error| -> Failure { format!("{shown}: {error}").into() };
    let meta = std::fs::metadata(data).map_err(io)?;
    let (preset, kind) = if patches {
        (Preset::Vectors, "patches of pictures")
    } else if meta.is_dir() && !Matrix::is_at(data) {
        match holds_digits(data) {
            true => (Preset::Digits, "digits"),
            false => (Preset::Denoise, "pictures"),
        }
    } else if meta.is_file() && is_idx(data) {
        (Preset::Digits, "digits")
    } else if meta.is_file() && is_wav(data) {
        (Preset::Signals, "a recording")
    } else {
        (Preset::Vectors, "a matrix")
    };
    say!("{shown}: {kind}, so the preset is {preset}");
    Ok(preset)
}

/// Whether a folder has a file in the format IDX.
fn holds_digits(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.filter_map(Result::ok).any(|entry| is_idx(&entry.path()))
}

/// Whether a file is in the format IDX, or is compressed as such files are.
fn is_idx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut start = [0; 3];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && (start == [0, 0, 8] || start.starts_with(&[0x1f, 0x8b]) && name.contains("idx"))
}

/// Whether a file is a WAV file.
fn is_wav(path: &Path) -> bool {
    let mut start = [0; 12];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.starts_with(b"RIFF") && start.ends_with(b"WAVE")
}

/// Says how good the model of a run over a matrix is.
pub fn at_end(dir: &Path) -> Result<(), Failure> {
    let config = RunConfig::read(&dir.join("config.toml"))?;
    let data = match config.data {
        DataConfig::Matrix(_) => "rows",
        DataConfig::Recordings(_) => "windows",
        _ => return Ok(()),
    };
    let Some(figures) = RunFigures::read(dir)? else { return Ok(()) };
    let atoms = config.model.dictionary.atoms();
    let RunFigures { step, held_out, loss, fit, active } = figures;
    let whose = if held_out { format!("{data} held out") } else { format!("{data} of training") };
    if let DataConfig::Recordings(settings) = &config.data {
        let error = match config.model.observation.is_gaussian() {
            true => "squared error",
            false => "negative log-likelihood",
        };
        say!("{whose}, step {step}: objective {loss:.2}, of which {error} {fit:.2}");
        if settings.onsets.is_some() {
            return write_onsets(dir, &config);
        }
        say!(
            "its events: pudle events {} {} -o events.csv",
            dir.display(),
            settings.path.display()
        );
        return Ok(());
    }
    say!(
        "{whose}, step {step}: objective {loss:.5}, of which squared error {fit:.5}; {:.1} non-zeros of {atoms} ({:.1}%)",
        active * atoms as f64,
        100.0 * active
    );
    Ok(())
}

/// Parses a share: a number with %, or one from 0 to 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("\"{text}\": must be a share, 5% or 0.05 for example"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read() {
        for (text, share) in [("5%", 0.05), ("0.25", 0.25), ("0", 0.0), ("100%", 1.0), ("1", 1.0)] {
            assert_eq!(parse_share(text), Ok(share));
        }
        for text in ["5", "-1%", "many", "NaN", "%", "101%"] {
            assert!(parse_share(text).unwrap_err().contains(text));
        }
    }
}
