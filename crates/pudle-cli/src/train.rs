//! `pudle train`.

use std::path::{Path, PathBuf};

use pudle_core::{Backend, GradientEstimator, Kernels};
use pudle_train::{
    Interrupter, LearningRateSchedule, Outcome, Preset, RunConfig, RunDir, UpdateRule, train_opened,
};

use crate::arguments::{DeviceArg, implementations, parse_gradient, words};
use crate::failure::Failure;
use crate::matrix::{Given, MatrixArgs, at_end, preset_for};
use crate::recording::RecordingArgs;
use crate::sharing::SharingArgs;
use crate::starts::{StartArgs, explained};
use crate::terminal::{say, stop_on_ctrl_c};

#[derive(clap::Args)]
pub struct Args {
    /// Preset of all settings: denoise (grey images, one noise level), denoise-blind (grey images, any noise level),
    /// denoise-color (colour images, any noise level), dense (recovery of a known dictionary), digits, vectors (rows of a
    /// matrix), or signals (a recording). Without this flag and --config, the data decide.
    #[arg(long, value_name = "P", value_parser = words::<Preset>(),
          required_unless_present_any = ["config", "resume", "data"])]
    preset: Option<Preset>,
    /// TOML file with settings. With --preset, its settings override the preset. Without --preset, it must be complete
    /// like the config.toml of a run.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Training data: a matrix (.npy, .npz, .csv, .tsv, .safetensors, or a folder of such files), a recording (WAV, or for
    /// --preset signals one of these files), a folder of PNG, JPEG,
    /// TIFF or WebP files for images, or IDX files for digits. Without this flag the data are generated.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Folder of validation photographs.
    #[arg(long, value_name = "DIR")]
    valid: Option<PathBuf>,
    /// Gradient estimator: dec, ae-lasso, ae-ls, truncated:K, implicit, or LOSS/RESPONSE. LOSS is fit or lasso,
    /// RESPONSE is dropped, last:K, all or implicit.
    #[arg(long, value_name = "G", value_parser = parse_gradient)]
    gradient: Option<GradientEstimator>,
    /// Sparsity weight λ, at least 0. For hard thresholding, the threshold itself.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Number of training steps, at least 1. With --resume, the new total number.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Batch size, at least 1.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// How a step changes the weights: adam; noodl for a model that learns nothing but its dictionary; or online (dictionary
    /// learning with sums of past codes), if that is a matrix and the gradient takes codes as constants.
    #[arg(long, value_name = "R", value_parser = words::<UpdateRule>())]
    update: Option<UpdateRule>,
    /// Learning rate: of adam in (0, 1], of noodl in (0, 1000]. Of online in (0, 1], the part of the way that an atom moves to
    /// its best value.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Schedule of the learning rate: constant, or cosine (it falls to 0 at the last step).
    #[arg(long, value_name = "S", value_parser = words::<LearningRateSchedule>())]
    schedule: Option<LearningRateSchedule>,
    /// Seed of all random numbers: initial atoms, order of the data, crops, flips and noise.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Backend that computes. Each backend is a cargo feature; a default build has flex, which runs on the CPU.
    #[arg(long, value_name = "B", value_parser = words::<Backend>())]
    backend: Option<Backend>,
    #[command(flatten)]
    matrix: MatrixArgs,
    #[command(flatten)]
    recording: RecordingArgs,
    #[command(flatten)]
    starts: StartArgs,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    sharing: SharingArgs,
    /// Implementation of the unrolled network: fused kernels (flex, wgpu, cuda and workers), composed of Burn's operations, or
    /// auto, which takes fused kernels if it can. Results differ only by rounding.
    #[arg(long, value_name = "K", value_parser = implementations())]
    kernels: Option<Kernels>,
    /// Recompute the layers in the backward pass instead of storing them: less memory, more time.
    #[arg(long)]
    recompute: bool,
    /// Run directory to create [default: runs/PRESET-N with the first free number N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resume the run in DIR from its last complete checkpoint. If the data are somewhere else now, --data and --valid say
    /// where.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "config", "gradient", "lambda", "batch", "update", "learning_rate", "schedule", "seed", "out"])]
    resume: Option<PathBuf>,
}

/// A training was stopped on request, which the exit status tells.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

