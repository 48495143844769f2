//! The atoms of a file for a dictionary that is known.

use std::path::Path;

use pudle_core::DictionaryConfig;

use super::file::ArrayFile;
use super::layout::{Axes, arranged, axes};
use super::sae;
use crate::error::{Result, TrainError};
use crate::frame::Bank;

/// Reads atoms for a dictionary of this kind: each as a list of numbers in the order of the dictionary's, at most as many
/// as it has. They are used as they are, without projection. The second value has a line for each thing that was found out.
///
/// # Errors
/// Returns an error if the file cannot be read, holds no array that fits, or has more atoms.
pub(crate) fn read_atoms(
    path: &Path,
    tensor: Option<&str>,
    dictionary: &DictionaryConfig,
) -> Result<(Vec<Vec<f32>>, Vec<String>)> {
    if path.is_dir() && !sae::is_folder(path) {
        let reason = "is a folder, but atoms are read from a file";
        return Err(TrainError::weights(path, reason));
    }
    let (array, notes) = match sae::is_folder(path) {
        true => (sae_atoms(path)?, Vec::new()),
        false => {
            let mut file = ArrayFile::open(path)?;
            let name = file.choose(tensor)?;
            let array = file.read(&name)?;
            // The known shape decides before norms do.
            let fits: Vec<Axes> = Axes::candidates(&array.shape)
                .into_iter()
                .filter(|axes| axes.atoms_of(&array.shape, dictionary).is_some())
                .collect();
            let (axes, note) = match fits[..] {
                [] => return Err(unfit(path, &name, &array.shape, dictionary)),
                [only] => (only, None),
                _ => axes(&array, None, path)?,
            };
            let (array, _) = arranged(array, axes, dictionary.stride(), path)?;
            (array, note.into_iter().collect())
        }
    };
    let axis = if matches!(dictionary, DictionaryConfig::Dense(_)) { 1 } else { 0 };
    let (mut values, name) = (array.values, array.name);
    let mut shape = array.shape;
    let (found, wanted) = (shape[axis], dictionary.atoms());
    if found > wanted {
        let reason = format!("{name:?} has {found} atoms, but the model has {wanted}");
        return Err(TrainError::weights(path, reason));
    }
    let bank = Bank { values: &mut values, shape: &shape, axis };
    let atoms: Vec<Vec<f32>> = (0..found).map(|atom| bank.atom(atom)).collect();
    shape[axis] = wanted;
    if shape != dictionary.shape() {
        return Err(unfit(path, &name, &shape, dictionary));
    }
    if atoms.iter().all(|atom| atom.iter().all(|value| *value == 0.0)) {
        return Err(TrainError::weights(path, format!("{name:?} holds no number but zero")));
    }
    Ok((atoms, notes))
}

/// The dictionary of the folder of a sparse autoencoder.
fn sae_atoms(path: &Path) -> Result<super::array::Array> {
    let device = pudle_core::Backend::default().device()?;
    let (checkpoint, _) = sae::import(path, &device)?;
    let shape = checkpoint.config.dictionary.shape();
    Ok(super::array::Array { name: "W_dec".into(), shape, values: checkpoint.model.atoms() })
}

fn unfit(path: &Path, name: &str, shape: &[usize], dictionary: &DictionaryConfig) -> TrainError {
    let reason = format!(
        "{name:?} has shape {shape:?}, but atoms of the model have shape {:?} ({})",
        dictionary.shape(),
        dictionary.axes()
    );
    TrainError::weights(path, reason)
}
