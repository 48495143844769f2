//! Folders of sparse autoencoders, as SAELens (`cfg.json`, `sae_weights.safetensors`), dictionary_learning (`config.json`,
//! `ae.pt`) and sparsify (`cfg.json`, `sae.safetensors`) write them.
//!
//! `z = max(Wᵀ(x − b) + c, 0)`, `x̂ = D z + b` is a network of one layer: its levels are `θ = −c`, of any sign. The vector
//! `b` of the decoder is an atom that is always in use, with the code 1: nothing in the data reaches it, and its level is −1.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use pudle_core::{
    AnyPudle, DenseConfig, GradientEstimator, Learned, Proximal, PudleConfig, ThresholdConfig,
    WeightTying,
};
use serde_json::Value;

use super::array::{Array, permuted};
use super::file::ArrayFile;
use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};

/// The folder's files: settings and weights.
struct Files {
    settings: PathBuf,
    weights: PathBuf,
}

/// Settings are short; a longer file is something else.
const LONGEST_SETTINGS: u64 = 1 << 20;

/// An autoencoder, in the order of Pudle's axes.
struct Autoencoder {
    /// `W`, `[m, p]`.
    encoder: Array,
    /// `c`, `[p]`, for data without `b`.
    encoder_bias: Array,
    /// `D`, `[m, p]`.
    decoder: Array,
    /// `b`, `[m]`.
    bias: Array,
    /// Whether `b` is subtracted from the data.
    centres: bool,
}

/// Whether a folder looks like that of an autoencoder.
pub(super) fn is_folder(path: &Path) -> bool {
    files(path).is_some()
}

fn files(folder: &Path) -> Option<Files> {
    let known = [
        ("cfg.json", "sae_weights.safetensors"),
        ("cfg.json", "sae.safetensors"),
        ("config.json", "ae.pt"),
        ("cfg.json", "ae.pt"),
    ];
    let found = known.map(|(settings, weights)| Files {
        settings: folder.join(settings),
        weights: folder.join(weights),
    });
    found.into_iter().find(|files| files.settings.is_file() && files.weights.is_file())
}

/// The checkpoint of an autoencoder's folder, and lines about it.
///
/// # Errors
/// Returns an error with the reason if a file is damaged, or the model cannot express the encoder exactly.
pub(super) fn import(folder: &Path, device: &Device) -> Result<(Checkpoint, Vec<String>)> {
    let files =
        files(folder).ok_or_else(|| TrainError::weights(folder, "holds no sparse autoencoder"))?;
    let settings = read_settings(&files.settings)?;
    check_settings(&settings, &files.settings)?;
    let autoencoder = Autoencoder::read(&files.weights, &settings)?;
    network(&autoencoder, &files.weights, device)
}

fn read_settings(path: &Path) -> Result<Value> {
    let length = fs::metadata(path).map_err(TrainError::io(path))?.len();
    if length > LONGEST_SETTINGS {
        return Err(TrainError::weights(
            path,
            format!("has {length} bytes, too many for settings"),
        ));
    }
    let text = fs::read_to_string(path).map_err(TrainError::io(path))?;
    let settings: Value = serde_json::from_str(&text)
        .map_err(|error| TrainError::weights(path, format!("is damaged: {error}")))?;
    // dictionary_learning nests them.
    Ok(settings.get("trainer").cloned().unwrap_or(settings))
}

/// Returns an error with the reason if the encoder is not the one that the model can express.
fn check_settings(settings: &Value, path: &Path) -> Result<()> {
    let refuse = |what: String| {
        let reason = format!(
            "{what}; only ReLU encoders with biases and no scaling of the data can be expressed exactly"
        );
        Err(TrainError::weights(path, reason))
    };
    let word = |key: &str| settings.get(key).and_then(Value::as_str).unwrap_or_default();
    match word("architecture") {
        "" | "standard" => {}
        other => return refuse(format!("the architecture is {other:?}")),
    }
    match word("dict_class") {
        "" | "AutoEncoder" => {}
        other => return refuse(format!("the class is {other:?}")),
    }
    for key in ["activation_fn", "activation_fn_str", "activation"] {
        match word(key) {
            "" | "relu" => {}
            other => return refuse(format!("the activation is {other:?}")),
        }
    }
    if settings.get("k").is_some_and(|k| !k.is_null()) {
        return refuse("it keeps the k largest codes after a bias, without their signs".into());
    }
    match word("normalize_activations") {
        "" | "none" => Ok(()),
        other => refuse(format!("activations are scaled by {other:?}")),
    }
}

