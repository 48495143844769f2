//! A trained model as a directory: `config.toml` and `model.safetensors`.

use std::fmt;
use std::io::Cursor;
use std::path::Path;
use std::str::FromStr;

use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{
    Banks, Configured, Conv2dConfig, ConvDictionary1d, ConvDictionary2d, DenseConfig,
    DenseDictionary, Dictionary, DictionaryConfig, Kernels, Level, Proximal, Pudle, PudleConfig,
};
use pudle_data::Sigma;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::atoms::atoms_picture;
use crate::config::Versions;
use crate::denoiser::check_sigma;
use crate::error::{Result, TrainError};
use crate::files::{create_dir, write_whole};

/// File of the weights in a checkpoint.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// A model over any of the ranks.
#[derive(Clone, Debug)]
pub enum AnyPudle {
    /// Over vectors.
    Dense(Pudle<2, DenseDictionary>),
    /// Over signals.
    Conv1d(Pudle<3, ConvDictionary1d>),
    /// Over images.
    Conv2d(Pudle<4, ConvDictionary2d>),
}

/// Runs the same expression on the model of whatever rank.
macro_rules! each_rank {
    ($any:expr, $model:ident => $body:expr) => {
        match $any {
            AnyPudle::Dense($model) => $body,
            AnyPudle::Conv1d($model) => $body,
            AnyPudle::Conv2d($model) => $body,
        }
    };
}

impl AnyPudle {
    /// A model with random atoms.
    ///
    /// # Errors
    /// As [`Pudle::new`].
    pub fn new(config: &PudleConfig, seed: u64, device: &Device) -> Result<Self> {
        Ok(match config.dictionary {
            DictionaryConfig::Dense(_) => AnyPudle::Dense(Pudle::new(config, seed, device)?),
            DictionaryConfig::Conv1d(_) => AnyPudle::Conv1d(Pudle::new(config, seed, device)?),
            DictionaryConfig::Conv2d(_) => AnyPudle::Conv2d(Pudle::new(config, seed, device)?),
        })
    }

    /// A model with these atoms.
    ///
    /// # Errors
    /// As [`Pudle::from_data`].
    pub fn from_data(config: &PudleConfig, atoms: TensorData, device: &Device) -> Result<Self> {
        fn model<const D: usize, A: Configured<D>>(
            config: &PudleConfig,
            atoms: TensorData,
            device: &Device,
        ) -> Result<Pudle<D, A>> {
            Ok(Pudle::from_data(config, atoms, device)?)
        }
        Ok(match config.dictionary {
            DictionaryConfig::Dense(_) => AnyPudle::Dense(model(config, atoms, device)?),
            DictionaryConfig::Conv1d(_) => AnyPudle::Conv1d(model(config, atoms, device)?),
            DictionaryConfig::Conv2d(_) => AnyPudle::Conv2d(model(config, atoms, device)?),
        })
    }

    /// The same model run by another implementation of the pass.
    ///
    /// # Errors
    /// As [`Pudle::with_kernels`].
    pub fn with_kernels(self, kernels: Kernels) -> Result<Self> {
        Ok(match self {
            AnyPudle::Dense(model) => AnyPudle::Dense(model.with_kernels(kernels)?),
            AnyPudle::Conv1d(model) => AnyPudle::Conv1d(model.with_kernels(kernels)?),
            AnyPudle::Conv2d(model) => AnyPudle::Conv2d(model.with_kernels(kernels)?),
        })
    }

    /// The atoms, flat, and their shape: `[m, p]`, `[p, C, k]` or `[p, C, k, k]`.
    pub fn atoms(&self) -> (Vec<f32>, Vec<usize>) {
        fn flat<const D: usize>(atoms: Tensor<D>) -> (Vec<f32>, Vec<usize>) {
            let shape = atoms.dims().to_vec();
            (atoms.into_data().iter::<f32>().collect(), shape)
        }
        each_rank!(self, model => flat(model.dictionary().atoms()))
    }

