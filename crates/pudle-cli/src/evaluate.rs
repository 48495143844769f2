//! `pudle evaluate`.

use std::path::PathBuf;

use pudle_train::{Denoiser, Protocol, Shifts};

use crate::terminal::{say, say_json};
use crate::{BackendArg, Failure};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint or run directory.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder of clean pictures, searched with everything below it.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Standard deviation of the noise that is added, on the scale 0 … 255.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: f32,
    /// Seed of the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Shifts of the grid of atoms whose estimates are averaged, from 1 to the stride squared, or all.
    #[arg(long, value_name = "N", default_value_t,
          value_parser = |text: &str| text.parse::<Shifts>())]
    shifts: Shifts,
    /// Peak of the PSNR: full (1.0) or paper (each picture's own maximum).
    #[arg(long, value_name = "P", default_value = "full",
          value_parser = |text: &str| text.parse::<Protocol>())]
    protocol: Protocol,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let denoiser = Denoiser::load(&args.checkpoint, &args.backend.backend.device()?)?;
    let denoiser = args.backend.set(denoiser)?.with_shifts(args.shifts)?;
    let mut header = !args.json;
    let evaluation = pudle_train::evaluate(
        &denoiser,
        &args.images,
        args.sigma,
        args.seed,
        args.protocol,
        |score| {
            if std::mem::take(&mut header) {
                say!("sigma {}, protocol {}, seed {}", args.sigma, args.protocol, args.seed);
                say!("{:<28} {:>9} {:>9} {:>7}", "file", "noisy dB", "PSNR dB", "SSIM");
            }
            if !args.json {
                say!(
                    "{:<28} {:>9.2} {:>9.2} {:>7.4}",
                    score.file,
                    score.noisy_psnr,
                    score.psnr,
                    score.ssim
                );
            }
        },
    )?;
    if args.json {
        return say_json(&evaluation);
    }
    let mean = format!("mean of {}", evaluation.images.len());
    say!("{mean:<28} {:>9} {:>9.2} {:>7.4}", "", evaluation.mean_psnr, evaluation.mean_ssim);
    Ok(())
}
