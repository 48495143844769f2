//! Import of dictionaries and networks from other programs.

mod array;
mod atoms;
mod burnpack;
mod file;
mod layout;
mod levels;
mod npy;
mod npz;
mod pytorch;
mod sae;
mod safetensors;
mod sniff;

use std::path::Path;

use burn::tensor::{Device, TensorData};
use pudle_core::{AnyPudle, DictionaryConfig, PudleConfig, WeightTying};
use pudle_data::{Normalization, Sigma};

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::frame::negative_atoms;
use crate::network_file::NetworkFile;
use crate::sigma::check_sigma;
use crate::stability::step_above_bound;
use crate::weights_file::array_name;
pub(crate) use npz::archive_text;

use array::Array;
pub(crate) use atoms::read_atoms;
use file::ArrayFile;
use layout::{Axes, about_norms, arranged, axes};
use levels::Levels;

/// What to import from a file, and how the network runs.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions<'a> {
    /// Name of the dictionary's tensor: the atoms of the layers' synthesis. Needed if the file has more than one tensor.
    pub tensor: Option<&'a str>,
    /// Name of the tensor of the layers' analysis, if it has atoms of its own.
    pub analysis: Option<&'a str>,
    /// Name of the tensor of the decoder, if it has atoms of its own.
    pub decoder: Option<&'a str>,
    /// Name of the tensor of thresholds: the levels `θ` of the operator, one number, one for each atom, or one for each
    /// layer and atom.
    pub thresholds: Option<&'a str>,
    /// Whether the axes are turned: `p×m`, `k×k×p` or `k×k×C×p` (`true`), or `m×p`, `p×C×k` or `p×C×k×k` (`false`). If it is
    /// not given, atoms are found by their norm of 1.
    pub transpose: Option<bool>,
    /// Stride of the filters in samples, from 1 to their size. Needed for filters, not allowed for a matrix.
    pub stride: Option<usize>,
    /// The other settings of the model. Their dictionary settings, tying, and thresholds of the file replace those
    /// given here. Needed if the file does not describe its network, and not allowed if it does.
    pub settings: Option<PudleConfig>,
    /// Standard deviation of the noise that the dictionary was trained for, on the scale 0 … 255, if it is known.
    pub sigma: Option<f32>,
}

impl ImportOptions<'_> {
    /// Whether the options say anything that a file which describes its network says, too.
    fn describe_network(&self) -> bool {
        let names = [self.tensor, self.analysis, self.decoder, self.thresholds];
        names.iter().any(Option::is_some)
            || self.transpose.is_some()
            || self.stride.is_some()
            || self.settings.is_some()
            || self.sigma.is_some()
    }
}

/// A checkpoint made of a file, and what its user should know about how the file was read: a line each.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// What was found out or decided.
    pub notes: Vec<String>,
}

/// Reads a dictionary or a network from a file: `.npy`, `.npz`, safetensors, burnpack, or a state dict of PyTorch, of f16,
/// bf16, f32 or f64. A dictionary is a matrix `m×p` or `p×m`, filters along a signal `p×C×k`, or filters over images
/// `p×C×k×k`, `k×k×p` or `k×k×C×p`. The atoms are used as they are, without projection. A file of
/// [`Checkpoint::export`] describes its network itself. So does the folder of a sparse autoencoder with a ReLU.
///
/// # Errors
/// Returns an error if the file, its tensors or the settings do not describe a network. The error names the file, and
/// says what it is.
pub fn import_dictionary(
    path: &Path,
    options: &ImportOptions<'_>,
    device: &Device,
) -> Result<Imported> {
    if let Some(sigma) = options.sigma {
        check_sigma("sigma", sigma)?;
    }
    if sae::is_folder(path) {
        if options.describe_network() {
            let reason = "describes its network itself; no other settings are used";
            return Err(TrainError::weights(path, reason));
        }
        let (checkpoint, notes) = sae::import(path, device)?;
        return Ok(Imported { checkpoint, notes });
    }
    let mut file = ArrayFile::open(path)?;
    match (file.network()?, &options.settings) {
        (Some(network), _) if !options.describe_network() => described(&mut file, network, device),
        (Some(_), None) => {
            let reason =
                "describes its network itself: other settings are only used if they are complete";
            Err(TrainError::weights(path, reason))
        }
        (None, None) => Err(TrainError::NoSettings(path.to_path_buf())),
        (_, Some(settings)) => assembled(&mut file, options, settings, device),
    }
}