    /// What is learned beside the dictionary, by name, flat and with its shape: `analysis` and `decoder`, atoms of
    /// their own; `gain`, those of the decoder, `[p]`; `lambda`, the sparsity weights, `[p]` or `[T, p]`; `lambda_slope`, what they gain with the
    /// noise; `step`.
    pub fn learned(&self) -> Vec<(&'static str, Vec<f32>, Vec<usize>)> {
        fn flat<const D: usize>(tensor: Tensor<D>) -> (Vec<f32>, Vec<usize>) {
            let shape = tensor.dims().to_vec();
            (tensor.into_data().iter::<f32>().collect(), shape)
        }
        let mut learned = Vec::new();
        each_rank!(self, model => {
            for (name, bank) in model.own_banks() {
                let (values, shape) = flat(bank.atoms());
                learned.push((name, values, shape));
            }
            if let Some(gain) = model.gain() {
                let (values, shape) = flat(gain);
                learned.push(("gain", values, shape));
            }
            let names = ["lambda", "lambda_slope"];
            for (name, weights) in names.into_iter().zip(model.threshold().weights()) {
                let (values, mut shape) = flat(weights);
                if shape[0] == 1 {
                    shape.remove(0);
                }
                learned.push((name, values, shape));
            }
            if let Some(step) = model.learned_step() {
                let (values, shape) = flat(step);
                learned.push(("step", values, shape));
            }
        });
        learned
    }

    /// The learned `λ`, atom by atom (and layer by layer), where they are learned and do not depend on the noise.
    pub fn learned_lambda(&self) -> Option<Vec<f32>> {
        match each_rank!(self, model => model.threshold().is_adaptive()) {
            true => None,
            false => self
                .learned()
                .into_iter()
                .find(|(name, ..)| *name == "lambda")
                .map(|(_, values, _)| values),
        }
    }

    pub(crate) fn to_safetensors(&self, path: &Path) -> Result<Vec<u8>> {
        // One entry at most: their order in the file would be a hash map's, and equal weights must
        // give equal files.
        let mut store =
            SafetensorsStore::from_bytes(None).clear_metadata().metadata("project", "pudle");
        each_rank!(self, model => model.save_into(&mut store))
            .and_then(|()| store.get_bytes())
            .map_err(|error| weights(path, error))
    }
}

/// A model and its configuration.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The settings of the model.
    pub config: PudleConfig,
    /// The model.
    pub model: AnyPudle,
    /// Noise that a denoiser was trained for, on the scale 0 … 255, where known.
    pub sigma: Option<Sigma>,
}

/// What a checkpoint needs of a `config.toml`; a run's has more, which is no concern here.
#[derive(Deserialize)]
struct ModelSection {
    model: PudleConfig,
    data: Option<DataSection>,
}

#[derive(Serialize, Deserialize)]
struct DataSection {
    sigma: Option<Sigma>,
}

impl ModelSection {
    fn parse(text: &str, path: &Path) -> Result<(PudleConfig, Option<Sigma>)> {
        let section: Self =
            toml::from_str(text).map_err(|error| TrainError::toml(path, text, &error))?;
        section.model.validate().map_err(|error| TrainError::InFile {
            path: path.to_path_buf(),
            source: Box::new(error.into()),
        })?;
        // Trained without noise is trained for no level of it.
        let sigma = section.data.and_then(|data| data.sigma).filter(|sigma| sigma.high() != 0.0);
        if let Some(sigma) = sigma {
            let checked = check_sigma("data.sigma", sigma.high())
                .and_then(|()| Ok(sigma.check("data.sigma")?));
            checked.map_err(|source| TrainError::InFile {
                path: path.to_path_buf(),
                source: Box::new(source),
            })?;
        }
        // How a run was computed binds nobody who uses what it learned, perhaps on another backend.
        let model = section.model.with_kernels(Kernels::Auto).with_recompute(false);
        Ok((model, sigma))
    }
}

/// The `config.toml` of a checkpoint that no run made.
#[derive(Serialize)]
struct BareConfig<'a> {
    versions: Versions,
    model: &'a PudleConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<DataSection>,
}

