//! `pudle denoise`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pudle_data::{ColorMode, Image, add_gaussian, scene};
use pudle_train::{Denoiser, Shifts};
use serde::Serialize;

use crate::shipped::{NAME, shipped};
use crate::terminal::{say, say_json};
use crate::{BackendArg, Failure};

/// The noise level that is assumed and added by default.
const SIGMA: f32 = 25.0;
/// Size of the scene that is drawn where no picture is given.
const SCENE: (usize, usize) = (480, 320);
/// The seed of the scene itself; `--seed` is that of the noise.
const SCENE_SEED: u64 = 7;

#[derive(clap::Args)]
pub struct Args {
    /// Picture to denoise, PNG or JPEG, grey or colour. Without it a scene is drawn, made noisy and
    /// denoised.
    input: Option<PathBuf>,
    /// Checkpoint or run directory; the one that ships (denoise-gray-sigma25) by default.
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Standard deviation of the noise on the scale 0 … 255, at least 0.01: of that which the picture
    /// has, and of that which is added. 25 by default.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// The picture is clean: add noise first, and report PSNR before and after.
    #[arg(long, requires = "input")]
    add_noise: bool,
    /// Seed of the noise that is added.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Shifts of the grid of atoms whose estimates are averaged, from 1 to the stride squared, or all:
    /// better, and that many times slower.
    #[arg(long, value_name = "N", default_value_t,
          value_parser = |text: &str| text.parse::<Shifts>())]
    shifts: Shifts,
    /// Where the estimate goes (.png or .jpg); INPUT-denoised.png beside INPUT by default, and
    /// nowhere for the drawn scene.
    #[arg(short, long, value_name = "OUT.png")]
    output: Option<PathBuf>,
    /// Where a panel of (clean,) noisy and denoised goes; pudle-denoise.png for the drawn scene.
    #[arg(long, value_name = "FILE.png")]
    panel: Option<PathBuf>,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArg,
}

/// What `--json` prints; `null` where unknown.
#[derive(Serialize)]
struct Report {
    input: Option<String>,
    output: Option<String>,
    sigma: f32,
    noisy_psnr: Option<f64>,
    psnr: Option<f64>,
    seconds: f64,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let device = args.backend.backend.device()?;
    let denoiser = match &args.checkpoint {
        Some(dir) => Denoiser::load(dir, &device)?,
        None => Denoiser::new(shipped(&device)?, NAME, &device)?,
    };
    let denoiser = args.backend.set(denoiser)?.with_shifts(args.shifts)?;
    let sigma = args.sigma.unwrap_or(SIGMA);
    if args.sigma.is_some() && !args.add_noise && denoiser.trained_sigma().is_none() {
        log::warn!(
            "--sigma makes no difference: the checkpoint does not say which noise it was trained for"
        );
    }
    let (clean, noisy) = pictures(&args, sigma)?;
    let started = Instant::now();
    let estimate = denoiser.denoise(&noisy, Some(sigma)).map_err(|error| match &args.input {
        Some(input) => format!("{}: {error}", input.display()),
        None => error.to_string(),
    })?;
    let estimate = estimate.clip();
    let seconds = started.elapsed().as_secs_f64();

    let output = args.output.clone().or_else(|| args.input.as_deref().map(beside));
    if let Some(path) = &output {
        estimate.write(path)?;
    }
    let panel = args
        .panel
        .clone()
        .or_else(|| args.input.is_none().then(|| PathBuf::from("pudle-denoise.png")));
    if let Some(path) = &panel {
        let shown: Vec<Image> = clean.iter().chain([&noisy, &estimate]).map(Image::clip).collect();
        Image::beside(&shown.iter().collect::<Vec<_>>(), 8)?.write(path)?;
    }
    let psnr = |image: &Image| clean.as_ref().map(|clean| image.psnr(clean, 1.0));
    let report = Report {
        input: args.input.as_deref().map(shown),
        output: output.as_deref().map(shown),
        sigma,
        noisy_psnr: psnr(&noisy),
        psnr: psnr(&estimate),
        seconds,
    };
    if args.json {
        return say_json(&report);
    }
    let [_, height, width] = noisy.shape();
    let name = args.input.as_deref().map_or("scene".into(), Path::to_string_lossy);
    say!("{name}, {width}×{height}, sigma {sigma}: {seconds:.2} s");
    if let (Some(before), Some(after)) = (report.noisy_psnr, report.psnr) {
        say!(
            "PSNR {before:.2} dB before, {after:.2} dB after ({:+.2} dB, noise from seed {})",
            after - before,
            args.seed
        );
    }
    for path in output.iter().chain(&panel) {
        say!("wrote {}", path.display());
    }
    Ok(())
}

/// The clean picture, where it is known, and the noisy one.
fn pictures(args: &Args, sigma: f32) -> Result<(Option<Image>, Image), Failure> {
    let clean = match &args.input {
        None => scene(SCENE.0, SCENE.1, SCENE_SEED),
        Some(path) => {
            let image = Image::read(path, ColorMode::AsIs)?;
            if !args.add_noise {
                return Ok((None, image));
            }
            image
        }
    };
    let noisy = add_gaussian(&clean, sigma, args.seed);
    Ok((Some(clean), noisy))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn beside(input: &Path) -> PathBuf {
    let stem = input.file_stem().unwrap_or_default().to_string_lossy();
    input.with_file_name(format!("{stem}-denoised.png"))
}
