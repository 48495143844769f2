//! Training, checkpoints, denoising and evaluation of [`pudle_core`] models.
//!
//! * [`RunConfig`] holds all settings of a run. [`train`] trains with Burn's Learner and writes a run
//!   directory. [`resume`] continues a run; the result is bit for bit that of an uninterrupted run.
//! * [`Trainer`] performs the same training steps on batches of the caller, without a run directory.
//! * [`Checkpoint`] is a directory with `config.toml` and `model.safetensors`. A run directory is a
//!   checkpoint, too. [`import_dictionary`] creates one from the dictionary of another program.
//! * [`Denoiser`] applies a checkpoint to images of any size. [`Denoiser::restore`] is for photographs as they are, with
//!   the noise that a [`pudle_data::NoiseLevel`] measures. [`evaluate`] measures its PSNR and SSIM.
//! * [`EventFinder`] finds the events of a recording: when the atoms of a run occur in it.

mod atoms;
mod blend;
mod checkpoint;
mod checkpoints;
mod cholesky;
mod clipping;
mod codes;
mod config;
mod data;
mod denoiser;
mod describe;
mod error;
mod evaluate;
mod export;
mod figures;
mod files;
mod frame;
mod import;
mod launch;
mod learner;
mod learning;
mod load;
mod local_fit;
mod local_lambda;
mod metrics;
mod moments;
mod network_file;
mod normalization;
mod online;
mod own_data;
mod own_recording;
mod parallel;
mod progress;
mod record;
mod refit;
mod restore;
mod revive;
mod run;
mod run_dir;
mod run_weights;
mod shipped;
mod sigma;
mod signals;
mod ssim;
mod stability;
mod stabilize;
mod start;
mod start_data;
mod strategy;
mod team;
mod tiles;
mod trainer;
mod update;
mod usage;
mod weights_file;
mod window;

pub use atoms::atoms_picture;
pub use checkpoint::Checkpoint;
pub use codes::{CodeStats, Coded, Coder, DataOptions, Visit, decode_file, encode_file};
pub use config::{
    Initialization, LearningRateSchedule, Preset, RunConfig, TrainingConfig, Versions,
};
pub use denoiser::{Denoiser, ShiftCount};
pub use error::{Result, TrainError};
pub use evaluate::{Evaluation, ImageScore, Protocol, Scored, Scoring, evaluate};
pub use export::{ExportOptions, Format};
pub use figures::RunFigures;
pub use import::{ImportOptions, Imported, import_dictionary};
pub use launch::Outcome;
pub use learning::DictionaryLearning;
pub use local_fit::{LevelGain, LocalLambdaFit};
pub use local_lambda::LocalLambda;
pub use metrics::StepRecord;
pub use own_data::{OwnData, Sparsity};
pub use own_recording::OwnRecording;
/// Settings of the training data, and noise levels.
pub use pudle_data::{DataConfig, Sigma};
pub use record::compare_data;
pub use run::{resume, train, train_at, train_opened, train_watched};
pub use run_dir::RunDir;
pub use shipped::shipped_names;
pub use signals::{
    Candidate, Event, EventFinder, EventScore, Events, Filters, OnsetResults, Selection,
    WaveformMatch,
};
pub use ssim::ssim;
pub use team::{Sharing, share_batches};
pub use trainer::Trainer;
pub use update::{Update, UpdateRule};

/// A handle that stops a training after its current step, from any thread.
pub use burn::train::Interrupter;
