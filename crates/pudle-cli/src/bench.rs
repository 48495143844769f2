//! `pudle bench`.

use std::path::{Path, PathBuf};

use pudle_bench::{Case, DeviceWork, Measurement, Size, Trained, Workload, measure};
use pudle_core::{GradientEstimator, Kernels};

use crate::arguments::{BackendArg, HalfArg, parse_gradient, words};
use crate::failure::Failure;
use crate::shipped;
use crate::terminal::{say, say_json};

/// The shipped denoiser with the published architecture.
const PUBLISHED: &str = "denoise-published";

#[derive(clap::Args)]
pub struct Args {
    /// Workload: conv (a training step of the denoiser), dense (a training step of a dense dictionary with 1500 atoms),
    /// signal (ten seconds of a recording at 30 kHz, with 4 atoms of 60 samples) or image (denoising of a photograph of 481×321
    /// pixels).
    #[arg(long, value_name = "C", default_value = "conv",
          value_parser = words::<Case>())]
    case: Case,
    /// Gradient estimator of the training step.
    #[arg(long, value_name = "G", default_value = "ae-ls", value_parser = parse_gradient)]
    gradient: GradientEstimator,
    /// Batch size, 1 to 4096 [default: 1; dense: 50].
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Number T of unrolled layers [default: 15; dense: 100; signal: 200].
    #[arg(long, value_name = "T")]
    layers: Option<usize>,
    /// Number of shifts of the atoms' grid that the forward pass averages, from 1 to the stride squared.
    #[arg(long, value_name = "N")]
    shifts: Option<usize>,
    /// Number of atoms. With this flag the atoms are random instead of trained [default: 64; dense: 1500; signal: 4].
    #[arg(long, value_name = "P")]
    atoms: Option<usize>,
    /// Side of a square image in pixels, dimension of a vector, or samples of a signal [default: 129; dense: 1000; signal:
    /// 300000].
    #[arg(long, value_name = "M")]
    side: Option<usize>,
    /// Channels of a signal [default: 1].
    #[arg(long, value_name = "C")]
    channels: Option<usize>,
    /// Checkpoint or run directory of an image model to time. The default is the shipped denoiser.
    #[arg(long, value_name = "DIR", conflicts_with = "atoms")]
    checkpoint: Option<PathBuf>,
    /// Recompute the layers in the backward pass instead of storing them: less memory, more time.
    #[arg(long)]
    recompute: bool,
    /// Seed of the data.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of repetitions of each pass. The median time is printed.
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repetitions: u32,
    /// Write atoms, data, code, reconstruction and gradient to this safetensors file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print the results as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    half: HalfArg,
    #[command(flatten)]
    backend: BackendArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let backend = args.backend.backend;
    let device = args.backend.device()?;
    let size = Size {
        batch: args.batch,
        layers: args.layers,
        atoms: args.atoms,
        side: args.side,
        channels: args.channels,
        shifts: args.shifts,
    };
    let trained = match (args.case, &args.checkpoint) {
        (Case::Dense | Case::Signal, Some(_)) => {
            return Err("--checkpoint needs --case conv or --case image".into());
        }
        (Case::Dense | Case::Signal, None) => None,
        (_, Some(dir)) => Some(shipped::load(dir, &device)?),
        (_, None) => Some(shipped::load(Path::new(PUBLISHED), &device)?),
    };
    let trained = trained.map(|checkpoint| Trained {
        weights: checkpoint.model.weights(),
        config: checkpoint.config,
    });
    let mut workload = Workload::new(args.case, size, trained, args.seed)?;
    workload.config.kernels = match args.half.half {
        true => Kernels::Half,
        false => args.backend.kernels.unwrap_or(Kernels::Auto),
    };
    workload.config.recompute = args.recompute;
    let repetitions = args.repetitions as usize;
    let measured = measure(&workload, args.gradient, backend, repetitions);
    let (measured, results) = match measured {
        Err(error) if args.half.half => return Err(format!("--half: {error}").into()),
        other => other?,
    };
    if let Some(path) = &args.save {
        workload.save(path, &results)?;
    }
    if args.json {
        return say_json(&measured);
    }
    let Measurement { case, batch, layers, kernels, threads, shifts, active, .. } = &measured;
    let shape = workload.inputs.x.shape().to_vec();
    say!(
        "{case}, data {shape:?}, {layers} layers, {shifts} shifts, batch {batch}, seed {}",
        args.seed
    );
    say!(
        "{backend}, {kernels} kernels, {threads} threads, {:.1} % of codes active",
        active * 100.0
    );
    say!("forward {:>9.3} ms", measured.forward_ms);
    if let (Some(step), Some(gradient)) = (measured.step_ms, &measured.gradient) {
        say!("step    {step:>9.3} ms ({gradient})");
    }
    if let Some(peak) = measured.peak_mib {
        say!("memory  {peak:>9.1} MiB");
    }
    if let Some(work) = &measured.device {
        say_device(work);
    }
    if let Some(path) = &args.save {
        say!("wrote {}", path.display());
    }
    Ok(())
}

/// Prints the work of a GPU.
fn say_device(work: &DeviceWork) {
    let DeviceWork { forward_launches, step_launches, layer_launches, kernels, peak_mib } = work;
    say!("device  {forward_launches} launches forward, {step_launches} in a step");
    if let Some(layer) = layer_launches {
        say!("        {layer} launches for one more layer of a step");
    }
    for (kernel, count) in kernels {
        say!("        {count:>6} {kernel}");
    }
    if let Some(peak) = peak_mib {
        say!("        {peak:.1} MiB of memory held at the peak");
    }
}
