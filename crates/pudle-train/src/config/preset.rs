//! Named settings.

use pudle_core::{
    Algorithm, Backend, ConvConfig, DenseConfig, DictionaryConfig, GradientEstimator, Learned,
    Loss, Proximal, PudleConfig, Response, ThresholdConfig, WeightTying,
};
use pudle_data::{
    Amplitude, DataConfig, DeadLeavesSettings, MatrixSettings, RecordingSettings, Sigma, SignRule,
    SparseCodingSettings, StrokeSettings,
};
use std::path::PathBuf;

use strum::VariantArray;

use super::run::RunConfig;
use super::training::{Initialization, LearningRateSchedule, TrainingConfig};
use super::versions::Versions;
use crate::update::UpdateRule;

/// A named set of settings.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
    strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case", parse_err_fn = unknown_preset, parse_err_ty = String)]
pub enum Preset {
    /// The published image denoiser: 64 filters 9×9, stride 4, 15 layers of step 0.1, λ = 0.16,
    /// ae-ls, crops of 129×129 at σ = 25, Adam with ε = 1e-3, one crop a step. The learning rate is
    /// 1e-3 where the publication has 1e-4.
    Denoise,
    /// One denoiser for all noise from σ = 5 to 55: 256 filters 11×11, stride 8, 12 layers. Thresholds are per layer and atom
    /// and affine in σ, the decoder has a gain for each atom, and data are centred on ½. Each step trains the mean of two
    /// random shifts on four crops.
    DenoiseBlind,
    /// The same for colour pictures: 320 filters over three channels. It has fewer steps, as it is meant to start from the
    /// filters of the grey model.
    DenoiseColor,
    /// The published recovery of a dictionary of 100 atoms in 50 dimensions from 10,000 data with
    /// five non-zeros, all of them in every step, from a perturbed start.
    Dense,
    /// The published digits: 500 atoms for 28×28 pixels, codes ≥ 0, λ = 0.7, ae-lasso. The layers differ: the published
    /// 15 layers of step 1 diverge from the lasso's solution on these data, and the dictionary does not converge. Here
    /// they are 60 layers of FISTA of step 0.02.
    Digits,
    /// A dictionary for the rows of a matrix of one's own, whose path has to be set. It minimises the lasso objective over
    /// codes of 50 layers of FISTA, by online dictionary learning, which takes the codes as constants. Atoms start as data. A
    /// tenth of the rows is held out. [`OwnData::fit`](crate::OwnData::fit) chooses what depends on the matrix.
    Vectors,
    /// Waveforms in a recording of one's own, whose path has to be set: filters at every sample, codes ≥ 0, and λ = 4 standard
    /// deviations of the noise. Codes are those of 100 layers of FISTA. The gradient takes them as constants, with one entry for
    /// each event, at the size that least squares gives.
    /// A tenth of the samples is held out. [`OwnRecording::fit`](crate::OwnRecording::fit) chooses what depends on the recording.
    Signals,
}

