//! `pudle export`.

use std::path::PathBuf;

use pudle_core::Backend;
use pudle_train::{ExportOptions, Format, ShiftCount};

use crate::arguments::words;
use crate::failure::Failure;
use crate::shipped::load;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
    /// File format: safetensors, npz (NumPy arrays), burnpack (Burn), onnx (the whole network), sae (a folder,
    /// as SAELens reads it, for one layer with relu) or png (a picture of the atoms). All but png say how the network runs.
    #[arg(long, value_name = "F", value_parser = words::<Format>())]
    format: Format,
    /// File to write; a folder for sae.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Shifts of the atoms' grid over which an ONNX network averages: 1 or all.
    #[arg(long, value_name = "N", default_value_t)]
    shifts: ShiftCount,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let all_shifts = match args.shifts {
        ShiftCount::Count(1) => false,
        ShiftCount::All if args.format == Format::Onnx => true,
        ShiftCount::All => {
            return Err(format!("--format {} has no --shifts; only onnx has", args.format).into());
        }
        ShiftCount::Count(count) => {
            return Err(format!("--shifts is {count}, but must be 1 or all").into());
        }
    };
    check_output(args)?;
    let checkpoint = load(&args.checkpoint, &Backend::default().device()?)?;
    checkpoint.export_with(args.format, &args.output, ExportOptions { all_shifts })?;
    say!("wrote {}", args.output.display());
    Ok(())
}

/// Files of a checkpoint or run that no export replaces.
const OWN: [&str; 3] = ["config.toml", "model.safetensors", "metrics.csv"];

/// Returns an error if the file exists and may not be replaced. A file of the checkpoint itself never is.
fn check_output(args: &Args) -> Result<(), Failure> {
    let (checkpoint, output) = (&args.checkpoint, &args.output);
    if output.is_dir() && args.format != Format::Sae {
        return Err(format!("{}: is a folder, not a file", output.display()).into());
    }
    if let (Ok(checkpoint), Ok(file)) = (checkpoint.canonicalize(), output.canonicalize())
        && (OWN.iter().any(|own| file == checkpoint.join(own))
            || file.starts_with(checkpoint.join("checkpoint")))
    {
        let reason = "belongs to the checkpoint that is exported, and is not replaced";
        return Err(format!("{}: {reason}", output.display()).into());
    }
    if output.exists() && !args.force {
        return Err(format!("{}: exists; replace it with --force", output.display()).into());
    }
    Ok(())
}
