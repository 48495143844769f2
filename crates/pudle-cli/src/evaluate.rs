//! `pudle evaluate`.

use std::path::{Path, PathBuf};

use pudle_data::Image;
use pudle_train::{Denoiser, Evaluation, ImageScore, Protocol, Scored, Scoring, ShiftCount};
use safetensors::tensor::{Dtype, TensorView};

use crate::arguments::{BackendArg, HalfArg, LambdaArg, words};
use crate::failure::Failure;
use crate::terminal::{say, say_json};

#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder of clean pictures. Its subfolders are included.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Standard deviations of the noise to add, on the scale 0 … 255, from 0.01 to 255. Several values are separated by
    /// commas. They may be outside the range that the model was trained for.
    #[arg(
        long,
        value_name = "S,…",
        allow_negative_numbers = true,
        value_delimiter = ',',
        required = true
    )]
    sigma: Vec<f32>,
    /// Estimate the noise level of each picture, instead of passing the true one to the denoiser.
    #[arg(long)]
    blind: bool,
    /// Keep colours for a grey model, too: the model denoises each channel separately. By default colour pictures are
    /// converted to grey.
    #[arg(long)]
    color: bool,
    /// Blend what the estimate leaves out back into it, as `pudle denoise` does.
    #[arg(long)]
    blend: bool,
    /// Seed of the noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Seeds of the noise, separated by commas, in the place of --seed. Each noise level is scored with each of them.
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with = "seed")]
    seeds: Vec<u64>,
    /// Number of shifts of the atoms' grid over which estimates are averaged, from 1 to the stride squared, or all.
    #[arg(long, value_name = "N", default_value_t,
          value_parser = |text: &str| text.parse::<ShiftCount>())]
    shifts: ShiftCount,
    /// Peak value of the PSNR: full (1.0) or paper (the maximum of each clean picture).
    #[arg(long, value_name = "P", default_value = "full",
          value_parser = words::<Protocol>())]
    protocol: Protocol,
    /// Folder for clean, noisy and denoised pictures as safetensors files. Each noise level has a subfolder, and
    /// each file has the name of its picture.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Print the results as JSON: an object for one noise level, a list of objects for several.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lambda: LambdaArg,
    #[command(flatten)]
    half: HalfArg,
    #[command(flatten)]
    backend: BackendArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let denoiser = Denoiser::load(&args.checkpoint, &args.backend.device()?)?;
    let denoiser = args.half.set(args.backend.set(denoiser)?)?.with_shifts(args.shifts)?;
    let denoiser = args.lambda.set(denoiser);
    for &sigma in &args.sigma {
        Scoring::new(sigma).check()?;
    }
    let seeds = if args.seeds.is_empty() { vec![args.seed] } else { args.seeds.clone() };
    let runs: Vec<(f32, u64)> =
        args.sigma.iter().flat_map(|&sigma| seeds.iter().map(move |&seed| (sigma, seed))).collect();
    let mut evaluations = Vec::with_capacity(runs.len());
    for (sigma, seed) in runs {
        let Args { protocol, blind, blend, color, .. } = args;
        let scoring = Scoring { sigma, seed, protocol, blind, blend, color };
        let mut header = !args.json;
        let evaluation = pudle_train::evaluate(&denoiser, &args.images, scoring, |scored| {
            if std::mem::take(&mut header) {
                print_header(scoring);
            }
            if !args.json {
                print_score(scored.score);
            }
            match &args.save {
                Some(dir) if seeds.len() > 1 => {
                    save(&dir.join(format!("sigma-{sigma}")).join(format!("seed-{seed}")), &scored)
                }
                Some(dir) => save(&dir.join(format!("sigma-{sigma}")), &scored),
                None => Ok(()),
            }
        })?;
        if !args.json {
            print_mean(&evaluation);
        }
        evaluations.push(evaluation);
    }
    match (args.json, evaluations.as_slice()) {
        (true, [one]) => say_json(one)?,
        (true, several) => say_json(&several)?,
        (false, [_]) => {}
        (false, several) => print_table(several, seeds.len())?,
    }
    // Means of a part of the pictures must not pass for those of all.
    let Some(Evaluation { left_out: count @ 1.., images, .. }) = evaluations.first() else {
        return Ok(());
    };
    let all = images.len() + count;
    Err(format!("{}: {count} of {all} pictures have no score", args.images.display()).into())
}

/// The means of each noise level over all pictures and seeds, and the standard deviation of the mean PSNR over the seeds.
fn print_table(evaluations: &[Evaluation], seeds: usize) -> Result<(), Failure> {
    say!("{:>7} {:>9} {:>9} {:>7} {:>8}", "sigma", "noisy dB", "PSNR dB", "SSIM", "± seeds");
    for level in evaluations.chunks(seeds) {
        let mean = |of: fn(&Evaluation) -> f64| level.iter().map(of).sum::<f64>() / seeds as f64;
        let (noisy, psnr) = (mean(|e| e.mean_noisy_psnr), mean(|e| e.mean_psnr));
        let ssim = mean(|e| e.mean_ssim);
        let squares = level.iter().map(|e| (e.mean_psnr - psnr).powi(2)).sum::<f64>();
        let spread = match seeds {
            1 => String::new(),
            _ => format!("{:.3}", (squares / (seeds - 1) as f64).sqrt()),
        };
        say!("{:>7} {noisy:>9.2} {psnr:>9.2} {ssim:>7.4} {spread:>8}", level[0].sigma);
    }
    Ok(())
}

fn print_header(scoring: Scoring) {
    let Scoring { sigma, protocol, seed, blind, .. } = scoring;
    let source = if blind { ", estimated" } else { "" };
    say!("sigma {sigma}{source}, protocol {protocol}, seed {seed}");
    say!("{:<28} {:>9} {:>9} {:>7} {:>9}", "file", "noisy dB", "PSNR dB", "SSIM", "est. σ");
}

fn print_score(score: &ImageScore) {
    let estimated = score.estimated_sigma.map_or("".into(), |s| format!("{s:.1}"));
    say!(
        "{:<28} {:>9.2} {:>9.2} {:>7.4} {estimated:>9}",
        score.file,
        score.noisy_psnr,
        score.psnr,
        score.ssim
    );
}

fn print_mean(evaluation: &Evaluation) {
    let count = evaluation.images.len();
    let name = format!("mean of {count}");
    say!(
        "{name:<28} {:>9.2} {:>9.2} {:>7.4}",
        evaluation.mean_noisy_psnr,
        evaluation.mean_psnr,
        evaluation.mean_ssim
    );
    say!(
        "noise estimated within 10 % for {} of {count}; {:.3} s a picture\n",
        evaluation.estimates_within_a_tenth,
        evaluation.mean_seconds
    );
}

/// Writes the tensors `clean`, `noisy` and `estimate`, each of shape `[channels, height, width]`.
fn save(dir: &Path, scored: &Scored<'_>) -> pudle_train::Result<()> {
    let path = dir.join(format!("{}.safetensors", scored.score.file));
    let bytes = |image: &Image| image.data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let tensors = [("clean", scored.clean), ("noisy", scored.noisy), ("estimate", scored.estimate)]
        .map(|(name, image)| (name, image.shape().to_vec(), bytes(image)));
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (*name, view.expect("the shape matches the number of values"))
    });
    let bytes = safetensors::serialize(views, None).expect("numbers can be written");
    std::fs::create_dir_all(path.parent().unwrap_or(dir))
        .and_then(|()| pudle_data::write_whole(&path, &bytes))
        .map_err(|error| {
            pudle_train::TrainError::Unsuitable(format!("{}: {error}", path.display()))
        })
}
