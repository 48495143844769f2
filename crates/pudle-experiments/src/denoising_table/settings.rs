//! Settings of the experiment, and what follows from them.

use std::fmt;
use std::path::PathBuf;

use pudle_core::{Backend, ConvConfig, GradientEstimator, Proximal, PudleConfig};
use pudle_data::{PhotographSettings, Sigma};
use pudle_train::{DataConfig, LearningRateSchedule, RunConfig, TrainingConfig, Versions};
use serde::{Deserialize, Serialize};

/// Settings of the experiment. Lists are run in all combinations.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenoisingTable {
    /// Folder of photographs to learn from.
    #[arg(long, value_name = "DIR")]
    pub train: PathBuf,
    /// Folder of photographs to score on.
    #[arg(long, value_name = "DIR")]
    pub test: PathBuf,
    /// Noise, on the scale 0 … 255.
    #[arg(long, value_name = "S")]
    pub sigma: f32,
    /// Number of filters p.
    #[arg(long, value_name = "P")]
    pub atoms: usize,
    /// Side of a filter in pixels.
    #[arg(long, value_name = "K")]
    pub size: usize,
    /// Pixels between positions of a filter.
    #[arg(long, value_name = "N")]
    pub stride: usize,
    /// Number of unrolled layers T.
    #[arg(long, value_name = "T")]
    pub layers: usize,
    /// Step size α of a layer.
    #[arg(long, value_name = "A")]
    pub step: f64,
    /// Gradient estimators, under soft thresholds.
    #[arg(long, value_name = "G,…", value_delimiter = ',')]
    pub gradients: Vec<GradientEstimator>,
    /// Sparsity weights λ of the soft thresholds.
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub lambdas: Vec<f64>,
    /// Levels of hard thresholds, with the gradient ae-ls.
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub hard_levels: Vec<f64>,
    /// Side of a crop in pixels.
    #[arg(long, value_name = "N")]
    pub crop: usize,
    /// Number of crops of a training step.
    #[arg(long, value_name = "B")]
    pub batch: usize,
    /// Learning rate of Adam, which falls to 0 along half a cosine.
    #[arg(long, value_name = "R")]
    pub learning_rate: f64,
    /// ε of Adam.
    #[arg(long, value_name = "E")]
    pub epsilon: f32,
    /// Number of training steps.
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// How often the dictionary is scored during training.
    #[arg(long, value_name = "N")]
    pub points: u64,
    /// Number of seeds under soft thresholds, counted up from --seed.
    #[arg(long, value_name = "N")]
    pub seeds: u64,
    /// Number of seeds under hard thresholds.
    #[arg(long, value_name = "N")]
    pub hard_seeds: u64,
    /// First seed.
    #[arg(long, value_name = "N")]
    pub seed: u64,
}

/// One training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    pub(crate) gradient: GradientEstimator,
    pub(crate) prox: Proximal,
    /// `λ`, or the level of a hard threshold.
    pub(crate) lambda: f64,
    pub(crate) seed: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prox {
            Proximal::Hard => write!(f, "hard-level-{}-seed-{}", self.lambda, self.seed),
            _ => write!(f, "{}-lambda-{}-seed-{}", self.gradient, self.lambda, self.seed),
        }
    }
}

/// Published PSNR under `paper`: λ with dec and ae-ls, and levels of hard thresholds.
pub(crate) const PUBLISHED: [(f64, [f64; 2]); 4] =
    [(0.08, [24.21, 24.79]), (0.12, [24.93, 25.43]), (0.16, [25.25, 25.63]), (0.2, [24.88, 25.46])];
const PUBLISHED_HARD: [(f64, f64); 4] = [(0.02, 22.86), (0.05, 25.40), (0.08, 24.68), (0.1, 23.77)];

impl DenoisingTable {
    pub(crate) fn paper() -> Self {
        Self {
            train: "datasets/BSD432".into(),
            test: "datasets/BSD68".into(),
            sigma: 25.0,
            atoms: 64,
            size: 9,
            stride: 4,
            layers: 15,
            step: 0.1,
            gradients: vec![GradientEstimator::DEC, GradientEstimator::AE_LS],
            lambdas: vec![0.08, 0.12, 0.16, 0.2],
            hard_levels: vec![0.02, 0.05, 0.08, 0.1],
            crop: 129,
            batch: 1,
            learning_rate: 1e-3,
            epsilon: 1e-3,
            steps: 12_000,
            points: 8,
            seeds: 3,
            hard_seeds: 1,
            seed: 0,
        }
    }

    /// Whether the network is the published one, however it was trained.
    pub(crate) fn is_published(&self) -> bool {
        let paper = Self::paper();
        let network = |table: &Self| {
            let Self { sigma, atoms, size, stride, layers, step, .. } = *table;
            (sigma, atoms, size, stride, layers, step)
        };
        network(self) == network(&paper)
    }

    pub(crate) fn published(&self, key: &Key) -> Option<f64> {
        if !self.is_published() {
            return None;
        }
        if key.prox == Proximal::Hard {
            return PUBLISHED_HARD.iter().find(|(level, _)| *level == key.lambda).map(|(_, p)| *p);
        }
        let column = [GradientEstimator::DEC, GradientEstimator::AE_LS]
            .iter()
            .position(|gradient| *gradient == key.gradient)?;
        PUBLISHED.iter().find(|(lambda, _)| *lambda == key.lambda).map(|(_, p)| p[column])
    }

    pub(crate) fn run_config(&self, key: &Key, backend: Backend) -> RunConfig {
        let Self { atoms, size, stride, .. } = *self;
        RunConfig {
            seed: key.seed,
            backend,
            versions: Versions::default(),
            model: PudleConfig::conv2d(ConvConfig { atoms, channels: 1, size, stride })
                .with_layers(self.layers)
                .with_step(self.step)
                .with_lambda(key.lambda)
                .with_prox(key.prox)
                .with_gradient(key.gradient),
            data: DataConfig::Photographs(PhotographSettings {
                valid: Some(self.test.clone()),
                ..PhotographSettings::new(&self.train, self.crop, Sigma::At(self.sigma))
            }),
            training: TrainingConfig {
                steps: self.steps,
                batch: self.batch,
                learning_rate: self.learning_rate,
                schedule: LearningRateSchedule::Cosine,
                epsilon: self.epsilon,
                valid_every: self.steps.div_ceil(self.points),
                ..TrainingConfig::default()
            },
        }
    }
}
