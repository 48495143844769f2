//! `pudle info`, `pudle export` and `pudle import`.

use std::path::PathBuf;

use pudle_core::{Backend, DenseConfig, Proximal, PudleConfig, Step};
use pudle_train::{Format, ImportOptions, TrainError, import_dictionary};

use crate::arguments::{parse_prox, words};
use crate::failure::Failure;
use crate::shipped::load;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct InfoArgs {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
}

#[derive(clap::Args)]
pub struct ExportArgs {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
    /// File format: safetensors, npz (NumPy arrays) or png (a picture of the atoms).
    #[arg(long, value_name = "F", value_parser = words::<Format>())]
    format: Format,
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(clap::Args)]
pub struct ImportArgs {
    /// Safetensors file with filters (p×C×k×k for images, p×C×k for signals) or a matrix (m×p).
    #[arg(long, value_name = "FILE")]
    dictionary: PathBuf,
    /// Name of the tensor. Needed if the file has more than one.
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Proximal operator: soft, relu, hard, top-k:K or group:N.
    #[arg(long, value_name = "P", value_parser = parse_prox)]
    prox: Proximal,
    /// Sparsity weight λ, at least 0. For a hard threshold it is the level; top-k has none.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Step size α of the layers, above 0, or auto for 1/‖D‖².
    #[arg(long, value_name = "A", value_parser = parse_step, allow_negative_numbers = true)]
    step: Step,
    /// Number T of unrolled layers, at least 1.
    #[arg(long, value_name = "T")]
    layers: usize,
    /// Stride of the filters in pixels, from 1 to their size k. Needed for filters, not allowed for a matrix.
    #[arg(long, value_name = "S")]
    stride: Option<usize>,
    /// Standard deviation of the noise that the dictionary was trained for, on the scale 0 … 255.
    /// If it is given, pictures with another noise level are scaled to this one before denoising.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// Checkpoint directory to create.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace an existing checkpoint.
    #[arg(long)]
    force: bool,
}

fn parse_step(text: &str) -> Result<Step, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

pub fn info(args: &InfoArgs) -> Result<(), Failure> {
    let checkpoint = load(&args.checkpoint, &Backend::default().device()?)?;
    say!("{checkpoint}");
    Ok(())
}

pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let checkpoint = load(&args.checkpoint, &Backend::default().device()?)?;
    checkpoint.export(args.format, &args.output)?;
    say!("wrote {}", args.output.display());
    Ok(())
}

/// The sparsity weight, which every operator but top-k needs.
fn sparsity_weight(args: &ImportArgs) -> Result<f64, Failure> {
    match (args.lambda, args.prox.level_name()) {
        (Some(lambda), Some(_)) => Ok(lambda),
        (None, None) => Ok(0.0),
        (None, Some(_)) => Err(format!("--lambda is needed for --prox {}", args.prox).into()),
        (Some(_), None) => Err(format!("--prox {} has no --lambda", args.prox).into()),
    }
}

pub fn import(args: ImportArgs) -> Result<(), Failure> {
    if args.output.join("config.toml").exists() && !args.force {
        return Err(Box::new(TrainError::Unsuitable(format!(
            "{}: already holds a checkpoint; replace it with --force",
            args.output.display()
        ))));
    }
    // The file determines the shape, so this one is a placeholder.
    let mut settings = PudleConfig::dense(DenseConfig { dim: 1, atoms: 1 })
        .with_prox(args.prox)
        .with_lambda(sparsity_weight(&args)?)
        .with_layers(args.layers);
    settings.step = args.step;
    let options = ImportOptions {
        tensor: args.tensor.as_deref(),
        stride: args.stride,
        settings,
        sigma: args.sigma,
    };
    let device = Backend::default().device()?;
    let checkpoint = import_dictionary(&args.dictionary, &options, &device)?;
    checkpoint.write(&args.output)?;
    say!("{checkpoint}");
    say!("wrote {}", args.output.display());
    Ok(())
}
