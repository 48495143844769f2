//! `pudle adapt`.

use std::path::PathBuf;

use pudle_train::{Denoiser, LevelGain, LocalLambda, LocalLambdaFit, ShiftCount};

use crate::arguments::BackendArg;
use crate::failure::Failure;
use crate::terminal::say;

/// Clean photographs tell how much larger λ should be where the picture is flat, and how much smaller where it has texture.
/// The numbers are the solution of a small least-squares problem for each noise level; the weights of the model stay as they
/// are. They go into the file local-lambda.toml of the checkpoint, which `pudle denoise` and `pudle evaluate` then use: they
/// run the network twice.
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint or run directory of a denoiser.
    #[arg(value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder of clean pictures, such as those of the training. Its subfolders are included.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Noise levels on the scale 0 … 255, from 0.01 to 255, ascending and separated by commas.
    #[arg(long, value_name = "S,…", value_delimiter = ',', default_values_t = LocalLambdaFit::default().levels)]
    sigma: Vec<f32>,
    /// Number of pictures, spread evenly over the folder. Every fourth is held out, to measure the gain.
    #[arg(long, value_name = "N", default_value_t = LocalLambdaFit::default().pictures,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pictures: usize,
    /// Factor between the two noise levels that the network is told, from 1.01 to 4.
    #[arg(long, value_name = "F", default_value_t = LocalLambdaFit::default().factor)]
    factor: f32,
    /// Side in pixels of the window in which the two estimates are compared, odd, from 1 to 255.
    #[arg(long, value_name = "N", default_value_t = LocalLambdaFit::default().window)]
    window: usize,
    /// Number of shifts of the atoms' grid over which estimates are averaged, from 1 to the stride squared, or all. Take as many
    /// as `pudle denoise` will.
    #[arg(long, value_name = "N", default_value = "16", value_parser = |text: &str| text.parse::<ShiftCount>())]
    shifts: ShiftCount,
    /// Seed of the noise.
    #[arg(long, value_name = "N", default_value_t = LocalLambdaFit::default().seed)]
    seed: u64,
    /// Replace a choice of before.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    backend: BackendArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let dir = &args.checkpoint;
    if !dir.is_dir() {
        return Err(format!(
            "{}: is no folder of a checkpoint; a shipped one has its choice of λ already",
            dir.display()
        )
        .into());
    }
    if LocalLambda::exists(dir) && !args.force {
        return Err(
            format!("{}: has a choice of λ by place; --force replaces it", dir.display()).into()
        );
    }
    let denoiser = args.backend.set(Denoiser::load(dir, &args.backend.device()?)?)?;
    let shifts = match args.shifts {
        ShiftCount::Count(count) => ShiftCount::Count(count.min(denoiser.most_shifts())),
        ShiftCount::All => ShiftCount::All,
    };
    let denoiser = denoiser.with_shifts(shifts)?.with_local_lambda(None);
    let fit = LocalLambdaFit {
        factor: args.factor,
        window: args.window,
        levels: args.sigma,
        pictures: args.pictures,
        seed: args.seed,
        ..LocalLambdaFit::default()
    };
    say!(
        "{:>7} {:>8} {:>10} {:>10} {:>8} {:>9}",
        "sigma",
        "held out",
        "same λ dB",
        "by place",
        "gain",
        "least"
    );
    let local = denoiser.fit_local_lambda(&args.images, &fit, |gain| {
        let LevelGain { level, pictures, fixed, local, least } = gain;
        say!(
            "{level:>7} {pictures:>8} {fixed:>10.2} {local:>10.2} {:>+8.2} {least:>+9.2}",
            local - fixed
        );
        Ok(())
    })?;
    local.write(dir)?;
    say!("wrote {}", dir.join("local-lambda.toml").display());
    Ok(())
}
