//! Training, checkpoints, denoising and evaluation of [`pudle_core`] models.
//!
//! * [`RunConfig`] describes a run completely; [`train`] performs it with Burn's Learner in a run
//!   directory and [`resume`] continues it, bit for bit as if it had not stopped.
//! * [`Trainer`] makes the same steps on batches that the caller draws, without a run directory.
//! * [`Checkpoint`] is a directory with `config.toml` and `model.safetensors`: a run directory is
//!   one, so is what [`import_dictionary`] makes of a bare one.
//! * [`Denoiser`] applies a checkpoint to images of any size, [`evaluate`] scores one.

mod atoms;
mod checkpoint;
mod checkpoints;
mod config;
mod data;
mod denoiser;
mod describe;
mod error;
mod evaluate;
mod export;
mod files;
mod import;
mod learner;
mod metrics;
mod progress;
mod run;
mod sigma;
mod ssim;
mod start;
mod strategy;
mod tiles;
mod trainer;
mod update;
mod weights_file;

pub use atoms::atoms_picture;
pub use checkpoint::Checkpoint;
pub use config::{
    Initialization, LearningRateSchedule, Preset, RunConfig, TrainingConfig, Versions,
};
pub use denoiser::{Denoiser, ShiftCount};
pub use error::{Result, TrainError};
pub use evaluate::{Evaluation, ImageScore, Protocol, Scored, Scoring, evaluate};
pub use export::Format;
pub use import::{ImportOptions, import_dictionary};
pub use metrics::StepRecord;
/// What a model is trained on, and noise levels of data and models.
pub use pudle_data::{DataConfig, Sigma};
pub use run::{Outcome, resume, train, train_watched};
pub use ssim::ssim;
pub use trainer::Trainer;
pub use update::{Update, UpdateRule};

/// The handle that ends a training after its current step, from any thread.
pub use burn::train::Interrupter;
