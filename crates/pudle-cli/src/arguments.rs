//! Arguments that several commands have, and how their values are read.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pudle_core::{Backend, GradientEstimator, Kernels, Proximal};
use pudle_train::Denoiser;
use strum::VariantNames;

use crate::failure::Failure;

/// The backend and the implementation of the pass.
#[derive(clap::Args)]
pub struct BackendArg {
    /// Backend. Each is a cargo feature; flex, on the CPU, is the default one.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    pub backend: Backend,
    /// Implementation of the unrolled pass. auto is the fused one if the backend has it, and composed is made of Burn's
    /// operations. Both compute the same, up to rounding.
    #[arg(long, value_name = "K", value_parser = words::<Kernels>())]
    pub kernels: Option<Kernels>,
}

impl BackendArg {
    /// A denoiser that runs as these arguments say.
    pub fn set(&self, denoiser: Denoiser) -> Result<Denoiser, Failure> {
        Ok(match self.kernels {
            Some(kernels) => denoiser.with_kernels(kernels)?,
            None => denoiser,
        })
    }
}

/// Reads one of the words of an enum.
pub fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr + VariantNames + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS)
        .map(|word| word.parse().ok().expect("the word is one of those listed"))
}

pub fn parse_gradient(text: &str) -> Result<GradientEstimator, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

pub fn parse_prox(text: &str) -> Result<Proximal, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}
