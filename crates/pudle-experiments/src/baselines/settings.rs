//! Settings of the experiment, and what follows from them.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use pudle_core::{DenseConfig, GradientEstimator, Proximal, PudleConfig, ThresholdConfig};
use pudle_data::SparseCodingConfig;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ExperimentError, Result, each_within, within};
use crate::learning::Change;
use crate::problem::{Law, Problem};

/// Settings of the experiment. Lists are run in all combinations.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// Dimension m of a datum.
    #[arg(long, value_name = "M")]
    pub dim: usize,
    /// Number of atoms p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Numbers of non-zero entries s of a code.
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    pub sparsity: Vec<usize>,
    /// Number of data n.
    #[arg(long, value_name = "N")]
    pub count: usize,
    /// Law of the amplitudes: uniform:LOW:HIGH, one-sign:LOW:HIGH (one sign per datum) or normal:MEAN:SD.
    #[arg(long, value_name = "LAW")]
    pub amplitude: Law,
    /// Methods: ae-ls (constant λ), decaying (ae-ls with λ that falls over the layers), hard (ae-ls with a hard threshold), noodl.
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    pub methods: Vec<Method>,
    /// Sparsity weight λ.
    #[arg(long, value_name = "L")]
    pub lambda: f64,
    /// λ falls by the factor β from layer to layer. β is 1 at first, and smaller by D after every --decay-every steps.
    #[arg(long, value_name = "D")]
    pub decay: f64,
    /// Training steps from one β to the next.
    #[arg(long, value_name = "N")]
    pub decay_every: u64,
    /// Level of the hard thresholds.
    #[arg(long, value_name = "L")]
    pub hard_level: f64,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Number of unrolled layers T.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Perturbation of the start: D₀ = normalise(D* + SD · N(0, 1)).
    #[arg(long, value_name = "SD")]
    pub perturbation: f64,
    /// Number of data of a training step.
    #[arg(long, value_name = "B")]
    pub batch: usize,
    /// Learning rate of Adam.
    #[arg(long, value_name = "R")]
    pub learning_rate: f64,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f64,
    /// Learning rate η of NOODL.
    #[arg(long, value_name = "R")]
    pub noodl_rate: f64,
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

/// How a dictionary is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ae-ls with the same λ in every layer and step.
    Constant,
    /// ae-ls with `λ_t = λ βᵗ` over the layers. `β` falls during training.
    Decaying,
    /// ae-ls with a hard threshold.
    Hard,
    /// NOODL: a hard threshold, and the update rule of NOODL.
    Noodl,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [Self::Constant, Self::Decaying, Self::Hard, Self::Noodl];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Constant => "ae-ls",
            Method::Decaying => "decaying",
            Method::Hard => "hard",
            Method::Noodl => "noodl",
        })
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|method| method.to_string() == text)
            .ok_or_else(|| format!("\"{text}\" is none of ae-ls, decaying, hard and noodl"))
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(crate) sparsity: usize,
    pub(crate) method: Method,
    pub(crate) seed: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{}-{}-seed-{}", self.sparsity, self.method, self.seed)
    }
}

/// Published final relative errors by sparsity, in the order of [`Method::ALL`].
const PUBLISHED: [(usize, [f64; 4]); 3] = [
    (10, [8.7e-3, 5.2e-6, 2.9e-6, 3.9e-3]),
    (20, [1.4e-2, 5.7e-6, 4.8e-7, 1.7e-4]),
    (40, [2.6e-2, 4.0e-5, 9.8e-6, 2.3e-6]),
];

impl Baselines {
    /// The settings of the paper.
    pub(crate) fn paper() -> Self {
        Self {
            dim: 1000,
            atoms: 1500,
            sparsity: vec![10, 20, 40],
            count: 50_000,
            amplitude: Law::uniform(1.0, 2.0),
            methods: Method::ALL.to_vec(),
            lambda: 0.2,
            decay: 0.005,
            decay_every: 100,
            hard_level: 0.1,
            step: 0.2,
            layers: 100,
            perturbation: 0.005,
            batch: 50,
            learning_rate: 1e-3,
            epsilon: 1e-3,
            noodl_rate: 0.4,
            steps: 1000,
            seeds: 1,
            seed: 0,
        }
    }

