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
//! use pudle_core::{DenseConfig, DenseDictionary, Noise, Pudle, PudleConfig};
//!
//! let config = PudleConfig::dense(DenseConfig { dim: 8, atoms: 12 })
//!     .with_layers(20)
//!     .with_lambda(0.1);
//! let device = Device::flex();
//! let model = Pudle::<2, DenseDictionary>::new(&config, 0, &device)?;
//! let x = Tensor::<2>::ones([3, 8], &device);
//! let z = model.encode(x.clone(), &Noise::Unknown);
//! assert_eq!(z.dims(), [3, 12]);
//! assert_eq!(model.decode(z, x.dims()).dims(), [3, 8]);
//! # Ok::<(), pudle_core::ConfigError>(())
//! ```
//!
//! The method is that of *Stable and Interpretable Unrolled Dictionary Learning* (Tolooshams & Ba,
//! TMLR 08/2022, arXiv 2106.00058).

mod any;
mod backend;
mod baseline;
mod config;
mod dictionary;
mod encoder;
mod error;
mod fused;
mod given;
mod gradient;
mod implicit;
mod kernels;
mod level;
mod model;
mod noise;
mod objective;
mod observation;
mod padding;
mod pass;
mod proximal;
mod roughness;
mod shifts;
mod step;
mod threshold;
mod tying;
mod weight;
mod weights;
mod worker;

pub use any::{AnyPudle, ModelVisitor};
pub use backend::{Backend, BackendError, DeviceInfo, choose_device};
pub use config::PudleConfig;
pub use dictionary::{
    Configured, ConvConfig, ConvDictionary, ConvDictionary1d, ConvDictionary2d, Convolution,
    DenseConfig, DenseDictionary, Dictionary, DictionaryConfig,
};
pub use encoder::{Algorithm, Encoder, Layer};
pub use error::{ConfigError, RangeError, WeightError};
pub use gradient::{GradientEstimator, Loss, Response};
pub use kernels::Kernels;
pub use level::Level;
pub use model::Pudle;
pub use noise::Noise;
pub use objective::{Objective, ShiftedWindows};
pub use observation::{Binomial, Gaussian, Observation, Poisson};
pub use proximal::{Group, Hard, Proximal, Relu, Soft, TopK};
pub use pudle_kernels::count_launches;
pub use step::{Step, StepSize};
pub use threshold::{Constant, Continuation, Decaying, Learned, Threshold, ThresholdConfig};
pub use tying::WeightTying;
pub use weight::{Constraint, Weight};
pub use worker::{WorkerAddress, WorkerError, serve};
