//! Where the data `x` come from: pictures, noise, crops, digits and draws from known dictionaries.
//!
//! A [`Source`] gives a [`Batch`] for every step. The batch of step `k` is a function of the source's
//! settings, its seed and `k` alone. It does not depend on earlier steps or on the thread, so that a
//! stopped and resumed run sees the same data as an uninterrupted one:
//!
//! ```
//! use std::sync::Arc;
//! use pudle_data::{CropConfig, Crops, DeadLeaves, DeadLeavesConfig, Prefetch, Source};
//!
//! let pictures = DeadLeaves::new(DeadLeavesConfig { count: 8, ..Default::default() })?;
//! let config = CropConfig { crop: 32, batch: 2, sigma: 25.0.into(), ..Default::default() };
//! let crops = Arc::new(Crops::new(pictures, config)?);
//!
//! let mut resumed = Prefetch::new(crops.clone(), 5..8, 2);
//! let batch = resumed.next().unwrap()?;
//! assert_eq!(batch.shape, [2, 1, 32, 32]);
//! assert_eq!(batch, crops.batch(5)?);
//! # Ok::<(), pudle_data::DataError>(())
//! ```
//!
//! | Source | Batches |
//! |---|---|
//! | [`Crops`] | noisy random crops of [`Pictures`]: an [`ImageFolder`] or drawn [`DeadLeaves`] |
//! | [`WholePictures`] | whole pictures with fixed noise, for validation |
//! | [`SparseCoding`] | vectors of a known dictionary with exactly sparse codes |
//! | [`SparseSignals`] | signals of known filters with exactly sparse codes |
//! | [`MatrixBatches`] | rows of a [`Matrix`] in files of NumPy, safetensors or text, read as training goes |
//! | [`RecordingWindows`] | windows of a [`Recording`] in a file (WAV, NumPy, safetensors, text), or of a [`SyntheticRecording`] |
//! | [`DigitBatches`] | [`Digits`] as vectors, from IDX files or [`stroke_digits`] |
//!
//! [`DataConfig`] names the sources that a run can be trained on, with their settings. It says which dictionaries fit
//! the data and opens them for training and validation.
//!
//! Pictures are [`Image`]s, planar `f32` in \[0, 1\]. They are read from files and written to them as [`Photo`]s;
//! [`scene()`] draws one. Batches are plain vectors with a shape: nothing here depends on tensors of a deep
//! learning framework.
#![warn(missing_docs)]

mod amplitude;
mod arrays;
mod cache;
mod crops;
mod dead_leaves;
mod digits;
mod drawing;
mod draws;
mod error;
mod estimate;
mod fingerprint;
mod folder;
mod foreign;
mod idx;
mod image;
mod jpeg;
mod known_dictionary;
mod matrix;
mod noise;
mod noise_kinds;
mod noise_level;
mod normal;
mod order;
mod photo;
mod picture_files;
mod pictures;
mod recordings;
mod rng;
mod scene;
mod source;
mod sources;
mod sparse_coding;
mod sparse_signals;
mod strokes;
mod variety;
mod walk;
mod whole;
mod whole_pictures;

pub use amplitude::{Amplitude, SignRule};
pub use arrays::{ArrayArchive, Number, NumberKind, Packing, TensorsHeader, read_npy_header};
pub use crops::{CropConfig, Crops};
pub use dead_leaves::{DeadLeaves, DeadLeavesConfig};
pub use digits::{DigitBatches, DigitPart, Digits};
pub use error::{DataError, Result};
pub use estimate::estimate_sigma;
pub use fingerprint::{Fingerprint, sha256};
pub use folder::ImageFolder;
pub use foreign::foreign_file;
pub use idx::Idx;
pub use image::{ColorMode, Image, Raster};
pub use known_dictionary::KnownDictionary;
pub use matrix::{Matrix, MatrixBatches, Missing, Normalization, Normalize, Rows};
pub use noise::{Sigma, add_gaussian, add_validation_noise};
pub use noise_kinds::NoiseKinds;
pub use noise_level::{LightNoise, NoiseLevel};
pub use normal::{normal_density, upper_tail};
pub use photo::{Photo, PhotoOptions};
pub use picture_files::PictureFiles;
pub use pictures::Pictures;
pub use recordings::{
    ChannelNoise, CodeShape, Extent, Onset, Onsets, Recording, RecordingOptions, RecordingWindows,
    SyntheticRaster, SyntheticRasterConfig, SyntheticRecording, SyntheticRecordingConfig,
    TrueEvent, Waveforms,
};
pub use rng::{Stream, step_rng};
pub use scene::scene;
pub use source::{Batch, Prefetch, Source, Support};
pub use sources::{
    DataConfig, DeadLeavesSettings, DigitSettings, LabelledDigits, MatrixSettings, OpenOptions,
    Opened, PhotographSettings, RecordingSettings, SparseCodingSettings, StrokeSettings,
    Validation,
};
pub use sparse_coding::{SparseCoding, SparseCodingConfig};
pub use sparse_signals::{SparseSignals, SparseSignalsConfig};
pub use strokes::stroke_digits;
pub use variety::Variety;
pub use whole::{WriteSeek, check_writable, is_temporary, write_whole, write_whole_with};
pub use whole_pictures::WholePictures;
