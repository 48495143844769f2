//! Workloads: a model and its data.

use std::path::Path;

use burn::tensor::{Device, TensorData};
use pudle_core::{
    ConfigError, Configured, ConvConfig, DenseConfig, DictionaryConfig, Noise, Pudle, PudleConfig,
    RangeError, Weight,
};
use pudle_data::{
    Amplitude, SignRule, SparseCoding, SparseCodingConfig, SyntheticRecording,
    SyntheticRecordingConfig, add_gaussian, scene,
};
use serde::Serialize;
use thiserror::Error;

/// A kind of workload.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Case {
    /// A training step of the published denoiser: 129×129 pixels, 64 filters of 9×9, stride 4, T = 15.
    Conv,
    /// A matrix of 1500 atoms of dimension 1000, T = 100, batches of 50 data of 10 atoms each.
    Dense,
    /// Ten seconds of a recording at 30 kHz, 4 atoms of 60 samples at every sample, T = 200.
    Signal,
    /// A whole photograph, 481×321 pixels, through the published denoiser.
    Image,
}

/// An error of a workload.
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// A number is out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A setting of the model is not allowed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model is not an image model.
    #[error("this case needs an image model")]
    NotImages,
    /// The backend cannot be used.
    #[error(transparent)]
    Backend(#[from] pudle_core::BackendError),
    /// The data cannot be drawn.
    #[error(transparent)]
    Data(#[from] pudle_data::DataError),
    /// The file cannot be written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

/// Sizes that replace those of a case; `None` keeps the case's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Batch size, 1 to 4096.
    pub batch: Option<usize>,
    /// Layers `T`, 1 to 100,000.
    pub layers: Option<usize>,
    /// Number of atoms `p`, 1 to 65,536. The atoms are then random.
    pub atoms: Option<usize>,
    /// Side of a square image, dimension `m` of a vector, or samples of a signal.
    pub side: Option<usize>,
    /// Channels of a signal, 1 to 4096.
    pub channels: Option<usize>,
    /// Number of averaged shifts of the atoms' grid, from 1 to the stride squared. For images only.
    pub shifts: Option<usize>,
}

/// A trained model: its settings and weights.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The settings.
    pub config: PudleConfig,
    /// All learned weights.
    pub weights: Vec<Weight>,
}

/// The atoms and data of a workload.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Atoms, in the shape of the dictionary.
    pub atoms: TensorData,
    /// A batch of data.
    pub x: TensorData,
    /// Noise of the data, on the scale 0 … 255.
    pub noise: Noise,
}

/// A model and its data.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The kind of workload.
    pub case: Case,
    /// The model.
    pub config: PudleConfig,
    /// Batch size.
    pub batch: usize,
    /// Number of averaged shifts.
    pub shifts: usize,
    /// Atoms and data.
    pub inputs: Inputs,
    /// The trained model whose weights are used. If it is `None`, the model has the atoms of `inputs`, and all other
    /// weights have their initial values.
    trained: Option<Trained>,
}

impl Trained {
    /// The atoms of the dictionary, flat.
    fn atoms(&self) -> Vec<f32> {
        let atoms = self.weights.iter().find(|weight| weight.path == "dictionary.atoms");
        atoms.map(Weight::to_vec).unwrap_or_default()
    }
}

/// Noise of the images, on the scale 0 … 255.
const SIGMA: f32 = 25.0;
/// Samples of a waveform of a signal.
const WAVEFORM: usize = 60;

