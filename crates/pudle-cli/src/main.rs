//! The `pudle` command: train, denoise, evaluate, look into and exchange unrolled dictionary
//! networks.

mod arguments;
mod bench;
mod checkpoint;
mod denoise;
mod evaluate;
mod experiment;
mod explain;
mod failure;
mod shipped;
mod terminal;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
            eprintln!("error: {}", failure::message(&*error));
            ExitCode::FAILURE
        }
    }
}
