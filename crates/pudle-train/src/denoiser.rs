//! Image denoising with a checkpoint.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{AnyPudle, ConvDictionary2d, Dictionary, Kernels, Noise, Pudle};
use pudle_data::{Image, Sigma};

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::local_lambda::LocalLambda;
use crate::shipped::shipped_local_lambda;
use crate::sigma::check_sigma;
use crate::stability::step_above_bound;

/// Largest value of a picture for numbers of 16 bits. They end at 65,504, so that codes may be 64 times as large.
const MOST_HALF: f32 = 1024.0;

/// An estimate that is larger than its picture by more than this factor comes from layers that diverge.
const MOST_GROWTH: f32 = 50.0;

/// A convolutional dictionary network as an image denoiser.
#[derive(Clone, Debug)]
pub struct Denoiser {
    model: Pudle<4, ConvDictionary2d>,
    /// Standard deviation of the noise that the model was trained for, on the scale 0 … 255, if it is known.
    sigma: Option<Sigma>,
    /// Number of shifts over which estimates are averaged.
    shifts: usize,
    /// The choice of λ by place, if there is one.
    local: Option<LocalLambda>,
    device: Device,
}

/// Number of shifts of the atoms' grid over which a denoiser averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftCount {
    /// This number, at least 1.
    Count(usize),
    /// All shifts. Their number is the stride squared.
    All,
}

impl Default for ShiftCount {
    fn default() -> Self {
        ShiftCount::Count(1)
    }
}

impl FromStr for ShiftCount {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "all" => Ok(ShiftCount::All),
            number => match number.parse() {
                Ok(count @ 1..) => Ok(ShiftCount::Count(count)),
                _ => Err(format!("\"{number}\" is neither a number of at least 1 nor \"all\"")),
            },
        }
    }
}

impl fmt::Display for ShiftCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShiftCount::Count(count) => write!(f, "{count}"),
            ShiftCount::All => f.write_str("all"),
        }
    }
}

impl Denoiser {
    /// Loads the shipped checkpoint of this name, or that of a directory, with its choice of λ by place if it has one.
    ///
    /// # Errors
    /// Returns an error if the checkpoint cannot be read or its model is not an image model.
    pub fn load(name_or_dir: &Path, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::load(name_or_dir, device)?;
        let denoiser = Self::new(checkpoint, &name_or_dir.display().to_string(), device)?;
        let local = match shipped_local_lambda(name_or_dir) {
            Some(text) => text.map(|text| LocalLambda::parse(text, name_or_dir)).transpose()?,
            None => LocalLambda::read(name_or_dir)?,
        };
        Ok(denoiser.with_local_lambda(local))
    }

    /// Creates a denoiser from a checkpoint, with the same λ everywhere. Errors use `name` for the checkpoint.
    ///
    /// # Errors
    /// Returns an error if the model is not an image model.
    pub fn new(checkpoint: Checkpoint, name: &str, device: &Device) -> Result<Self> {
        match checkpoint.model {
            AnyPudle::Conv2d(model) => Ok(Self {
                model,
                sigma: checkpoint.sigma,
                shifts: 1,
                local: None,
                device: device.clone(),
            }),
            _ => Err(TrainError::Unsuitable(format!(
                "{name}: an image model is needed, but the atoms have shape {:?}",
                checkpoint.config.dictionary.shape()
            ))),
        }
    }

    /// The same denoiser with the mean over this number of shifts of the atoms' grid.
    ///
    /// # Errors
    /// Returns an error if the number is not between 1 and the stride squared.
    pub fn with_shifts(mut self, shifts: ShiftCount) -> Result<Self> {
        let most = self.most_shifts();
        self.shifts = match shifts {
            ShiftCount::All => most,
            ShiftCount::Count(count) if (1..=most).contains(&count) => count,
            ShiftCount::Count(count) => {
                let range = format!("between 1 and {most}, the square of the atoms' stride");
                return Err(TrainError::range("shifts", count, range));
            }
        };
        Ok(self)
    }

    /// The same denoiser with another implementation of the unrolled network.
    ///
    /// # Errors
    /// Returns an error if the backend does not have this implementation.
    pub fn with_kernels(mut self, kernels: Kernels) -> Result<Self> {
        self.model = self.model.with_kernels(kernels)?;
        Ok(self)
    }

    /// The same denoiser with this choice of λ by place, or with the same λ everywhere.
    pub fn with_local_lambda(mut self, local: Option<LocalLambda>) -> Self {
        self.local = local;
        self
    }

    /// The choice of λ by place, if there is one.
    pub fn local_lambda(&self) -> Option<&LocalLambda> {
        self.local.as_ref()
    }

    /// Number of channels of the atoms.
    pub fn channels(&self) -> usize {
        self.model.dictionary().atoms().dims()[1]
    }