/// The checkpoint of a file that describes its network.
fn described(file: &mut ArrayFile, network: NetworkFile, device: &Device) -> Result<Imported> {
    // A small file must not cost the memory that its description claims.
    if let Ok(name) = file.choose(None) {
        let (found, claimed) = (file.read(&name)?.values.len(), network.model.dictionary.shape());
        if found != claimed.iter().product::<usize>() {
            let reason =
                format!("{name:?} has {found} numbers, but the description asks for {claimed:?}");
            return Err(TrainError::weights(file.path(), reason));
        }
    }
    let model = AnyPudle::new(&network.model, 0, device)?;
    let mut values = Vec::new();
    for weight in model.weights() {
        let known = |name: &str| file.names().iter().any(|known| known == name);
        let name = [weight.path.as_str(), array_name(&weight)].into_iter().find(|name| known(name));
        let name = name.unwrap_or(&weight.path).to_owned();
        let array = file.read(&name)?;
        let shape = weight.values.shape().to_vec();
        let squeezed = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|axis| *axis != 1).collect()
        };
        if squeezed(&array.shape) != squeezed(&shape) {
            let reason = format!(
                "{name:?} has shape {:?}, but the description asks for {shape:?}",
                array.shape
            );
            return Err(TrainError::weights(file.path(), reason));
        }
        values.push((weight.path, TensorData::new(array.values, shape)));
    }
    let model = with_weights(model, values, file.path())?;
    let checkpoint = Checkpoint {
        config: network.model,
        model,
        sigma: network.sigma,
        normalization: network.normalization,
    };
    let mut notes = vec![format!("{} describes its network itself", file.path().display())];
    let negative = negative_atoms(&checkpoint.model.weights()).len();
    if negative > 0 {
        notes.push(format!(
            "{negative} atoms have numbers below zero although the dictionary is non-negative, and are used as they are"
        ));
    }
    Ok(Imported { checkpoint, notes })
}

fn with_weights(
    model: AnyPudle,
    values: Vec<(String, TensorData)>,
    path: &Path,
) -> Result<AnyPudle> {
    model.with_weights(values).map_err(|error| TrainError::weights(path, error))
}

/// The checkpoint of the tensors that the options name.
fn assembled(
    file: &mut ArrayFile,
    options: &ImportOptions<'_>,
    settings: &PudleConfig,
    device: &Device,
) -> Result<Imported> {
    let name = file.choose(options.tensor)?;
    let array = file.read(&name)?;
    let (found, note) = axes(&array, options.transpose, file.path())?;
    let mut notes: Vec<String> = note.into_iter().collect();
    notes.extend(about_norms(&array, found, file.path())?);
    let (atoms, dictionary) = arranged(array, found, options.stride, file.path())?;
    let mut config = PudleConfig { dictionary, ..settings.clone() };
    config.tying = match (options.analysis, options.decoder) {
        (Some(_), _) => WeightTying::Untied,
        (None, Some(_)) => WeightTying::Decoder,
        (None, None) => WeightTying::Tied,
    };
    let levels = options.thresholds.map(|name| Levels::of(file.read(name)?, &config, file.path()));
    let levels = levels.transpose()?;
    if let Some(levels) = &levels {
        config.threshold = levels.schedule;
        notes.extend(levels.note.clone());
    }
    config.validate()?;
    let data = |array: Array| TensorData::new(array.values, array.shape);
    let model = AnyPudle::from_data(&config, data(atoms), device)?;
    let mut banks = Banks { file: &mut *file, found, dictionary };
    let mut own = Vec::new();
    for (path, name) in [("analysis.atoms", options.analysis), ("decoder.atoms", options.decoder)] {
        if let Some(name) = name {
            own.push((path.to_owned(), data(banks.read(name)?)));
        }
    }
    if let Some(Levels { weights: Some(weights), .. }) = levels {
        own.push(("threshold.lambda".to_owned(), weights));
    }
    // The weights that the file has no tensors for start as those of the dictionary.
    let rest = model
        .weights()
        .into_iter()
        .filter(|weight| own.iter().all(|(path, _)| *path != weight.path));
    let rest: Vec<_> = rest.map(|weight| (weight.path, weight.values)).collect();
    let model = with_weights(model, own.into_iter().chain(rest).collect(), file.path())?;
    notes.extend(step_above_bound(&model));
    let sigma = options.sigma.map(Sigma::At);
    Ok(Imported {
        checkpoint: Checkpoint { config, model, sigma, normalization: Normalization::none() },
        notes,
    })
}

/// The other banks of atoms of a network, in the shape of its dictionary.
struct Banks<'a> {
    file: &'a mut ArrayFile,
    /// The axes of the dictionary.
    found: Axes,
    dictionary: DictionaryConfig,
}

impl Banks<'_> {
    /// A bank. A matrix may be turned against that of the dictionary, as those of an encoder and a decoder are.
    fn read(&mut self, name: &str) -> Result<Array> {
        let array = self.file.read(name)?;
        let axes = match (self.dictionary, &array.shape[..]) {
            (DictionaryConfig::Dense(dense), &[rows, columns]) if rows != columns => {
                if rows == dense.dim { Axes::Columns } else { Axes::Rows }
            }
            _ => self.found,
        };
        let (found, expected) = (array.shape.clone(), self.dictionary.shape());
        let wrong = || {
            let reason = format!(
                "{name:?} has shape {found:?}, which does not fit atoms of shape {expected:?}"
            );
            TrainError::weights(self.file.path(), reason)
        };
        if !Axes::candidates(&array.shape).contains(&axes) {
            return Err(wrong());
        }
        let (array, config) = arranged(array, axes, self.dictionary.stride(), self.file.path())?;
        if config != self.dictionary { Err(wrong()) } else { Ok(array) }
    }
}
