//! `pudle import`.

use std::path::PathBuf;

use pudle_core::{Algorithm, Backend, DenseConfig, Proximal, PudleConfig, Step};
use pudle_train::{ImportOptions, TrainError, import_dictionary};

use crate::arguments::{parse_prox, words};
use crate::failure::Failure;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// File with the dictionary or network: .npy, .npz, safetensors, burnpack, or a state dict of PyTorch (.pt, .pth).
    /// Atoms are a matrix (m×p or p×m), filters along a signal (p×C×k) or over images (p×C×k×k, k×k×p or k×k×C×p).
    /// A file of `pudle export` needs no other flag but --output.
    #[arg(long, value_name = "FILE")]
    dictionary: PathBuf,
    /// Name of the dictionary's tensor. Needed if the file has more than one.
    #[arg(long, value_name = "NAME", visible_alias = "synthesis")]
    tensor: Option<String>,
    /// Name of the tensor of the layers' analysis, from residuals to codes, if it has atoms of its own.
    #[arg(long, value_name = "NAME")]
    analysis: Option<String>,
    /// Name of the tensor of the decoder, if it has atoms of its own.
    #[arg(long, value_name = "NAME")]
    decoder: Option<String>,
    /// Name of the tensor of thresholds, the levels of the operator: one number, one for each atom, or one for each
    /// layer and atom. They take the place of --lambda.
    #[arg(long, value_name = "NAME", conflicts_with = "lambda")]
    thresholds: Option<String>,
    /// Read the axes as p×m, k×k×p or k×k×C×p. With --transpose=false, read them as m×p, p×C×k or p×C×k×k.
    /// Without this flag, atoms are found by their norm of 1.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    transpose: Option<bool>,
    /// Proximal operator: soft, relu, hard, top-k:K or group:N.
    #[arg(long, value_name = "P", value_parser = parse_prox)]
    prox: Option<Proximal>,
    /// Sparsity weight λ, at least 0. For a hard threshold it is the level; top-k has none.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Step size α of the layers, above 0, or auto for 1/‖D‖².
    #[arg(long, value_name = "A", value_parser = parse_step, allow_negative_numbers = true)]
    step: Option<Step>,
    /// Number T of unrolled layers, at least 1.
    #[arg(long, value_name = "T")]
    layers: Option<usize>,
    /// Iteration of a layer: ista or fista. The default is ista.
    #[arg(long, value_name = "A", value_parser = words::<Algorithm>())]
    algorithm: Option<Algorithm>,
    /// Number that is subtracted from the data, and added to the reconstruction. The default is 0.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    offset: Option<f64>,
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

/// The sparsity weight, which every operator but top-k needs.
fn sparsity_weight(args: &Args, prox: Proximal) -> Result<f64, Failure> {
    match (args.lambda, prox.level_name()) {
        (Some(lambda), Some(_)) => Ok(lambda),
        (None, None) => Ok(0.0),
        // Those of the file replace it.
        (None, Some(_)) if args.thresholds.is_some() => Ok(0.0),
        (None, Some(_)) => Err(format!("--lambda is needed for --prox {prox}").into()),
        (Some(_), None) => Err(format!("--prox {prox} has no --lambda").into()),
    }
}

/// The settings of the network, if any flag gives one.
fn settings(args: &Args) -> Result<Option<PudleConfig>, Failure> {
    let (prox, step, layers) = match (args.prox, args.step, args.layers) {
        (Some(prox), Some(step), Some(layers)) => (prox, step, layers),
        (None, None, None)
            if args.lambda.is_none() && args.algorithm.is_none() && args.offset.is_none() =>
        {
            return Ok(None);
        }
        (prox, step, layers) => {
            let missing = [
                ("--prox", prox.is_none()),
                ("--step", step.is_none()),
                ("--layers", layers.is_none()),
            ];
            let missing: Vec<&str> =
                missing.iter().filter(|(_, missing)| *missing).map(|(flag, _)| *flag).collect();
            return Err(format!("{} is needed, too", missing.join(" and ")).into());
        }
    };
    // The file determines the shape, so this one is a placeholder.
    let mut settings = PudleConfig::dense(DenseConfig { dim: 1, atoms: 1 })
        .with_prox(prox)
        .with_lambda(sparsity_weight(args, prox)?)
        .with_layers(layers)
        .with_algorithm(args.algorithm.unwrap_or(Algorithm::Ista))
        .with_offset(args.offset.unwrap_or(0.0));
    settings.step = step;
    Ok(Some(settings))
}

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.output.join("config.toml").exists() && !args.force {
        return Err(Box::new(TrainError::Unsuitable(format!(
            "{}: already holds a checkpoint; replace it with --force",
            args.output.display()
        ))));
    }
    let options = ImportOptions {
        tensor: args.tensor.as_deref(),
        analysis: args.analysis.as_deref(),
        decoder: args.decoder.as_deref(),
        thresholds: args.thresholds.as_deref(),
        transpose: args.transpose,
        stride: args.stride,
        settings: settings(args)?,
        sigma: args.sigma,
    };
    let device = Backend::default().device()?;
    let imported = import_dictionary(&args.dictionary, &options, &device)?;
    imported.checkpoint.write(&args.output)?;
    for note in &imported.notes {
        say!("note        {note}");
    }
    say!("{}", imported.checkpoint);
    say!("wrote {}", args.output.display());
    Ok(())
}
