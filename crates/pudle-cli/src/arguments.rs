//! Arguments that several commands share, and the parsers of their values.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pudle_core::{Backend, GradientEstimator, Kernels, Proximal};
use pudle_train::Denoiser;
use strum::VariantNames;

use crate::failure::Failure;

/// The backend and the implementation of the unrolled network.
#[derive(clap::Args)]
pub struct BackendArg {
    /// Backend that computes. Each backend is a cargo feature; a default build has flex, which runs on the CPU.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    pub backend: Backend,
    /// Implementation of the unrolled network: fused kernels (flex only), composed of Burn's operations, or auto, which
    /// prefers fused kernels. Results differ only by rounding.
    #[arg(long, value_name = "K", value_parser = words::<Kernels>())]
    pub kernels: Option<Kernels>,
}

impl BackendArg {
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
