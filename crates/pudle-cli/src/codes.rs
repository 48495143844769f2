//! `pudle encode` and `pudle decode`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use pudle_core::{Algorithm, Backend, Kernels};
use pudle_data::{DataConfig, Missing};
use pudle_train::{CodeStats, Coder, DataOptions, RunConfig, TrainError, decode_file, encode_file};
use serde::Serialize;

use crate::arguments::{BackendArg, DeviceArg, Size, parse_patch, parse_size, words};
use crate::failure::Failure;
use crate::shipped::load;
use crate::terminal::{note, say, say_json};
use crate::train::Stopped;

#[derive(clap::Args)]
pub struct EncodeArgs {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
    /// Data. For a matrix of atoms: .npy, .npz, .csv, .tsv or .safetensors, or a folder of such files, whose rows are data.
    /// For filters over images: a picture, a folder of pictures, or an array [C, H, W] or [b, C, H, W]. For filters along
    /// signals: an array [C, n] or [b, C, n].
    data: PathBuf,
    /// File of the codes: .npy for a dense array, .npz for a sparse matrix as scipy.sparse.load_npz reads it. The codes of a
    /// folder of pictures are an .npz with an array for each.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name of the array, in a file of several.
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Columns of the matrix are data, instead of rows.
    #[arg(long)]
    columns: bool,
    /// Encode the patches of this height and width of the pictures in a folder, as vectors.
    #[arg(long, value_name = "HxW", value_parser = parse_patch)]
    patches: Option<[usize; 2]>,
    /// Number T of unrolled layers, at least 1 [default: that of the checkpoint]. More layers of a tied network are closer
    /// to the lasso's solution.
    #[arg(long, value_name = "T")]
    layers: Option<usize>,
    /// Iteration of a layer: ista or fista [default: that of the checkpoint].
    #[arg(long, value_name = "A", value_parser = words::<Algorithm>())]
    algorithm: Option<Algorithm>,
    /// Write the solution of the lasso, to which the layers converge, instead of the codes of the layers. For a matrix of atoms
    /// with soft or relu and one λ for each atom. It takes less time than the many layers of a close approximation.
    #[arg(long, conflicts_with_all = ["layers", "algorithm", "sigma"])]
    exact: bool,
    /// Standard deviation of the noise in the data on the scale 0 … 255, from 0.01 to 255, for thresholds that depend on it.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// What a number that is NaN means in the data: error, or nan for a number that is not known, which has no residual
    /// [default: as in the training of the run, else error].
    #[arg(long, value_name = "M", value_parser = words::<Missing>())]
    missing: Option<Missing>,
    /// Print non-zero codes per datum, the relative error and the atoms in use.
    #[arg(long)]
    stats: bool,
    /// Print them as one JSON object.
    #[arg(long)]
    json: bool,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    backend: BackendArg,
}

#[derive(clap::Args)]
pub struct DecodeArgs {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
    /// Codes: a file of `pudle encode`, or any .npy or .npz with codes of the same shape.
    codes: PathBuf,
    /// File of the data: .npy, or .png, .jpg, .tif or .webp for one picture. The codes of a folder of pictures give PNG files
    /// in a folder of this name.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Height and width of the picture, or length of the signal, if the codes do not say them. Without it, all that the
    /// atoms cover is written.
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    size: Option<Size>,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
    /// Backend that computes. Each backend is a cargo feature; a default build has flex, which runs on the CPU.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    backend: Backend,
    #[command(flatten)]
    device: DeviceArg,
}

/// The JSON object of `encode --json`.
#[derive(Serialize)]
struct Report {
    output: String,
    layers: usize,
    #[serde(flatten)]
    stats: CodeStats,
    /// Time with reading and writing.
    seconds: f64,
}

