//! The `pudle` command: train, denoise, evaluate, look into and exchange unrolled dictionary
//! networks.

mod bench;
mod checkpoint;
mod denoise;
mod evaluate;
mod experiment;
mod explain;
mod shipped;
mod terminal;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pudle_core::{Backend, GradientEstimator, Kernels};
use pudle_train::Denoiser;

/// Interpretable dictionary learning by unrolled networks.
#[derive(Parser)]
#[command(name = "pudle", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model in a run directory, or go on with one.
    Train(train::Args),
    /// Denoise a picture, or a scene drawn for the purpose.
    Denoise(denoise::Args),
    /// Score a denoiser over a folder of clean pictures.
    Evaluate(evaluate::Args),
    /// Repeat an experiment of the paper: figures beside the published ones, tables and charts.
    #[command(subcommand)]
    Experiment(experiment::Args),
    /// Trace atoms and outputs to the training data behind them.
    Explain(explain::Args),
    /// Time the unrolled pass on this machine.
    Bench(bench::Args),
    /// Say what a checkpoint holds.
    Info(checkpoint::InfoArgs),
    /// Write a checkpoint's weights in another format.
    Export(checkpoint::ExportArgs),
    /// Make a checkpoint of a dictionary from a safetensors file.
    Import(checkpoint::ImportArgs),
}

/// Where to compute; shared by the commands.
#[derive(clap::Args)]
struct BackendArg {
    /// Backend: flex (CPU), ndarray, wgpu or cuda. Each is a cargo feature; flex is the default one.
    #[arg(long, value_name = "B", default_value_t, value_parser = parse_backend)]
    backend: Backend,
    /// Implementation of the unrolled pass: fused (flex only), composed (operations of Burn), or auto,
    /// the fused one where there is one. Both compute the same, up to rounding.
    #[arg(long, value_name = "K", value_parser = parse_kernels)]
    kernels: Option<Kernels>,
}

impl BackendArg {
    /// A denoiser that runs as asked.
    fn set(&self, denoiser: Denoiser) -> Result<Denoiser, Failure> {
        Ok(match self.kernels {
            Some(kernels) => denoiser.with_kernels(kernels)?,
            None => denoiser,
        })
    }
}

fn parse_kernels(text: &str) -> Result<Kernels, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

fn parse_gradient(text: &str) -> Result<GradientEstimator, String> {
    text.parse().map_err(|error: pudle_core::ConfigError| error.to_string())
}

fn parse_backend(text: &str) -> Result<Backend, String> {
    text.parse().map_err(|error: pudle_core::BackendError| error.to_string())
}

/// What a command fails with: any error, told in one line.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .format(|buffer, record| {
            use std::io::Write;
            writeln!(buffer, "{}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .init();
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(args),
        Command::Denoise(args) => denoise::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Info(args) => checkpoint::info(&args),
        Command::Export(args) => checkpoint::export(&args),
        Command::Import(args) => checkpoint::import(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