/// A file format of [`Checkpoint::export`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Named tensors for Python, Rust and others.
    Safetensors,
    /// NumPy arrays `atoms` and, where learned, those of [`AnyPudle::learned`].
    Npz,
    /// A picture of the atoms.
    Png,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "safetensors" => Ok(Format::Safetensors),
            "npz" => Ok(Format::Npz),
            "png" => Ok(Format::Png),
            other => Err(format!("unknown format \"{other}\": it must be safetensors, npz or png")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Safetensors => "safetensors",
            Format::Npz => "npz",
            Format::Png => "png",
        })
    }
}

pub(crate) fn weights(path: &Path, reason: impl ToString) -> TrainError {
    TrainError::Weights { path: path.to_path_buf(), reason: reason.to_string() }
}

impl Checkpoint {
    /// Reads a checkpoint or a run directory.
    ///
    /// # Errors
    /// Names the file that is missing, damaged, out of range or of another shape than configured.
    pub fn read(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let config = ModelSection::parse(&text, &path)?;
        let path = dir.join(WEIGHTS);
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        Self::from_bytes(config, bytes, &path, device)
    }

    /// Reads a checkpoint from the two files' contents, `name` standing for them in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_parts(config: &str, bytes: &[u8], name: &str, device: &Device) -> Result<Self> {
        let name = Path::new(name);
        let config = ModelSection::parse(config, name)?;
        Self::from_bytes(config, bytes.to_vec(), name, device)
    }

    fn from_bytes(
        (config, sigma): (PudleConfig, Option<Sigma>),
        bytes: Vec<u8>,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        // The header tells whether the shapes fit before anything is allocated for them.
        let header = SafeTensors::deserialize(&bytes).map_err(|error| weights(path, error))?;
        let atoms = header
            .tensor("dictionary.atoms")
            .map_err(|_| weights(path, "no \"dictionary.atoms\""))?;
        let expected = config.dictionary.shape();
        if atoms.shape() != expected {
            let found = atoms.shape();
            return Err(weights(
                path,
                format!("atoms of shape {found:?}, but config.toml describes {expected:?}"),
            ));
        }
        let mut model = AnyPudle::new(&config, 0, device)?;
        let mut store = SafetensorsStore::from_bytes(Some(bytes));
        let applied = each_rank!(&mut model, model => model.load_from(&mut store))
            .map_err(|error| weights(path, error))?;
        if let Some(error) = applied.errors.first() {
            return Err(weights(path, error));
        }
        let learned = model.learned();
        let others = learned.iter().flat_map(|(_, values, _)| values);
        if !model.atoms().0.iter().chain(others).all(|value| value.is_finite()) {
            return Err(weights(path, "weights that are not finite"));
        }
        let step =
            learned.iter().find(|(name, ..)| *name == "step").map(|(_, values, _)| values[0]);
        if let Some(step) = step.filter(|step| *step <= 0.0) {
            return Err(weights(path, format!("a learned step of {step}, but it must be > 0")));
        }
        if let Some(wrong) = model
            .learned_lambda()
            .and_then(|l| l.into_iter().find(|value| !(*value >= 0.0 && value.is_finite())))
        {
            return Err(weights(path, format!("a learned λ of {wrong}, but it must be ≥ 0")));
        }
        Ok(Self { config, model, sigma })
    }

    /// Writes `config.toml` and the weights into `dir`, which is created.
    ///
    /// # Errors
    /// Where a file cannot be written, or `dir` holds a run, which this would make useless.
    pub fn write(&self, dir: &Path) -> Result<()> {
        if dir.join("checkpoint").exists() {
            return Err(TrainError::Unsuitable(format!(
                "{}: holds a run; write the checkpoint to another directory",
                dir.display()
            )));
        }
        create_dir(dir)?;
        let path = dir.join("config.toml");
        let config = BareConfig {
            versions: Versions::default(),
            model: &self.config,
            data: self.sigma.map(|sigma| DataSection { sigma: Some(sigma) }),
        };
        let text = toml::to_string(&config).map_err(|error| TrainError::ConfigFile {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.write_weights(dir)?;
        write_whole(&path, text.as_bytes())
    }

    pub(crate) fn write_weights(&self, dir: &Path) -> Result<()> {
        let path = dir.join(WEIGHTS);
        write_whole(&path, &self.model.to_safetensors(&path)?)
    }

    /// Writes the weights as one file of another format, whole or not at all.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn export(&self, format: Format, path: &Path) -> Result<()> {
        match format {
            Format::Safetensors => write_whole(path, &self.model.to_safetensors(path)?),
            Format::Npz => write_whole(path, &self.to_npz().map_err(TrainError::io(path))?),
            Format::Png => write_whole(path, &atoms_picture(&self.model)?.to_png()?),
        }
    }

    fn to_npz(&self) -> std::io::Result<Vec<u8>> {
        use npyz::WriterBuilder;
        let mut archive = npyz::npz::NpzWriter::new(Cursor::new(Vec::new()));
        let (atoms, shape) = self.model.atoms();
        let mut arrays = vec![("atoms", atoms, shape)];
        arrays.extend(self.model.learned());
        for (name, values, shape) in arrays {
            let shape: Vec<u64> = shape.iter().map(|axis| *axis as u64).collect();
            let mut writer = archive
                .array(name, Default::default())?
                .default_dtype()
                .shape(&shape)
                .begin_nd()?;
            writer.extend(values)?;
            writer.finish()?;
        }
        Ok(archive.zip_writer().finish()?.into_inner())
    }
}

