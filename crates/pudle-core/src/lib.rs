//! Interpretable dictionary learning by unrolled networks.
//!
//! Data `x ≈ D z` with a sparse code `z`. An encoder of `T` unrolled, weight-tied
//! proximal-gradient layers shares the dictionary `D`,
//!
//! ```text
//! z_{t+1} = Φ(z_t − α Dᵀ(D z_t − x)),   z_0 = 0,
//! ```
//!
//! a decoder multiplies by it, `x̂ = D z_T`, and *how the gradient flows back through the layers*
//! is a setting ([`GradientEstimator`]) rather than a different model.
//!
//! The model is a Burn [`Module`](burn::module::Module), generic over the rank of its data:
//! [`DenseDictionary`] for vectors, [`ConvDictionary1d`] for signals, [`ConvDictionary2d`] for
//! images.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use pudle_core::{DenseConfig, DenseDictionary, Pudle, PudleConfig};
//!
//! let config = PudleConfig::dense(DenseConfig { dim: 8, atoms: 12 })
//!     .with_layers(20)
//!     .with_lambda(0.1);
//! let device = Device::flex();
//! let model = Pudle::<2, DenseDictionary>::new(&config, 0, &device)?;
//! let x = Tensor::<2>::ones([3, 8], &device);
//! let z = model.encode(x.clone());
//! assert_eq!(z.dims(), [3, 12]);
//! assert_eq!(model.decode(z, x.dims()).dims(), [3, 8]);
//! # Ok::<(), pudle_core::ConfigError>(())
//! ```
//!
//! The method is that of *Stable and Interpretable Unrolled Dictionary Learning* (Tolooshams & Ba,
//! TMLR 08/2022, arXiv 2106.00058).

mod backend;
mod config;
mod dictionary;
mod encoder;
mod error;
mod fused;
mod gradient;
mod implicit;
mod model;
mod padding;
mod proximal;
mod shifts;
mod threshold;

pub use backend::{Backend, BackendError};
pub use config::{
    Banks, Conv1dConfig, Conv2dConfig, DenseConfig, DictionaryConfig, PudleConfig, Step,
};
pub use dictionary::{ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary};
pub use encoder::{Algorithm, Encoder, Layer, Layers, StepSize};
pub use error::ConfigError;
pub use fused::Kernels;
pub use gradient::{GradientEstimator, Loss, Response};
pub use model::{Configured, Objective, Pudle};
pub use proximal::{Level, Proximal};
pub use threshold::{Threshold, ThresholdConfig};
