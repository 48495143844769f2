//! `pudle train`.

use std::path::{Path, PathBuf};

use pudle_core::{Backend, GradientEstimator, Kernels};
use pudle_train::{Interrupter, LearningRateSchedule, Outcome, Preset, RunConfig, UpdateRule};

use crate::arguments::{parse_gradient, words};
use crate::failure::Failure;
use crate::terminal::{say, stop_on_ctrl_c};

#[derive(clap::Args)]
pub struct Args {
    /// Settings to start from: denoise (images at one noise level), denoise-blind (at any), denoise-color (in colour),
    /// dense (recovery of a known dictionary) or digits.
    #[arg(long, value_name = "P", value_parser = words::<Preset>(),
          required_unless_present_any = ["config", "resume"])]
    preset: Option<Preset>,
    /// Settings as a TOML file: complete, as the config.toml of a run is, or any part of one, which
    /// then lies over the --preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the training data: PNG, JPEG, TIFF and WebP for images, IDX files for digits. Generated data
    /// are used without it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of photographs to validate on.
    #[arg(long, value_name = "DIR")]
    valid: Option<PathBuf>,
    /// Gradient estimator: dec, ae-lasso, ae-ls, truncated:K or implicit; or LOSS/RESPONSE of
    /// {fit|lasso}/{dropped|last:K|all|implicit}.
    #[arg(long, value_name = "G", value_parser = parse_gradient)]
    gradient: Option<GradientEstimator>,
    /// Sparsity weight λ, at least 0 (under a hard threshold its level).
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Optimisation steps, at least 1. With --resume, the new total.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Data per step, at least 1.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// How a step changes the weights: adam, or noodl for a model that learns nothing but its dictionary.
    #[arg(long, value_name = "R", value_parser = words::<UpdateRule>())]
    update: Option<UpdateRule>,
    /// Learning rate: of adam in (0, 1], of noodl in (0, 1000].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Learning rate over the run: constant, or cosine (falling to 0 at the last step).
    #[arg(long, value_name = "S", value_parser = words::<LearningRateSchedule>())]
    schedule: Option<LearningRateSchedule>,
    /// Seed of the initial atoms, the order of the data, crops, flips and noise.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Backend: flex (CPU), ndarray, wgpu or cuda. Each is a cargo feature; flex is the default one.
    #[arg(long, value_name = "B", value_parser = words::<Backend>())]
    backend: Option<Backend>,
    /// Implementation of the unrolled pass: fused (flex only), composed, or auto. Both compute the same,
    /// up to rounding.
    #[arg(long, value_name = "K", value_parser = words::<Kernels>())]
    kernels: Option<Kernels>,
    /// Run layers again in the backward pass instead of storing them: less memory, more time.
    #[arg(long)]
    recompute: bool,
    /// Run directory to create; the first free runs/PRESET-N by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in DIR from its last whole checkpoint.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "config", "data", "valid",
          "gradient", "lambda", "batch", "update", "learning_rate", "schedule", "seed", "out"])]
    resume: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Failure> {
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
                Ok(())
            };
            (dir.clone(), pudle_train::resume(dir, change, interrupter)?)
        }
        None => {
            let (config, name) = settings(&args)?;
            let dir = args.out.clone().unwrap_or_else(|| free_directory(&name));
            say!("run {} with seed {} on {}", dir.display(), config.seed, config.backend);
            let outcome = pudle_train::train(config, &dir, interrupter)?;
            (dir, outcome)
        }
    };
    match outcome {
        Outcome::Finished => say!("finished: {}", dir.display()),
        Outcome::Stopped { step } => {
            say!("stopped after step {step}; go on with: pudle train --resume {}", dir.display())
        }
    }
    Ok(())
}

/// The settings after all flags, and what a run of them is called.
fn settings(args: &Args) -> Result<(RunConfig, String), Failure> {
    let preset = args.preset.map(|preset| (preset.config(), preset.to_string()));
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
        (None, None) => unreachable!("clap asks for one of --preset, --config and --resume"),
    };
    if let Some(dir) = &args.data {
        config.data.set_folder(absolute(dir))?;
    }
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
        config.model = config.model.with_lambda(lambda);
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
    config.versions = Default::default();
    // After the flags, which may be what makes a file's settings right.
    if let Some(path) = &args.config {
        config.validate_from(path)?;
    }
    Ok((config, name))
}

/// A run goes on from wherever `--resume` is typed. What does not exist is an error later on, which
/// had better name it as it was typed.
fn absolute(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf())
}

fn free_directory(name: &str) -> PathBuf {
    (1..)
        .map(|n| Path::new("runs").join(format!("{name}-{n}")))
        .find(|dir| !dir.exists())
        .expect("there is always another number")
}