/// Reads a dictionary from a safetensors file: a filter bank `p×C×k×k` for images or a matrix
/// `m×p`, f32, f64, f16 or bf16. `tensor` names it, where the file has more than one.
///
/// `settings` are the rest of the model; their dictionary is replaced by what the file holds, with
/// `stride` for filters. `sigma` is the noise that a denoiser was trained for, on the scale 0 … 255,
/// where known. The atoms are used as they are, without projection.
///
/// # Errors
/// Where the file, the tensor or the settings are not fit.
pub fn import_dictionary(
    path: &Path,
    tensor: Option<&str>,
    stride: Option<usize>,
    settings: PudleConfig,
    sigma: Option<f32>,
    device: &Device,
) -> Result<Checkpoint> {
    if let Some(sigma) = sigma {
        check_sigma("sigma", sigma)?;
    }
    let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| weights(path, error))?;
    let names = file.names();
    let listed = || names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let name = match (tensor, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, []) => return Err(weights(path, "holds no tensor")),
        (None, _) => {
            return Err(weights(path, format!("holds {}: choose one with --tensor", listed())));
        }
    };
    let view = file
        .tensor(name)
        .map_err(|_| weights(path, format!("no tensor \"{name}\" among {}", listed())))?;
    let shape = view.shape().to_vec();
    let dictionary = match (shape.as_slice(), stride) {
        (&[dim, atoms], None) => DictionaryConfig::Dense(DenseConfig { dim, atoms }),
        (&[_, _], Some(_)) => {
            return Err(TrainError::Unsuitable(format!(
                "--stride is for filter banks, but \"{name}\" of {} is a matrix, {shape:?}",
                path.display()
            )));
        }
        (&[atoms, channels, size, columns], Some(stride)) if size == columns => {
            DictionaryConfig::Conv2d(Conv2dConfig { atoms, channels, size, stride })
        }
        (&[_, _, rows, columns], Some(_)) if rows != columns => {
            return Err(weights(path, format!("filters of {rows}×{columns} are not square")));
        }
        (&[_, _, _, _], None) => {
            return Err(TrainError::Unsuitable(format!(
                "\"{name}\" of {} is a filter bank, {shape:?}: give its --stride",
                path.display()
            )));
        }
        _ => {
            return Err(weights(
                path,
                format!("\"{name}\" has shape {shape:?}, neither p×C×k×k nor m×p"),
            ));
        }
    };
    let config = PudleConfig { dictionary, ..settings };
    config.validate()?;
    let data =
        TensorData::from_bytes_vec(view.data().to_vec(), shape, dtype(path, name, view.dtype())?);
    let values: Vec<f32> = data.iter::<f32>().collect();
    if !values.iter().all(|value| value.is_finite()) {
        return Err(weights(path, format!("\"{name}\" holds values that are not finite")));
    }
    let atoms = TensorData::new(values, config.dictionary.shape());
    let model = AnyPudle::from_data(&config, atoms, device)?;
    Ok(Checkpoint { config, model, sigma: sigma.map(Sigma::At) })
}

