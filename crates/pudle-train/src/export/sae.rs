//! A folder of a sparse autoencoder, as SAELens writes it, for networks that are one.
//!
//! A network of one layer with the operator `relu` is `z = max(α Bᵀ(x − o) − θ, 0)`, `x̂ = C diag(g) z + o`. An atom that no
//! datum reaches, with a level below zero, has the same code for all data: it becomes a part of the bias.

use std::collections::HashMap;
use std::path::Path;

use pudle_core::{DictionaryConfig, Noise, Proximal};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::files::{create_dir, write_whole};
use crate::network_file;

/// Writes `cfg.json` and `sae_weights.safetensors` into the folder `path`.
pub(super) fn write(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    let autoencoder = Autoencoder::of(checkpoint, path)?;
    let [m, p] = autoencoder.shape;
    let settings = json!({
        "architecture": "standard",
        "activation_fn_str": "relu",
        "apply_b_dec_to_input": false,
        "d_in": m,
        "d_sae": p,
        "device": "cpu",
        "dtype": "float32",
        "metadata": {},
        "normalize_activations": "none",
        "reshape_activations": "none",
    });
    create_dir(path)?;
    write_whole(&path.join("sae_weights.safetensors"), &autoencoder.to_safetensors(path)?)?;
    let text = format!("{settings:#}\n");
    write_whole(&path.join("cfg.json"), text.as_bytes())
}

/// The tensors of an autoencoder.
struct Autoencoder {
    /// Dimension `m` of the data, and number of codes `p`.
    shape: [usize; 2],
    /// `[m, p]`.
    encoder: Vec<f32>,
    encoder_bias: Vec<f32>,
    /// `[p, m]`.
    decoder: Vec<f32>,
    decoder_bias: Vec<f32>,
}

impl Autoencoder {
    /// The autoencoder that a network is.
    ///
    /// # Errors
    /// Returns an error with the reason if it is none.
    fn of(checkpoint: &Checkpoint, path: &Path) -> Result<Self> {
        let config = &checkpoint.config;
        let refuse = |what: String| {
            let reason = format!(
                "a sparse autoencoder has one layer, vectors and the operator relu, but {what}"
            );
            Err(TrainError::weights(path, reason))
        };
        let DictionaryConfig::Dense(dense) = config.dictionary else {
            return refuse(format!("the dictionary is of the kind {}", config.dictionary.kind()));
        };
        if config.layers != 1 {
            return refuse(format!("the network has {} layers", config.layers));
        }
        if config.prox != Proximal::Relu {
            return refuse(format!("the operator is {}", config.prox));
        }
        if config.threshold.depends_on_noise() {
            return refuse("the thresholds depend on the noise".into());
        }
        let (m, p) = (dense.dim, dense.atoms);
        let step = network_file::step(&checkpoint.model).expect("a matrix has one step size");
        let bank = |path: &str| checkpoint.model.weight(path).map(|weight| weight.to_vec());
        let atoms = checkpoint.model.atoms();
        let analysis = bank("analysis.atoms").unwrap_or_else(|| atoms.clone());
        let decoder = bank("decoder.atoms").unwrap_or(atoms);
        let gain = bank("gain").unwrap_or_else(|| vec![1.0; p]);
        let lambda = checkpoint.model.lambda(0, &Noise::Unknown);
        let level = |j: usize| step * f64::from(lambda[j.min(lambda.len() - 1)]);
        let reached = |j: usize| (0..m).any(|i| analysis[i * p + j] != 0.0);
        let (constant, kept): (Vec<usize>, Vec<usize>) =
            (0..p).partition(|j| !reached(*j) && level(*j) < 0.0);
        let value = |i: usize, j: usize| f64::from(decoder[i * p + j]) * f64::from(gain[j]);
        let bias = |j: usize| {
            let sum: f64 = (0..m).map(|i| f64::from(analysis[i * p + j])).sum();
            (-level(j) - step * config.offset * sum) as f32
        };
        let offset = |i: usize| {
            let sum: f64 = constant.iter().map(|j| -level(*j) * value(i, *j)).sum();
            (config.offset + sum) as f32
        };
        let scaled = |i: usize, j: usize| (step * f64::from(analysis[i * p + j])) as f32;
        Ok(Self {
            shape: [m, kept.len()],
            encoder: (0..m)
                .flat_map(|i| kept.iter().map(move |j| (i, *j)))
                .map(|(i, j)| scaled(i, j))
                .collect(),
            encoder_bias: kept.iter().map(|j| bias(*j)).collect(),
            decoder: kept
                .iter()
                .flat_map(|j| (0..m).map(move |i| (i, *j)))
                .map(|(i, j)| value(i, j) as f32)
                .collect(),
            decoder_bias: (0..m).map(offset).collect(),
        })
    }

    fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>> {
        let [m, p] = self.shape;
        let tensors = [
            ("W_enc", vec![m, p], &self.encoder),
            ("W_dec", vec![p, m], &self.decoder),
            ("b_dec", vec![m], &self.decoder_bias),
            ("b_enc", vec![p], &self.encoder_bias),
        ];
        let tensors = tensors.map(|(name, shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, shape, bytes)
        });
        let views = tensors.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
        });
        let metadata = HashMap::from([("project".to_owned(), "pudle".to_owned())]);
        let views: std::result::Result<Vec<_>, _> = views.collect();
        views
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|error| TrainError::weights(path, error))
    }
}