    /// Denoises a picture of any size. The result is the reconstruction `D z_T`, or its mean over
    /// [shifts](Self::with_shifts), and is not clipped.
    ///
    /// A grey model denoises each channel of a colour picture separately. A colour model gets a grey picture as three
    /// equal channels, and the result is the mean of the three.
    ///
    /// A picture that is smaller than an atom is reflected at its borders first.
    ///
    /// `sigma` is the standard deviation of the picture's noise on the scale 0 … 255, between 0.01 and 255, or `None`
    /// if it is unknown. Thresholds that depend on the noise use it. If the model was trained for other noise levels,
    /// the picture is scaled to the nearest one, so that noise and thresholds match: `x̂ = f(x r) / r` with
    /// `r = σ_trained / σ`, around the model's offset. With a [choice of λ by place](LocalLambda) and a known level, the network
    /// runs twice.
    ///
    /// # Errors
    /// Returns an error if `sigma` is out of range, or the model does not support the picture's number of channels, or if the layers diverge.
    pub fn denoise(&self, noisy: &Image, sigma: Option<f32>) -> Result<Image> {
        if let Some(sigma) = sigma {
            check_sigma("sigma", sigma)?;
        }
        let [_, height, width] = noisy.shape();
        let size = self.atom_size();
        if height.min(width) < size {
            let padded = noisy.pad_reflect_to(height.max(size), width.max(size));
            return Ok(self.denoise(&padded, sigma)?.crop(0, 0, height, width));
        }
        let estimate = self.estimate(noisy, sigma, 1.0)?;
        let (Some(local), Some(sigma)) = (&self.local, sigma) else { return Ok(estimate) };
        let larger = self.estimate(noisy, Some(sigma), local.factor)?;
        Ok(local.apply(estimate, &larger, sigma / 255.0, self.told(sigma)))
    }

    /// The noise level that the network is told, for one of a picture.
    pub(crate) fn told(&self, sigma: f32) -> f32 {
        self.sigma.map_or(sigma, |trained| trained.nearest(sigma))
    }

    /// Whether λ of the model depends on the noise's level.
    pub(crate) fn follows_noise(&self) -> bool {
        let model = AnyPudle::Conv2d(self.model.clone());
        let lambda = |level| model.lambda(0, &Noise::Same(level));
        lambda(25.0) != lambda(30.0)
    }

    /// The mean over shifts, with thresholds for a noise level that is larger by `factor`. The picture is not smaller than an
    /// atom.
    pub(crate) fn estimate(&self, noisy: &Image, sigma: Option<f32>, factor: f32) -> Result<Image> {
        let [channels, height, width] = noisy.shape();
        let model_channels = self.channels();
        let ratio = sigma.map_or(1.0, |sigma| self.told(sigma) / sigma);
        let level = |sigma: f32| Noise::Same(f64::from(sigma * ratio * factor));
        let noise = sigma.map_or(Noise::Unknown, level);
        let (batch, data) = match (model_channels, channels) {
            (model, image) if model == image => (1, noisy.data.clone()),
            (1, image) => (image, noisy.data.clone()),
            (model, 1) => (1, noisy.data.repeat(model)),
            (model, image) => {
                return Err(TrainError::Unsuitable(format!(
                    "the picture has {image} channels, but the model has {model}"
                )));
            }
        };
        let shape = [batch, model_channels, height, width];
        self.check_half(&data, ratio)?;
        let x = Tensor::<4>::from_data(TensorData::new(data, shape), &self.device);
        let estimate = match ratio {
            // Without scaling there is no rounding.
            1.0 => self.model.reconstruct_shifted(x, &noise, self.shifts),
            ratio => {
                let offset = self.model.config().offset;
                let scaled = (x - offset) * ratio + offset;
                (self.model.reconstruct_shifted(scaled, &noise, self.shifts) - offset) / ratio
                    + offset
            }
        };
        let estimate = match (model_channels, channels) {
            (model, 1) if model > 1 => estimate.mean_dim(1),
            _ => estimate,
        };
        let data = estimate.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted");
        self.check_estimate(noisy, &data)?;
        Ok(Image::new(channels, height, width, data)?)
    }

    /// Returns an error if numbers of 16 bits are asked for and may not hold the codes of a picture that is scaled by `ratio`.
    fn check_half(&self, data: &[f32], ratio: f32) -> Result<()> {
        let largest = ratio * data.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        if self.model.config().kernels == Kernels::Half && largest > MOST_HALF {
            return Err(TrainError::Unsuitable(format!(
                "numbers of 16 bits are for pictures with values up to {MOST_HALF}, but at this noise level the network sees values up to {largest:.0}"
            )));
        }
        Ok(())
    }

    /// Returns an error if an estimate is not finite, or is much larger than the picture: the layers then diverge.
    fn check_estimate(&self, noisy: &Image, estimate: &[f32]) -> Result<()> {
        let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let (from, to) = (largest(&noisy.data), largest(estimate));
        let finite = estimate.iter().all(|value| value.is_finite());
        if finite && to <= MOST_GROWTH * (1.0 + from) {
            return Ok(());
        }
        let cause = step_above_bound(&AnyPudle::Conv2d(self.model.clone()))
            .unwrap_or_else(|| "the weights do not fit each other".into());
        let result = if finite { format!("reaches {to:.1e}") } else { "is not finite".into() };
        Err(TrainError::Unsuitable(format!(
            "the estimate {result}, for a picture of values up to {from:.2}: {cause}"
        )))
    }

    /// Standard deviation of the noise that the model was trained for, on the scale 0 … 255, if it is known.
    /// If it is not known, the noise level of a picture has no effect.
    pub fn trained_sigma(&self) -> Option<Sigma> {
        self.sigma
    }

    /// The radius of the receptive field in pixels. Pixels farther away do not affect the estimate of a pixel. Every
    /// layer and the decoder add the size of an atom minus 1. A choice of λ by place adds half its window.
    pub fn reach(&self) -> usize {
        let network = (self.model.config().layers + 1) * (self.atom_size() - 1);
        network + self.local.as_ref().map_or(0, LocalLambda::reach)
    }

    /// The number of all shifts of the atoms' grid, the stride squared.
    pub fn most_shifts(&self) -> usize {
        self.stride().pow(2)
    }

    /// Stride of the atoms in pixels.
    pub(crate) fn stride(&self) -> usize {
        self.model.dictionary().stride()
    }

    /// Side of the atoms in pixels.
    pub fn atom_size(&self) -> usize {
        self.model.dictionary().atoms().dims()[2]
    }
}