fn dtype(path: &Path, name: &str, dtype: safetensors::Dtype) -> Result<DType> {
    use safetensors::Dtype;
    match dtype {
        Dtype::F32 => Ok(DType::F32),
        Dtype::F64 => Ok(DType::F64),
        Dtype::F16 => Ok(DType::F16),
        Dtype::BF16 => Ok(DType::BF16),
        other => Err(weights(
            path,
            format!("\"{name}\" is of type {other:?}, but must be F32, F64, F16 or BF16"),
        )),
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (atoms, shape) = self.model.atoms();
        let config = &self.config;
        let (kind, stride) = match config.dictionary {
            DictionaryConfig::Dense(_) => ("dense, m×p", None),
            DictionaryConfig::Conv1d(config) => ("conv1d, p×C×k", Some(config.stride)),
            DictionaryConfig::Conv2d(config) => ("conv2d, p×C×k×k", Some(config.stride)),
        };
        writeln!(f, "dictionary  {kind} = {shape:?}, {} weights", atoms.len())?;
        if let Some(stride) = stride {
            writeln!(f, "stride      {stride}")?;
        }
        writeln!(f, "layers      {} ({})", config.layers, config.algorithm)?;
        match config.step {
            pudle_core::Step::Given(step) => writeln!(f, "step        {step}")?,
            pudle_core::Step::Auto => writeln!(f, "step        1/‖D‖²")?,
            pudle_core::Step::Learned(_) => {
                let step = each_rank!(&self.model, model => model.learned_step());
                let step = step.map_or(f64::NAN, |step| step.into_scalar::<f64>());
                writeln!(f, "step        {step:.4}, learned")?;
            }
        }
        writeln!(f, "prox        {}", config.prox)?;
        let threshold = match config.threshold {
            pudle_core::ThresholdConfig::Constant { lambda } => format!("{lambda}"),
            pudle_core::ThresholdConfig::Decaying { lambda, beta } => {
                format!("{lambda} · {beta}^t in layer t")
            }
            pudle_core::ThresholdConfig::Learned { per_layer, sigma, .. } => {
                let last =
                    each_rank!(&self.model, model => model.threshold().lambda(config.layers - 1));
                let last: Vec<f32> = match last {
                    Level::PerAtom(lambda) => lambda.into_data().iter::<f32>().collect(),
                    Level::Scalar(lambda) => vec![lambda as f32],
                };
                let mean = last.iter().sum::<f32>() / last.len().max(1) as f32;
                let most = last.iter().fold(0.0f32, |most, value| most.max(*value));
                let layers = if per_layer { " and layer, in the last" } else { "," };
                let noise = sigma.map_or(String::new(), |sigma| format!(" at noise {sigma}"));
                format!("learned per atom{layers} mean {mean:.4}, largest {most:.4}{noise}")
            }
        };
        if let Some(sigma) = self.sigma {
            writeln!(f, "sigma       {sigma} (noise it was trained for)")?;
        }
        let what = if config.prox == Proximal::Hard { "level" } else { "lambda" };
        writeln!(f, "{what:<11} {threshold}")?;
        if config.banks != Banks::Tied {
            writeln!(f, "banks       {}", config.banks)?;
        }
        if config.offset != 0.0 {
            writeln!(f, "offset      {}", config.offset)?;
        }
        write!(f, "gradient    {}", config.gradient)
    }
}
