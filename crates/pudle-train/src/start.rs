//! The initial weights of a model.

use std::path::Path;

use burn::tensor::{Device, TensorData};
use pudle_core::{
    Configured, Constraint, ConvConfig, DictionaryConfig, Proximal, Pudle, PudleConfig,
};
use pudle_data::{Opened, RecordingWindows};

use crate::checkpoint::Checkpoint;
use crate::config::{Initialization, RunConfig};
use crate::error::{Result, TrainError};
use crate::frame::{Bank, negative_atoms};
use crate::import::read_atoms;
use crate::signals::onset_fit::OnsetFit;
use crate::signals::pilot::Pilot;
use crate::signals::refine::Rule;
use crate::signals::shape::AtomForm;
use crate::signals::snippets::unit;
use crate::start_data::atoms_from_data;

/// The smallest event, in standard deviations of the noise, that the first atoms of a recording are made of.
const LEAST_EVENT: f32 = 3.5;

/// Checks the file or checkpoint from which a run starts.
///
/// # Errors
/// Returns an error if it cannot be read or does not fit the settings, or if an atom that never changes has numbers below zero
/// in a non-negative dictionary.
pub(crate) fn check_start(config: &RunConfig, device: &Device) -> Result<()> {
    match &config.training.initialization {
        Initialization::Checkpoint { dir } => Checkpoint::load(dir, device).map(drop),
        Initialization::File { path, tensor } => {
            let (atoms, _) = read_atoms(path, tensor.as_deref(), &config.model.dictionary)?;
            let mut fixed = atoms.iter().take(config.training.fixed_atoms);
            match fixed.position(|atom| atom.iter().any(|value| *value < 0.0)) {
                Some(atom) if config.model.nonnegative => {
                    let reason = format!(
                        "atom {atom} (from 0) has numbers below zero, but it never changes and the dictionary is non-negative"
                    );
                    Err(TrainError::weights(path, reason))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The model of a run before its first step. A run that goes on loads its weights from its own checkpoint afterwards.
///
/// # Errors
/// Returns an error if a file or data cannot be read, or do not fit the settings.
pub(crate) fn initial_model<const D: usize, A: Configured<D>>(
    config: &RunConfig,
    data: &Opened,
    resumes: bool,
    device: &Device,
) -> Result<Pudle<D, A>> {
    let (model, seed) = (&config.model, config.seed);
    let random = || Ok(Pudle::new(model, seed, device)?);
    match (&config.training.initialization, data.dictionary.as_ref()) {
        (Initialization::Perturbed { sd }, Some(truth)) => {
            let values = truth.perturbed(*sd, seed).values().to_vec();
            let atoms = TensorData::new(values, model.dictionary.shape());
            Ok(Pudle::from_data(model, atoms, device)?)
        }
        // A resumed run starts from its own checkpoint instead.
        _ if resumes => random(),
        (Initialization::Checkpoint { dir }, _) => start_from(model, seed, dir, device),
        (Initialization::Data, _) => {
            let atoms = match &data.recording {
                Some(windows) => recording_atoms(windows, model, config.training.smooth, seed)?,
                None => atoms_from_data(&*data.training, model, seed)?,
            };
            let (found, wanted) = (atoms.len(), model.dictionary.atoms());
            if found < wanted {
                log::warn!(
                    "the data give {found} different atoms: the other {} start at random",
                    wanted - found
                );
            }
            with_atoms(random()?, &atoms)
        }
        (Initialization::File { path, tensor }, _) => {
            let (atoms, notes) = read_atoms(path, tensor.as_deref(), &model.dictionary)?;
            notes.iter().for_each(|note| log::warn!("{}: {note}", path.display()));
            let (found, wanted) = (atoms.len(), model.dictionary.atoms());
            if found < wanted {
                let rest = wanted - found;
                log::warn!(
                    "{}: has {found} atoms, which are the first ones: the other {rest} start at random",
                    path.display()
                );
            }
            Ok(constrained(with_atoms(random()?, &atoms)?, config, path))
        }
        _ => random(),
    }
}

/// The first atoms of a run over a recording, see [`Pilot`]; with known onsets, see [`OnsetFit`]. `smooth` is the weight of the
/// penalty on second differences.
///
/// # Errors
/// Returns an error if samples cannot be read, or if the recording has too few events.
pub(crate) fn recording_atoms(
    windows: &RecordingWindows,
    model: &PudleConfig,
    smooth: f64,
    seed: u64,
) -> Result<Vec<Vec<f32>>> {
    let DictionaryConfig::Conv1d(filters) = model.dictionary else {
        return Err(TrainError::range("model.dictionary.kind", model.dictionary.kind(), "conv1d"));
    };
    let ConvConfig { atoms, channels, size: taps, .. } = filters;
    let form = AtomForm { rank_one: model.rank_one, smooth };
    if windows.onsets().is_some() {
        let fit = OnsetFit::read(windows, model.observation, [atoms, taps])?;
        let kernels: Vec<f32> = fit.kernels(smooth).values.iter().map(|v| *v as f32).collect();
        let form = AtomForm { smooth: 0.0, ..form };
        let atoms = kernels.chunks_exact(channels * taps).map(|kernel| {
            unit(form.of(kernel.to_vec(), channels, 1)).unwrap_or_else(|| kernel.to_vec())
        });
        return Ok(atoms.collect());
    }
    let stretches = Pilot::read(windows, taps)?;
    let least = (model.threshold.lambda() as f32).max(LEAST_EVENT);
    let rule = Rule { least, signed: model.prox != Proximal::Relu };
    Pilot { stretches: &stretches, channels, atoms, taps, rule, form, seed }.run()
}

/// The model with these atoms as its first ones, in every bank.
///
/// # Errors
/// Returns an error if a value is not finite.
pub(crate) fn with_atoms<const D: usize, A: Configured<D>>(
    model: Pudle<D, A>,
    atoms: &[Vec<f32>],
) -> Result<Pudle<D, A>> {
    let numbers: Vec<usize> = (0..atoms.len()).collect();
    let weights = model.weights().into_iter().map(|weight| {
        let shape = weight.values.shape().to_vec();
        let mut values = weight.to_vec();
        if weight.path.ends_with(".atoms") {
            let mut bank = Bank { values: &mut values, shape: &shape, axis: A::ATOM_AXIS };
            bank.replace(&numbers, atoms);
        }
        if weight.constraint == Constraint::NonNegative {
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        (weight.path, TensorData::new(values, shape))
    });
    let weights: Vec<_> = weights.collect();
    model.with_weights(weights).map_err(|error| TrainError::Unsuitable(error.to_string()))
}

/// The model with its atoms on their constraint, but for those that never change. A line says if atoms of the file have
/// numbers below zero and must not.
fn constrained<const D: usize, A: Configured<D>>(
    model: Pudle<D, A>,
    config: &RunConfig,
    path: &Path,
) -> Pudle<D, A> {
    let negative = negative_atoms(&model.weights()).len();
    if negative > 0 {
        log::warn!("{}: numbers below zero in {negative} atoms become zero", path.display());
    }
    let before = model.clone();
    model.project().with_first_atoms_of(&before, config.training.fixed_atoms)
}

/// A model with these settings, initialised with those weights of the checkpoint in `dir` that it shares; see
/// [`Pudle::start_from`]. The other weights are drawn from `seed`.
///
/// # Errors
/// Returns an error if the checkpoint cannot be read, or if its atoms do not fit the settings.
fn start_from<const D: usize, A: Configured<D>>(
    config: &PudleConfig,
    seed: u64,
    dir: &Path,
    device: &Device,
) -> Result<Pudle<D, A>> {
    let checkpoint = Checkpoint::load(dir, device)?;
    Pudle::new(config, seed, device)?
        .start_from(&checkpoint.config, &checkpoint.model.weights())
        .map_err(|error| TrainError::Unsuitable(format!("{}: {error}", dir.display())))
}
