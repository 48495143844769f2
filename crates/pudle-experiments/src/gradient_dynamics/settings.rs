//! Settings of the experiment, and what follows from them.

use std::fmt;

use burn::tensor::{Device, Tensor};
use pudle_core::{DenseConfig, GradientEstimator, PudleConfig};
use pudle_data::SparseCodingConfig;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::problem::{Law, Problem};

/// Settings of the experiment; by default those of figures 3 and 4 of the paper.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientDynamics {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Number of atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Number of non-zero entries s of a code.
    #[arg(long, value_name = "S")]
    pub sparsity: usize,
    /// Number of data n of the batch.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// Step size α.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Perturbation of the dictionary: D = normalise(D* + SD · N(0, 1)).
    #[arg(long, value_name = "SD")]
    pub perturbation: f64,
    /// Largest number of unrolled layers whose gradients are compared.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Number of unrolled layers of the code that counts as converged.
    #[arg(long, value_name = "T")]
    pub limit: usize,
    /// Number of layers that the truncated gradient goes back through.
    #[arg(long, value_name = "K")]
    pub truncation: usize,
    /// Number of data that are measured one by one, in double precision.
    #[arg(long, value_name = "N")]
    pub data: usize,
    /// Number of seeds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// A batch's gradients, or those of single data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Mean gradients over a batch.
    Batch {
        /// Seed of data and dictionary.
        seed: u64,
    },
    /// Gradients datum by datum.
    Data {
        /// Seed of data and dictionary.
        seed: u64,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Batch { seed } => write!(f, "seed-{seed}-batch"),
            Key::Data { seed } => write!(f, "seed-{seed}-data"),
        }
    }
}

/// Published numbers at t = 1, 50 and 100.
pub(crate) const PUBLISHED: [(&str, [f64; 3]); 7] = [
    ("code", [2.369, 0.0766, 0.0034]),
    ("dec", [0.186, 0.0082, 3.7e-4]),
    ("ae-lasso", [0.323, 0.0034, 7.5e-5]),
    ("ae-ls", [0.495, 0.112, 0.119]),
    ("dec, true code", [0.320, 0.167, 0.161]),
    ("ae-lasso, true code", [0.468, 0.163, 0.161]),
    ("ae-ls, true code", [0.639, 0.080, 0.072]),
];

impl GradientDynamics {
    pub(crate) fn paper() -> Self {
        Self {
            dim: 50,
            atoms: 100,
            sparsity: 5,
            count: 10_000,
            amplitude: Law::one_sign(1.0, 2.0),
            lambda: 0.2,
            step: 0.2,
            perturbation: 0.02,
            layers: 100,
            limit: 1000,
            truncation: 10,
            data: 100,
            seeds: 5,
            seed: 0,
        }
    }

    pub(crate) fn draws(&self, seed: u64) -> SparseCodingConfig {
        SparseCodingConfig {
            dim: self.dim,
            atoms: self.atoms,
            sparsity: self.sparsity,
            count: self.count,
            batch: self.count,
            amplitude: self.amplitude.0,
            noise_sd: 0.0,
            seed,
        }
    }

    pub(crate) fn problem(&self, seed: u64, device: &Device) -> Result<(Problem, Tensor<2>)> {
        let problem = Problem::new(self.draws(seed), device)?;
        let near = problem.near(self.perturbation, seed);
        Ok((problem, near))
    }

    pub(crate) fn config(&self, layers: usize, gradient: GradientEstimator) -> PudleConfig {
        PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(layers)
            .with_lambda(self.lambda)
            .with_step(self.step)
            .with_gradient(gradient)
    }

    pub(crate) fn gradients(&self, layers: usize) -> [GradientEstimator; 5] {
        [
            GradientEstimator::DEC,
            GradientEstimator::AE_LASSO,
            GradientEstimator::AE_LS,
            GradientEstimator::truncated(self.truncation.min(layers)),
            GradientEstimator::IMPLICIT,
        ]
    }

    pub(crate) fn names(&self) -> [String; 5] {
        self.gradients(usize::MAX).map(|gradient| gradient.to_string())
    }

    /// The numbers of layers that are compared: all up to 20, then every fifth.
    pub(crate) fn grid(&self) -> Vec<usize> {
        (1..=self.layers).filter(|t| *t <= 20 || t % 5 == 0 || *t == self.layers).collect()
    }

    /// Whether the published numbers are of these settings. The numbers of data and seeds do not matter.
    pub(crate) fn is_published(&self) -> bool {
        let &Self { count, data, seeds, seed, limit, truncation, .. } = self;
        *self == Self { count, data, seeds, seed, limit, truncation, ..Self::paper() }
    }
}