pub fn run(args: Args) -> Result<(), Failure> {
    args.device.choose();
    args.sharing.choose()?;
    let interrupter = Interrupter::new();
    stop_on_ctrl_c(&interrupter)?;
    let (dir, outcome) = match &args.resume {
        Some(dir) => {
            let change = |config: &mut RunConfig| {
                if let Some(steps) = args.steps {
                    config.training.steps = steps;
                }
                if let Some(backend) = args.backend {
                    config.backend = backend;
                }
                config.model.kernels = args.kernels.unwrap_or(config.model.kernels);
                config.model.recompute |= args.recompute;
                if let Some(dir) = &args.data {
                    config.data.set_folder(absolute(dir))?;
                }
                if let Some(dir) = &args.valid {
                    config.data.set_validation_folder(absolute(dir))?;
                }
                Ok(())
            };
            (dir.clone(), pudle_train::resume(dir, change, interrupter)?)
        }
        None => {
            let (mut config, name) = settings(&args)?;
            let given = Given {
                file: args.config.is_some(),
                lambda: args.lambda.is_some(),
                update: args.update.is_some(),
                learning_rate: args.learning_rate.is_some(),
                schedule: args.schedule.is_some(),
            };
            let atoms = args.matrix.atoms();
            let again = |config: &mut RunConfig| {
                let training = &mut config.training;
                training.steps = args.steps.unwrap_or(training.steps);
                training.batch = args.batch.unwrap_or(training.batch);
                training.learning_rate = args.learning_rate.unwrap_or(training.learning_rate);
            };
            let opened = match args.recording.open(&mut config, given.file, atoms, again)? {
                Some(opened) => Some(opened),
                None => args.matrix.open(&mut config, given)?,
            };
            let (seed, backend) = (config.seed, config.backend);
            let mut path = PathBuf::new();
            let place = || {
                let dir = match &args.out {
                    Some(dir) => RunDir::create(dir)?,
                    None => RunDir::numbered(Path::new("runs"), &name)?,
                };
                path = dir.path().to_path_buf();
                say!("run {} with seed {seed} on {backend}", path.display());
                Ok(dir)
            };
            let outcome = train_opened(config, opened, place, interrupter).map_err(explained)?;
            (path, outcome)
        }
    };
    match outcome {
        Outcome::Finished => {
            at_end(&dir)?;
            say!("finished: {}", dir.display());
        }
        Outcome::Early { step } => {
            at_end(&dir)?;
            say!(
                "finished early, at step {step}: the validations brought no smaller loss: {}",
                dir.display()
            );
        }
        Outcome::Stopped { step } => {
            say!("stopped after step {step}; resume with: pudle train --resume {}", dir.display());
            return Err(Stopped.into());
        }
    }
    Ok(())
}

/// The settings of the preset, the file and the flags, and the name of the run.
fn settings(args: &Args) -> Result<(RunConfig, String), Failure> {
    let preset = match (args.preset, &args.config, &args.data) {
        (None, None, Some(data)) => Some(preset_for(data, args.matrix.wants_patches())?),
        (preset, ..) => preset,
    };
    let preset = preset.map(|preset| (preset.config(), preset.to_string()));
    let (mut config, name) = match (&args.config, preset) {
        (Some(path), preset) => {
            let name = path.file_stem().map_or("run".into(), |stem| stem.to_string_lossy());
            let config = match preset {
                Some((preset, _)) => preset.overlaid(path)?,
                None => RunConfig::read(path)?,
            };
            (config, name.into_owned())
        }
        (None, Some(preset)) => preset,
        (None, None) => {
            unreachable!("clap asks for one of --preset, --config, --data and --resume")
        }
    };
    apply_flags(args, &mut config)?;
    // The flags may replace values of the file, so the check comes after them.
    if let Some(path) = &args.config {
        config.validate_from(path)?;
    }
    Ok((config, name))
}

/// Overrides the settings by the flags.
fn apply_flags(args: &Args, config: &mut RunConfig) -> Result<(), Failure> {
    if let Some(dir) = &args.data {
        config.data.set_folder(absolute(dir))?;
    }
    args.matrix.apply(config, args.config.is_some())?;
    args.recording.apply(config, args.matrix.has_validation())?;
    if let Some(dir) = &args.valid {
        config
            .data
            .set_validation_folder(absolute(dir))
            .map_err(|error| format!("{error}: give a folder of photographs with --data"))?;
    }
    if let Some(gradient) = args.gradient {
        config.model.gradient = gradient;
    }
    if let Some(lambda) = args.lambda {
        config.model = config.model.clone().with_lambda(lambda);
    }
    let training = &mut config.training;
    training.steps = args.steps.unwrap_or(training.steps);
    training.batch = args.batch.unwrap_or(training.batch);
    training.update = args.update.unwrap_or(training.update);
    training.learning_rate = args.learning_rate.unwrap_or(training.learning_rate);
    training.schedule = args.schedule.unwrap_or(training.schedule);
    config.seed = args.seed.unwrap_or(config.seed);
    config.backend = args.backend.unwrap_or(config.backend);
    config.model.kernels = args.kernels.unwrap_or(config.model.kernels);
    config.model.recompute |= args.recompute;
    args.starts.apply(config)?;
    config.versions = Default::default();
    Ok(())
}

/// The absolute path, so that `--resume` works from any folder. A path that does not exist stays as
/// typed; the later error then names it as typed.
fn absolute(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf())
}
