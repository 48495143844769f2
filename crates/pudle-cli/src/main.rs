//! The `pudle` command: trains, applies, evaluates, explains, exports and imports unrolled
//! dictionary networks.

mod adapt;
mod arguments;
mod bench;
mod checkpoint;
mod codes;
mod denoise;
mod devices;
mod evaluate;
mod events;
mod experiment;
mod explain;
mod explain_data;
mod export;
mod failure;
mod import;
mod matrix;
mod memory;
mod recording;
mod select;
mod sharing;
mod shipped;
mod simulate;
mod starts;
mod terminal;
mod train;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Interpretable dictionary learning by unrolled networks.
#[derive(Parser)]
#[command(name = "pudle", version, propagate_version = true, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 for success, 1 for an error, 2 for wrong arguments, 130 for a training that was \
stopped by Ctrl-C, a termination signal or a closed terminal, and has saved a checkpoint.";

#[derive(Subcommand)]
enum Command {
    /// Train a model in a run directory, or resume a run.
    Train(Box<train::Args>),
    /// Denoise pictures, or a generated scene.
    Denoise(denoise::Args),
    /// Fit the choice of λ by place of a denoiser to clean pictures.
    Adapt(adapt::Args),
    /// Measure PSNR and SSIM of a denoiser on a folder of clean pictures.
    Evaluate(evaluate::Args),
    /// Repeat an experiment of the paper, and compare its results with the published ones.
    #[command(subcommand)]
    Experiment(experiment::Args),
    /// Trace atoms and outputs to the training data behind them.
    Explain(explain::Args),
    /// Measure the speed and memory of the unrolled network on this machine.
    Bench(bench::Args),
    /// Write the codes of data: of a matrix, of pictures or of signals.
    Encode(codes::EncodeArgs),
    /// Find the events of a recording: when the atoms of a run occur in it.
    Events(events::Args),
    /// Choose the number of atoms and λ for a recording, by how well hidden samples are predicted.
    Select(select::Args),
    /// Make a recording with known waveforms and events.
    Simulate(simulate::Args),
    /// Write the data that belong to codes.
    Decode(codes::DecodeArgs),
    /// List the backends of this build, and their devices.
    Devices(devices::Args),
    /// Serve this machine's devices to trainings on other machines.
    Worker(worker::Args),
    /// Show the settings of a checkpoint.
    Info(checkpoint::InfoArgs),
    /// Write a checkpoint's weights, or its whole network, in another format.
    Export(export::Args),
    /// Create a checkpoint from a dictionary or network of another program.
    Import(import::Args),
}

fn main() -> ExitCode {
    memory::keep_freed();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .format(|buffer, record| {
            use std::io::Write;
            writeln!(buffer, "{}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .init();
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(*args),
        Command::Denoise(args) => denoise::run(args),
        Command::Adapt(args) => adapt::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Encode(args) => codes::encode(&args),
        Command::Events(args) => events::run(args),
        Command::Select(args) => select::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Decode(args) => codes::decode(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Worker(args) => worker::run(&args),
        Command::Info(args) => checkpoint::info(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
    };
    match result.and_then(|()| terminal::check_output()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<train::Stopped>() => ExitCode::from(terminal::STOPPED),
        Err(error) => {
            terminal::note!("error: {}", failure::message(&*error));
            ExitCode::FAILURE
        }
    }
}