impl Workload {
    /// A workload that depends only on its settings and `seed`. Images use the model `trained`, if it is given and `size`
    /// does not set the number of atoms. Otherwise they use random filters in the architecture of the published denoiser.
    ///
    /// # Errors
    /// Returns an error if a size is out of its range, or if the model is not an image model.
    pub fn new(
        case: Case,
        size: Size,
        trained: Option<Trained>,
        seed: u64,
    ) -> Result<Self, WorkloadError> {
        let bounded = |field, value: Option<usize>, default, most| match value.unwrap_or(default) {
            value if (1..=most).contains(&value) => Ok(value),
            value => Err(RangeError::new(field, value, format!("between 1 and {most}"))),
        };
        if let (Some(value), false) = (size.channels, case == Case::Signal) {
            return Err(RangeError::new("channels", value, "left out but for a signal").into());
        }
        match case {
            Case::Signal => {
                if let Some(value @ 2..) = size.shifts {
                    let range = "1 for atoms at every sample";
                    return Err(RangeError::new("shifts", value, range).into());
                }
                let batch = bounded("batch", size.batch, 1, 4096)?;
                let atoms = bounded("atoms", size.atoms, 4, 64)?;
                let channels = bounded("channels", size.channels, 1, 4096)?;
                let samples = bounded("side", size.side, 300_000, 1 << 26)?;
                let filters = ConvConfig { atoms, channels, size: WAVEFORM, stride: 1 };
                Self::signal(filters, [batch, samples], size.layers.unwrap_or(200), seed)
            }
            Case::Dense => {
                if let Some(value @ 2..) = size.shifts {
                    let range = "1 for a matrix, which has no grid of atoms";
                    return Err(RangeError::new("shifts", value, range).into());
                }
                let batch = bounded("batch", size.batch, 50, 4096)?;
                let dim = bounded("side", size.side, 1000, 8192)?;
                let atoms = bounded("atoms", size.atoms, 1500, 16_384)?;
                Self::dense([batch, dim, atoms], size.layers.unwrap_or(100), seed)
            }
            Case::Conv | Case::Image => {
                let trained = trained.filter(|_| size.atoms.is_none());
                let published = || {
                    let atoms = bounded("atoms", size.atoms, 64, 4096)?;
                    let filters = ConvConfig { atoms, channels: 1, size: 9, stride: 4 };
                    let config = PudleConfig::conv2d(filters).with_step(0.1).with_lambda(0.16);
                    let atoms = random_filters(&filters, seed)?;
                    Ok::<_, WorkloadError>((config.with_layers(15), atoms))
                };
                let (config, atoms) = match &trained {
                    Some(trained) => (trained.config.clone(), trained.atoms()),
                    None => published()?,
                };
                let DictionaryConfig::Conv2d(filters) = config.dictionary else {
                    return Err(WorkloadError::NotImages);
                };
                let config = match size.layers {
                    Some(layers) => config.with_layers(layers),
                    None => config,
                };
                config.validate()?;
                let batch = bounded("batch", size.batch, 1, 4096)?;
                let sides = match (case, size.side) {
                    (_, Some(side)) if !(filters.size..=8192).contains(&side) => {
                        let range =
                            format!("between {}, the side of an atom, and 8192", filters.size);
                        return Err(RangeError::new("side", side, range).into());
                    }
                    (_, Some(side)) => [side; 2],
                    (Case::Image, None) => [321, 481],
                    _ => [129; 2],
                };
                // The data of a step have a size that the atoms cover.
                let sides = match case {
                    Case::Conv => sides.map(|n| n - (n - filters.size) % filters.stride),
                    _ => sides,
                };
                let most = filters.stride * filters.stride;
                let shifts = bounded("shifts", size.shifts, 1, most)?;
                let atoms = TensorData::new(atoms, config.dictionary.shape());
                let channels = filters.channels;
                let x = (0..batch as u64)
                    .flat_map(|k| picture(sides, seed.wrapping_add(k)).repeat(channels));
                let x = TensorData::new(x.collect(), [batch, channels, sides[0], sides[1]]);
                let inputs = Inputs { atoms, x, noise: Noise::Same(f64::from(SIGMA)) };
                Ok(Self { case, config, batch, shifts, inputs, trained })
            }
        }
    }