impl Preset {
    /// All presets.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The settings, on generated data.
    pub fn config(self) -> RunConfig {
        let run = |model, data, training| RunConfig {
            seed: 0,
            backend: Backend::default(),
            versions: Versions::default(),
            model,
            data,
            training,
        };
        match self {
            Preset::Denoise => run(
                PudleConfig::conv2d(ConvConfig { atoms: 64, channels: 1, size: 9, stride: 4 })
                    .with_step(0.1)
                    .with_lambda(0.16),
                DataConfig::DeadLeaves(DeadLeavesSettings::new(129, Sigma::At(25.0))),
                TrainingConfig { steps: 4320, ..TrainingConfig::default() },
            ),
            Preset::DenoiseBlind => run(
                PudleConfig::conv2d(ConvConfig { atoms: 256, channels: 1, size: 11, stride: 8 })
                    .with_layers(12)
                    .with_step(0.1)
                    .with_threshold(ThresholdConfig::Learned(Learned {
                        lambda: 0.1,
                        per_layer: true,
                        sigma: Some(25.0),
                        signed: false,
                    }))
                    .with_tying(WeightTying::Gain)
                    .with_offset(0.5),
                DataConfig::DeadLeaves(DeadLeavesSettings::new(
                    // Fourteen positions after the first, and the longest shift.
                    11 + 14 * 8 + 7,
                    Sigma::Between([5.0, 55.0]),
                )),
                TrainingConfig {
                    steps: 36_000,
                    batch: 4,
                    learning_rate: 2e-3,
                    schedule: LearningRateSchedule::Cosine,
                    epsilon: 1e-8,
                    warm_up: 500,
                    shifts: 2,
                    checkpoint_every: 1000,
                    valid_every: 6000,
                    ..TrainingConfig::default()
                },
            ),
            Preset::DenoiseColor => {
                let grey = Preset::DenoiseBlind.config();
                let filters = ConvConfig { atoms: 320, channels: 3, size: 11, stride: 8 };
                RunConfig {
                    model: PudleConfig {
                        dictionary: DictionaryConfig::Conv2d(filters),
                        ..grey.model
                    },
                    training: TrainingConfig {
                        steps: 7000,
                        batch: 2,
                        learning_rate: 1e-3,
                        warm_up: 300,
                        clip: Some(3.0),
                        ..grey.training
                    },
                    ..grey
                }
            }
            Preset::Dense => run(
                PudleConfig::dense(DenseConfig { dim: 50, atoms: 100 })
                    .with_layers(100)
                    .with_step(0.2)
                    .with_lambda(0.2),
                DataConfig::SparseCoding(SparseCodingSettings {
                    sparsity: 5,
                    count: 10_000,
                    length: None,
                    amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerDatum },
                    noise: 0.0,
                }),
                TrainingConfig {
                    steps: 600,
                    batch: 10_000,
                    epsilon: 1e-8,
                    initialization: Initialization::Perturbed { sd: 0.1 },
                    checkpoint_every: 50,
                    ..TrainingConfig::default()
                },
            ),
            Preset::Digits => run(
                PudleConfig::dense(DenseConfig { dim: 784, atoms: 500 })
                    .with_layers(60)
                    .with_algorithm(Algorithm::Fista)
                    .with_step(0.02)
                    .with_lambda(0.7)
                    .with_prox(Proximal::Relu)
                    .with_gradient(GradientEstimator::AE_LASSO),
                DataConfig::Strokes(StrokeSettings::new(5000, [0, 1, 2, 3, 4])),
                TrainingConfig {
                    steps: 4000,
                    batch: 32,
                    schedule: LearningRateSchedule::Cosine,
                    ..TrainingConfig::default()
                },
            ),
            Preset::Signals => run(
                PudleConfig::conv1d(ConvConfig { atoms: 4, channels: 1, size: 64, stride: 1 })
                    .with_layers(100)
                    .with_algorithm(Algorithm::Fista)
                    .with_prox(Proximal::Relu)
                    .with_lambda(4.0)
                    .with_gradient(GradientEstimator {
                        loss: Loss::Lasso,
                        response: Response::Dropped,
                    }),
                DataConfig::Recordings(RecordingSettings {
                    validation: 0.1,
                    ..RecordingSettings::new(PathBuf::new())
                }),
                TrainingConfig {
                    steps: 200,
                    batch: 16,
                    learning_rate: 0.001,
                    tangent: true,
                    refit: true,
                    schedule: LearningRateSchedule::Cosine,
                    epsilon: 1e-8,
                    initialization: Initialization::Data,
                    checkpoint_every: 100,
                    valid_every: 100,
                    ..TrainingConfig::default()
                },
            ),
            Preset::Vectors => run(
                PudleConfig::dense(DenseConfig { dim: 64, atoms: 256 })
                    .with_layers(50)
                    .with_algorithm(Algorithm::Fista)
                    .with_gradient(GradientEstimator {
                        loss: Loss::Lasso,
                        response: Response::Dropped,
                    }),
                DataConfig::Matrix(MatrixSettings {
                    validation: 0.1,
                    ..MatrixSettings::new(PathBuf::new())
                }),
                TrainingConfig {
                    steps: 2500,
                    batch: 256,
                    update: UpdateRule::Online,
                    learning_rate: 1.0,
                    epsilon: 1e-8,
                    initialization: Initialization::Data,
                    checkpoint_every: 250,
                    valid_every: 250,
                    ..TrainingConfig::default()
                },
            ),
        }
    }
}

fn unknown_preset(text: &str) -> String {
    let known: Vec<String> = Preset::ALL.iter().map(Preset::to_string).collect();
    let known = known.join(", ");
    format!("unknown preset \"{text}\": it must be one of {known}")
}
