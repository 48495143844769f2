//! Where `x` comes from: pictures, noise, crops, digits and synthetic sparse coding problems.
//!
//! A [`Source`] gives a [`Batch`] for every step. What step `k` sees is a function of the source's
//! settings, its seed and `k` alone, whatever ran before and on whichever thread, so that a run
//! which is stopped and resumed sees what it would have seen anyway:
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
//! | Source | What it gives |
//! |---|---|
//! | [`Crops`] | noisy random crops of [`Pictures`]: an [`ImageFolder`] or drawn [`DeadLeaves`] |
//! | [`WholePictures`] | whole pictures with fixed noise, for validation |
//! | [`SparseCoding`] | data of a known dictionary with exactly sparse codes |
//! | [`DigitBatches`] | [`Digits`] as vectors, from IDX files or [`stroke_digits`] |
//!
//! Pictures are [`Image`]s, planar `f32` in \[0, 1\], read from files and written to them as [`Photo`]s; [`scene()`] draws one to look at. Nothing here
//! depends on a deep learning framework: batches are plain vectors with a shape.
#![warn(missing_docs)]

mod cache;
mod crops;
mod dead_leaves;
mod digits;
mod error;
mod estimate;
mod folder;
mod idx;
mod image;
mod noise;
mod order;
mod rng;
mod scene;
mod source;
mod sparse_coding;
mod strokes;
mod whole;

pub use crops::{CropConfig, Crops, Pictures, WholePictures};
pub use dead_leaves::{DeadLeaves, DeadLeavesConfig};
pub use digits::{DigitBatches, DigitPart, Digits};
pub use error::{DataError, Result};
pub use estimate::estimate_sigma;
pub use folder::ImageFolder;
pub use idx::Idx;
pub use image::{ColorMode, Image, Photo, Raster};
pub use noise::{Sigma, add_gaussian, add_validation_noise};
pub use rng::{Stream, step_rng};
pub use scene::scene;
pub use source::{Batch, Prefetch, Source};
pub use sparse_coding::{Amplitude, SignRule, SparseCoding, SparseCodingConfig};
pub use strokes::stroke_digits;
pub use whole::{WriteSeek, write_whole, write_whole_with};
