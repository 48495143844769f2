//! Arguments that several commands share, and the parsers of their values.

use std::str::FromStr;

use burn::tensor::Device;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pudle_core::{Backend, BackendError, GradientEstimator, Kernels, Proximal, choose_device};
use pudle_train::Denoiser;
use strum::VariantNames;

use crate::failure::Failure;

/// The backend and the implementation of the unrolled network.
#[derive(clap::Args)]
pub struct BackendArg {
    /// Backend that computes. Each backend is a cargo feature; a default build has flex, which runs on the CPU.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    pub backend: Backend,
    #[command(flatten)]
    pub device: DeviceArg,
    /// Implementation of the unrolled network: fused kernels (flex only), composed of Burn's operations, or auto, which
    /// prefers fused kernels. Results differ only by rounding.
    #[arg(long, value_name = "K", value_parser = words::<Kernels>())]
    pub kernels: Option<Kernels>,
}

/// The device of a backend.
#[derive(clap::Args)]
pub struct DeviceArg {
    /// Number of the backend's device, from 0. `pudle devices` lists them. The default is the one that the backend prefers.
    #[arg(long = "device", value_name = "N")]
    number: Option<usize>,
}

impl DeviceArg {
    /// The device of a backend, which is that of every later choice, too.
    pub fn open(&self, backend: Backend) -> Result<Device, BackendError> {
        self.choose();
        backend.device()
    }

    /// Makes the device that of every later choice of a backend's device.
    pub fn choose(&self) {
        if let Some(number) = self.number {
            let first = choose_device(number);
            debug_assert!(first, "a command has one device");
        }
    }
}

impl BackendArg {
    /// The device.
    pub fn device(&self) -> Result<Device, BackendError> {
        self.device.open(self.backend)
    }

    /// Applies these arguments to a denoiser.
    pub fn set(&self, denoiser: Denoiser) -> Result<Denoiser, Failure> {
        Ok(match self.kernels {
            Some(kernels) => denoiser.with_kernels(kernels)?,
            None => denoiser,
        })
    }
}

/// Parses the name of an enum's variant. The help lists all names.
pub fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr + VariantNames + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS)
        .map(|word| word.parse().ok().expect("the word is one of those listed"))
}

/// Parses a gradient estimator.
pub fn parse_gradient(text: &str) -> Result<GradientEstimator, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

/// Parses a proximal operator.
pub fn parse_prox(text: &str) -> Result<Proximal, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}