    fn dense(
        [batch, dim, atoms]: [usize; 3],
        layers: usize,
        seed: u64,
    ) -> Result<Self, WorkloadError> {
        let config = PudleConfig::dense(DenseConfig { dim, atoms })
            .with_layers(layers)
            .with_step(0.2)
            .with_lambda(0.2);
        config.validate()?;
        let draws = SparseCoding::new(SparseCodingConfig {
            dim,
            atoms,
            sparsity: 10.min(atoms),
            count: batch,
            batch,
            amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry },
            noise_sd: 0.0,
            seed,
        })?;
        let x: Vec<f32> = (0..batch).flat_map(|i| draws.datum(i).0).collect();
        let inputs = Inputs {
            atoms: TensorData::new(draws.perturbed(0.005, seed), [dim, atoms]),
            x: TensorData::new(x, [batch, dim]),
            noise: Noise::Unknown,
        };
        Ok(Self { case: Case::Dense, config, batch, shifts: 1, inputs, trained: None })
    }

    /// Signals that are made of the atoms, in standard deviations of their noise, at 10 dB.
    fn signal(
        filters: ConvConfig,
        [batch, samples]: [usize; 2],
        layers: usize,
        seed: u64,
    ) -> Result<Self, WorkloadError> {
        let config =
            PudleConfig::conv1d(filters).with_layers(layers).with_step(0.04).with_lambda(4.0);
        config.validate()?;
        let ConvConfig { atoms, channels, .. } = filters;
        let mut x = vec![0.0; batch * channels * samples];
        let made = SyntheticRecording::new(SyntheticRecordingConfig {
            waveforms: atoms,
            length: WAVEFORM,
            channels,
            samples: batch * samples,
            seed,
            ..Default::default()
        })?;
        for (k, x) in x.chunks_exact_mut(channels * samples).enumerate() {
            made.recording().read(0, k * samples, x)?;
            x.iter_mut().for_each(|value| *value /= made.noise());
        }
        let waveforms = made.waveforms();
        let unit = |j: usize| {
            let norm = waveforms.norm(j);
            waveforms.waveform(j).iter().map(move |value| value / norm)
        };
        let atoms: Vec<f32> = (0..atoms).flat_map(unit).collect();
        let inputs = Inputs {
            atoms: TensorData::new(atoms, config.dictionary.shape()),
            x: TensorData::new(x, [batch, channels, samples]),
            noise: Noise::Unknown,
        };
        Ok(Self { case: Case::Signal, config, batch, shifts: 1, inputs, trained: None })
    }

    /// The same workload with one more layer, with the initial values of weights per layer.
    pub(crate) fn longer(&self) -> Self {
        let layers = self.config.layers + 1;
        let config = self.config.clone().with_layers(layers);
        Self { config, trained: None, ..self.clone() }
    }

    /// Creates the model, with all weights of the trained model that fit its settings.
    ///
    /// # Errors
    /// Returns an error if the backend of `device` does not support it.
    pub fn model<const D: usize, A: Configured<D>>(
        &self,
        device: &Device,
    ) -> Result<Pudle<D, A>, ConfigError> {
        let model = Pudle::from_data(&self.config, self.inputs.atoms.clone(), device)?;
        match &self.trained {
            Some(Trained { config, weights }) => model.start_from(config, weights),
            None => Ok(model),
        }
    }

    /// Writes atoms and data as `atoms` and `x`, and `results` by name, to a safetensors file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save(
        &self,
        path: &Path,
        results: &[(&'static str, TensorData)],
    ) -> Result<(), WorkloadError> {
        let tensors = [("atoms", &self.inputs.atoms), ("x", &self.inputs.x)];
        let tensors: Vec<_> = tensors
            .into_iter()
            .chain(results.iter().map(|(name, data)| (*name, data)))
            .map(|(name, data)| (name, data.shape().to_vec(), data.clone().convert::<f32>()))
            .collect();
        let views = tensors.iter().map(|(name, shape, data)| {
            let view = safetensors::tensor::TensorView::new(
                safetensors::Dtype::F32,
                shape.clone(),
                data.as_bytes(),
            );
            (*name, view.expect("as many numbers as the shape says"))
        });
        let fail =
            |reason: String| WorkloadError::File { path: path.display().to_string(), reason };
        let bytes = safetensors::serialize(views, None).map_err(|error| fail(error.to_string()))?;
        pudle_data::write_whole(path, &bytes).map_err(|error| fail(error.to_string()))
    }
}

/// Random filters of unit norm.
fn random_filters(filters: &ConvConfig, seed: u64) -> Result<Vec<f32>, WorkloadError> {
    // The columns of a random dictionary, one after the other.
    let draws = SparseCoding::new(SparseCodingConfig {
        dim: filters.channels * filters.size * filters.size,
        atoms: filters.atoms,
        sparsity: 1,
        count: 1,
        batch: 1,
        amplitude: Amplitude::Uniform { low: 1.0, high: 1.0, sign: SignRule::PerEntry },
        noise_sd: 0.0,
        seed,
    })?;
    let column = |j| draws.dictionary().iter().skip(j).step_by(filters.atoms).copied();
    Ok((0..filters.atoms).flat_map(column).collect())
}

/// A noisy picture `[height, width]`.
fn picture([height, width]: [usize; 2], seed: u64) -> Vec<f32> {
    add_gaussian(&scene(width.max(16), height.max(16), seed), SIGMA, seed)
        .to_gray()
        .crop(0, 0, height, width)
        .data
}
