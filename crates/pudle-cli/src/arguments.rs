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
    /// Implementation of the unrolled network: fused kernels (flex, wgpu, cuda and workers), composed of Burn's operations, or
    /// auto, which takes fused kernels if it can. Results differ only by rounding.
    #[arg(long, value_name = "K", value_parser = implementations())]
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

/// Whether numbers have 16 bits.
#[derive(clap::Args)]
pub struct HalfArg {
    /// Store codes, residuals and atoms with 16 bits between layers, for pictures and GPUs that have such numbers: `pudle devices`
    /// says which. Sums keep 32 bits, and so does a pass with gradients.
    #[arg(long, conflicts_with = "kernels")]
    pub half: bool,
}

impl HalfArg {
    /// Applies this argument to a denoiser.
    pub fn set(&self, denoiser: Denoiser) -> Result<Denoiser, Failure> {
        if !self.half {
            return Ok(denoiser);
        }
        Ok(denoiser.with_kernels(Kernels::Half).map_err(|error| format!("--half: {error}"))?)
    }
}

/// Whether λ is chosen by place.
#[derive(clap::Args)]
pub struct LambdaArg {
    /// Run the network once, with the same λ everywhere, although the checkpoint has a choice of λ by place.
    #[arg(long)]
    same_lambda: bool,
}

impl LambdaArg {
    /// Applies this argument to a denoiser.
    pub fn set(&self, denoiser: Denoiser) -> Denoiser {
        if self.same_lambda { denoiser.with_local_lambda(None) } else { denoiser }
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

/// Parses an implementation of the unrolled network. 16 bits are not one of them: they have [an argument](HalfArg).
pub fn implementations() -> impl TypedValueParser<Value = Kernels> {
    let words = Kernels::VARIANTS.iter().filter(|word| word.parse() != Ok(Kernels::Half));
    PossibleValuesParser::new(words)
        .map(|word| word.parse().expect("the word is one of those listed"))
}

/// Parses a gradient estimator.
pub fn parse_gradient(text: &str) -> Result<GradientEstimator, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

/// Parses a proximal operator.
pub fn parse_prox(text: &str) -> Result<Proximal, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

/// Longest side of a patch in pixels.
const LONGEST_SIDE: usize = 4096;

/// Lengths of one or two axes, each at least 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Size(pub Vec<usize>);

/// Parses the length of a signal, or the height and width of a picture.
pub fn parse_size(text: &str) -> Result<Size, String> {
    let lengths = text.split(['x', '×']).map(|part| part.trim().parse().ok().filter(|n| *n > 0));
    match lengths.collect::<Option<Vec<usize>>>() {
        Some(lengths) if lengths.len() <= 2 => Ok(Size(lengths)),
        _ => Err(format!("\"{text}\" is not a size such as 481x321, or 1000 for a signal")),
    }
}

/// Parses the height and width of patches.
pub fn parse_patch(text: &str) -> Result<[usize; 2], String> {
    let sides = parse_size(text).ok().and_then(|Size(sides)| <[usize; 2]>::try_from(sides).ok());
    sides.filter(|sides| sides.iter().all(|side| *side <= LONGEST_SIDE)).ok_or_else(|| {
        format!("\"{text}\" is not a height and a width from 1 to {LONGEST_SIDE}, such as 8x8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_patch("8x12"), Ok([8, 12]));
        assert_eq!(parse_size("481×321"), Ok(Size(vec![481, 321])));
        assert_eq!(parse_size("1000"), Ok(Size(vec![1000])));
        for text in ["8", "0x8", "8x", "ax8", "8x9999", "8x8x8"] {
            assert!(parse_patch(text).unwrap_err().contains(text));
        }
        for text in ["", "0", "8x8x8", "8xa"] {
            assert!(parse_size(text).unwrap_err().contains(text));
        }
    }
}