    /// The published final error of a training, if there is one for these settings.
    pub(crate) fn published(&self, sparsity: usize, method: Method) -> Option<f64> {
        let (sparsities, methods) = (self.sparsity.clone(), self.methods.clone());
        let Self { seeds, seed, .. } = *self;
        let same = *self == Self { sparsity: sparsities, methods, seeds, seed, ..Self::paper() };
        let (_, figures) = PUBLISHED.iter().find(|(s, _)| *s == sparsity && same)?;
        Some(figures[Method::ALL.iter().position(|known| *known == method)?])
    }

    /// The factor β at a training step.
    fn beta(&self, step: u64) -> f64 {
        1.0 - self.decay * (step / self.decay_every) as f64
    }

    /// How data are drawn.
    pub(crate) fn draws(&self, sparsity: usize, seed: u64) -> SparseCodingConfig {
        SparseCodingConfig {
            dim: self.dim,
            atoms: self.atoms,
            sparsity,
            count: self.count,
            batch: self.batch,
            amplitude: self.amplitude.0,
            noise_sd: 0.0,
            seed,
        }
    }

    /// The model of a method at a training step.
    pub(crate) fn config(&self, method: Method, step: u64) -> PudleConfig {
        let config = PudleConfig::dense(DenseConfig { dim: self.dim, atoms: self.atoms })
            .with_layers(self.layers)
            .with_step(self.step)
            .with_lambda(self.lambda)
            .with_gradient(GradientEstimator::AE_LS);
        match method {
            Method::Constant => config,
            Method::Decaying => {
                config.with_threshold(ThresholdConfig::decaying(self.lambda, self.beta(step)))
            }
            Method::Hard | Method::Noodl => {
                config.with_prox(Proximal::Hard).with_lambda(self.hard_level)
            }
        }
    }

    /// The settings of the model from each step on at which β falls.
    pub(crate) fn changes(&self, method: Method) -> Vec<Change> {
        if method != Method::Decaying || self.decay == 0.0 {
            return Vec::new();
        }
        let steps = (self.decay_every..self.steps).step_by(self.decay_every as usize);
        steps.map(|step| Change { step, model: self.config(method, step) }).collect()
    }

    /// The data and the true dictionary.
    pub(crate) fn problem(&self, sparsity: usize, seed: u64, device: &Device) -> Result<Problem> {
        Problem::new(self.draws(sparsity, seed), device)
    }

    /// The work of a training step: hundredths of a forward pass of a datum through a layer.
    pub(crate) fn step_work(&self, method: Method) -> u64 {
        let passes = if method == Method::Noodl { 3 } else { 10 };
        passes * (self.layers * self.batch).div_ceil(100) as u64
    }

    /// Returns the first setting that is out of its range.
    pub(crate) fn validate(&self) -> Result<()> {
        each_within("sparsity", &self.sparsity, 1, self.atoms)?;
        within("methods", self.methods.len(), 1, 100)?;
        within("decay_every", self.decay_every, 1, u64::MAX)?;
        within("decay", self.decay, 0.0, 1.0)?;
        within("steps", self.steps, 1, 10_000_000)?;
        let last = self.beta(self.steps.saturating_sub(1));
        if last <= 0.0 {
            let range = "so small that β stays above 0 in all steps";
            return Err(ExperimentError::range("decay", self.decay, range));
        }
        within("batch", self.batch, 1, self.count)?;
        within("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 1e3)?;
        within("noodl_rate", self.noodl_rate, f64::MIN_POSITIVE, 1e3)?;
        within("epsilon", self.epsilon, f64::MIN_POSITIVE, 1e3)?;
        within("perturbation", self.perturbation, 0.0, 1e3)?;
        within("seeds", self.seeds, 1, 1000)?;
        self.sparsity.iter().try_for_each(|&s| self.draws(s, 0).validate())?;
        self.methods.iter().try_for_each(|method| Ok(self.config(*method, 0).validate()?))
    }
}