pub fn encode(args: &EncodeArgs) -> Result<(), Failure> {
    check_output(&args.output, &args.data, args.force)?;
    let coder = coder(&args.checkpoint, args.backend.device()?, args.backend.kernels)?;
    warn_of_recordings(&args.checkpoint);
    let mut coder = match args.layers {
        Some(layers) => coder.with_layers(layers)?,
        None => coder,
    };
    if let Some(algorithm) = args.algorithm {
        coder = coder.with_algorithm(algorithm)?;
    }
    if args.exact {
        coder = coder.exact()?;
    }
    match args.sigma {
        Some(sigma) => coder = coder.with_sigma(sigma)?,
        None if coder.depends_on_noise() => log::warn!(
            "{}: thresholds depend on the noise, which is not given; those of the model's own level are used",
            args.checkpoint.display()
        ),
        None => {}
    }
    coder = coder.with_missing(missing(args))?;
    let options = DataOptions {
        tensor: args.tensor.as_deref(),
        columns: args.columns,
        patches: args.patches,
    };
    let started = Instant::now();
    let stats =
        with_bar("encode", |visit| encode_file(&coder, &args.data, options, &args.output, visit))?;
    let seconds = started.elapsed().as_secs_f64();
    let (unreadable, all) = (stats.unreadable, stats.data + stats.unreadable as u64);
    if args.json {
        let output = args.output.to_string_lossy().into_owned();
        say_json(&Report { output, layers: coder.config().layers, stats, seconds })?;
    } else {
        if args.stats {
            say_stats(&stats, seconds);
        }
        say!("wrote {}", args.output.display());
    }
    match unreadable {
        0 => Ok(()),
        count => {
            Err(format!("{}: {count} of {all} pictures have no codes", args.data.display()).into())
        }
    }
}

/// Warns where channels of a recording were shifted and scaled for the training, which codes of an array are not.
fn warn_of_recordings(checkpoint: &Path) {
    let config = RunConfig::read(&checkpoint.join("config.toml"));
    if config.is_ok_and(|config| matches!(config.data, DataConfig::Recordings(_))) {
        log::warn!(
            "{}: was trained on channels less their level and divided by their noise, but the array is encoded as it is; `pudle events` does this",
            checkpoint.display()
        );
    }
}

/// What NaN means in the data: what a flag says, or the settings of the run. `--exact` needs whole data.
fn missing(args: &EncodeArgs) -> Missing {
    let of_run = || {
        let config = RunConfig::read(&args.checkpoint.join("config.toml")).ok()?;
        (!args.exact).then(|| config.data.missing())
    };
    args.missing.or_else(of_run).unwrap_or(Missing::Error)
}

fn say_stats(stats: &CodeStats, seconds: f64) {
    say!("data            {}", stats.data);
    say!(
        "non-zeros       {:.2} for each datum, {:.2} % of the codes",
        stats.nonzeros,
        100.0 * stats.active
    );
    say!("relative error  {:.4}", stats.relative_error);
    say!("atoms in use    {} of {}", stats.atoms_in_use, stats.atoms);
    say!("time            {seconds:.2} s");
}

pub fn decode(args: &DecodeArgs) -> Result<(), Failure> {
    check_output(&args.output, &args.codes, args.force)?;
    let coder = coder(&args.checkpoint, args.device.open(args.backend)?, None)?;
    let size = args.size.as_ref().map(|Size(lengths)| &lengths[..]);
    with_bar("decode", |visit| decode_file(&coder, &args.codes, size, &args.output, visit))?;
    say!("wrote {}", args.output.display());
    Ok(())
}

fn coder(checkpoint: &Path, device: Device, kernels: Option<Kernels>) -> Result<Coder, Failure> {
    let mut loaded = load(checkpoint, &device)?;
    if let Some(kernels) = kernels {
        loaded.model = loaded.model.with_kernels(kernels)?;
    }
    Ok(Coder::new(loaded, &device)?)
}

/// Returns an error if the result would replace a file without `force`, or its own input.
pub(crate) fn check_output(output: &Path, input: &Path, force: bool) -> Result<(), Failure> {
    if let (Ok(from), Ok(to)) = (input.canonicalize(), output.canonicalize())
        && from == to
    {
        return Err(format!("{}: the result would replace its input", output.display()).into());
    }
    let taken = match std::fs::metadata(output) {
        Ok(found) if found.is_dir() => {
            std::fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some())
        }
        Ok(found) => found.is_file(),
        Err(_) => false,
    };
    match taken && !force {
        true => Err(format!("{}: exists; replace it with --force", output.display()).into()),
        false => Ok(()),
    }
}

/// Does work with a progress bar, which is hidden if stderr is not a terminal. Ctrl-C ends the work and leaves nothing.
pub(crate) fn with_bar<T>(
    name: &'static str,
    work: impl FnOnce(&mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<T, TrainError>,
) -> Result<T, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}  {per_sec}, {eta} left")
        .expect("a valid template");
    let bar = ProgressBar::new(0).with_style(style).with_message(name);
    let result = work(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
        match stopped.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    bar.finish_and_clear();
    match result {
        Err(TrainError::Interrupted) => {
            note!("interrupted; nothing was written");
            Err(Stopped.into())
        }
        result => Ok(result?),
    }
}
