//! Settings of the experiment, and what follows from them.

use std::fmt;

use pudle_core::{DenseConfig, GradientEstimator, PudleConfig};
use pudle_data::SparseCodingConfig;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::problem::Law;

/// Settings of the experiment. Lists are run in all combinations.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DictionaryRecovery {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Number of atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Number of non-zero entries s of a code.
    #[arg(long, value_name = "S")]
    pub sparsity: usize,
    /// Number of data n.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Standard deviations of noise on the data.
    #[arg(long, value_name = "SD,…", value_delimiter = ',')]
    pub noise: Vec<f64>,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Perturbation of the start: D₀ = normalise(D* + SD · N(0, 1)).
    #[arg(long, value_name = "SD")]
    pub perturbation: f64,
    /// Numbers of unrolled layers T.
    #[arg(long, value_name = "T,…", value_delimiter = ',')]
    pub layers: Vec<usize>,
    /// Gradient estimators.
    #[arg(long, value_name = "G,…", value_delimiter = ',', value_parser = parse_gradient)]
    pub gradients: Vec<GradientEstimator>,
    /// Numbers of data of a training step; n is a full batch.
    #[arg(long, value_name = "B,…", value_delimiter = ',')]
    pub batch: Vec<usize>,
    /// Learning rates of Adam.
    #[arg(long, value_name = "R,…", value_delimiter = ',')]
    pub learning_rate: Vec<f64>,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f64,
    /// Number of training steps.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// Number of seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

pub(crate) fn parse_gradient(text: &str) -> Result<GradientEstimator, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

/// One training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    pub(crate) noise: f64,
    pub(crate) batch: usize,
    pub(crate) learning_rate: f64,
    pub(crate) layers: usize,
    pub(crate) gradient: GradientEstimator,
    pub(crate) seed: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { noise, batch, learning_rate, layers, gradient, seed } = self;
        write!(
            f,
            "noise-{noise}-batch-{batch}-lr-{learning_rate}-T-{layers}-{gradient}-seed-{seed}"
        )
    }
}

/// Published final `‖D − D*‖_F` by layers: dec, ae-lasso, ae-ls.
const PUBLISHED: [(usize, [f64; 3]); 3] =
    [(25, [2.46, 1.71, 0.85]), (50, [1.39, 1.30, 0.22]), (100, [1.29, 1.29, 0.14])];
const NAMED: [GradientEstimator; 3] =
    [GradientEstimator::DEC, GradientEstimator::AE_LASSO, GradientEstimator::AE_LS];

impl DictionaryRecovery {
    pub(crate) fn paper() -> Self {
        Self {
            dim: 50,
            atoms: 100,
            sparsity: 5,
            count: 10_000,
            amplitude: Law::one_sign(1.0, 2.0),
            noise: vec![0.0],
            lambda: 0.2,
            step: 0.2,
            perturbation: 0.1,
            layers: vec![25, 50, 100],
            gradients: NAMED.to_vec(),
            batch: vec![10_000],
            learning_rate: vec![1e-3],
            epsilon: 1e-8,
            steps: 600,
            seeds: 2,
            seed: 0,
        }
    }

    /// The larger problem of the paper, in batches.
    pub(crate) fn large() -> Self {
        Self {
            dim: 1000,
            atoms: 1500,
            sparsity: 10,
            count: 50_000,
            amplitude: Law::normal(5.0, 1.0),
            lambda: 0.5,
            perturbation: 0.0228,
            batch: vec![100],
            epsilon: 1e-3,
            steps: 2000,
            seeds: 1,
            ..Self::paper()
        }
    }

    pub(crate) fn is_published(&self) -> bool {
        let Self { count, layers, gradients, batch, seeds, seed, .. } = self.clone();
        let full = batch == [count];
        full && *self == Self { count, layers, gradients, batch, seeds, seed, ..Self::paper() }
    }

    pub(crate) fn published(&self, key: &Key) -> Option<f64> {
        let (_, figures) = PUBLISHED.iter().find(|(layers, _)| *layers == key.layers)?;
        let which = NAMED.iter().position(|gradient| *gradient == key.gradient)?;
        self.is_published().then_some(figures[which])
    }

    pub(crate) fn draws(&self, key: &Key) -> SparseCodingConfig {
        SparseCodingConfig {
            dim: self.dim,
            atoms: self.atoms,
            sparsity: self.sparsity,
            count: self.count,
            batch: key.batch,
            amplitude: self.amplitude.0,
            noise_sd: key.noise as f32,
            seed: key.seed,
        }
    }

    pub(crate) fn config(&self, layers: usize, gradient: GradientEstimator) -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(layers)
            .with_lambda(self.lambda)
            .with_step(self.step)
            .with_gradient(gradient)
    }

    /// The settings in which trainings of this experiment differ, without the seed.
    pub(crate) fn label(&self, key: &Key) -> String {
        let mut label = format!("{}, T = {}", key.gradient, key.layers);
        if self.batch.len() > 1 {
            label += &format!(", batch {}", key.batch);
        }
        if self.learning_rate.len() > 1 {
            label += &format!(", rate {}", key.learning_rate);
        }
        if self.noise.len() > 1 {
            label += &format!(", noise {}", key.noise);
        }
        label
    }
}