impl Autoencoder {
    fn read(path: &Path, settings: &Value) -> Result<Self> {
        let mut file = ArrayFile::open(path)?;
        let known = ["W_enc", "b_enc", "W_dec", "b_dec", "encoder.weight", "encoder.bias"];
        let known = known.iter().chain(&["decoder.weight", "bias"]);
        let known: Vec<&str> = known.copied().collect();
        if let Some(other) = file.names().iter().find(|name| !known.contains(&name.as_str())) {
            let reason = format!("{other:?} is no tensor of a ReLU autoencoder");
            return Err(TrainError::weights(path, reason));
        }
        let mut first = |names: [&str; 2]| {
            let has = |name: &&str| file.names().iter().any(|known| known == name);
            let name = names.into_iter().find(has).unwrap_or(names[0]);
            Ok::<_, TrainError>((file.read(name)?, name == names[1]))
        };
        let (encoder, encoder_turned) = first(["W_enc", "encoder.weight"])?;
        let (encoder_bias, _) = first(["b_enc", "encoder.bias"])?;
        let (decoder, linear) = first(["W_dec", "decoder.weight"])?;
        let (bias, _) = first(["b_dec", "bias"])?;
        let encoder = if encoder_turned { turned(encoder, path)? } else { encoder };
        let decoder = if linear { decoder } else { turned(decoder, path)? };
        let centres = settings.get("apply_b_dec_to_input").and_then(Value::as_bool);
        let found = Self { encoder, encoder_bias, decoder, bias, centres: centres.unwrap_or(true) };
        found.check(path)?;
        Ok(found)
    }

    fn check(&self, path: &Path) -> Result<()> {
        let shapes = [&self.encoder, &self.encoder_bias, &self.decoder, &self.bias];
        let shapes = shapes.map(|array| array.shape.as_slice());
        match shapes {
            [&[m, p], &[c], &[n, q], &[b]] if m == n && p == q && c == p && b == m => Ok(()),
            _ => {
                let reason =
                    format!("encoder, its bias, decoder and its bias have shapes {shapes:?}");
                Err(TrainError::weights(path, reason))
            }
        }
    }
}

/// A matrix with its axes exchanged.
fn turned(array: Array, path: &Path) -> Result<Array> {
    let [rows, columns] = array.shape[..] else {
        let reason = format!("{:?} has shape {:?}, not that of a matrix", array.name, array.shape);
        return Err(TrainError::weights(path, reason));
    };
    let values = permuted(&array.shape, &array.values, &[1, 0]);
    Ok(Array { name: array.name, shape: vec![columns, rows], values })
}

/// The network of one layer that is the autoencoder.
fn network(
    autoencoder: &Autoencoder,
    path: &Path,
    device: &Device,
) -> Result<(Checkpoint, Vec<String>)> {
    let [m, p] = [autoencoder.encoder.shape[0], autoencoder.encoder.shape[1]];
    let bias = &autoencoder.bias.values;
    let has_bias = bias.iter().any(|value| *value != 0.0);
    let atoms = p + usize::from(has_bias);
    let mut notes = vec![format!("a ReLU encoder of one layer with {p} codes of {m} inputs")];
    if has_bias {
        notes.push(format!("atom {p} is the bias of the decoder: its code is 1 for all data"));
    }
    let mut levels: Vec<f32> = (0..p)
        .map(|j| {
            let column = |i: usize| f64::from(autoencoder.encoder.values[i * p + j]);
            let shift: f64 = (0..m).map(|i| column(i) * f64::from(bias[i])).sum();
            let shift = if autoencoder.centres { shift } else { 0.0 };
            (shift - f64::from(autoencoder.encoder_bias.values[j])) as f32
        })
        .collect();
    levels.extend(has_bias.then_some(-1.0));
    let bank = |bank: &Array, last: &dyn Fn(usize) -> f32| {
        let mut values = Vec::with_capacity(m * atoms);
        for (i, row) in bank.values.chunks_exact(p).enumerate() {
            values.extend_from_slice(row);
            values.extend(has_bias.then(|| last(i)));
        }
        TensorData::new(values, [m, atoms])
    };
    let analysis = bank(&autoencoder.encoder, &|_| 0.0);
    let decoder = bank(&autoencoder.decoder, &|i| bias[i]);
    let learned = Learned { lambda: 0.0, per_layer: false, sigma: None, signed: true };
    let config = PudleConfig::dense(DenseConfig { dim: m, atoms })
        .with_layers(1)
        .with_step(1.0)
        .with_prox(Proximal::Relu)
        .with_gradient(GradientEstimator::AE_LS)
        .with_tying(WeightTying::Untied)
        .with_threshold(ThresholdConfig::Learned(learned));
    config.validate()?;
    let model = AnyPudle::from_data(&config, decoder.clone(), device)?;
    let weights = [
        ("dictionary.atoms", decoder.clone()),
        ("analysis.atoms", analysis),
        ("decoder.atoms", decoder),
        ("threshold.lambda", TensorData::new(levels, [1, atoms])),
    ];
    let weights = weights.map(|(path, values)| (path.to_owned(), values));
    let model = model.with_weights(weights).map_err(|error| TrainError::weights(path, error))?;
    Ok((
        Checkpoint { config, model, sigma: None, normalization: pudle_data::Normalization::none() },
        notes,
    ))
}
