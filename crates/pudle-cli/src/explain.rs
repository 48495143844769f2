//! `pudle explain`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use pudle_data::{ColorMode, Image, estimate_sigma};
use pudle_explain::{
    CheckOptions, DigitModel, DigitOptions, PatchOptions, Patches, PhotoOptions, Ridge, Subject,
    Summary, check, check_place, explain_digits, explain_photos, growth, write_check,
    write_digit_report, write_photo_report,
};
use pudle_train::RunConfig;

use crate::arguments::{BackendArg, words};
use crate::failure::Failure;
use crate::shipped::load_run;
use crate::terminal::say;

/// Held-out digits that are explained by default.
const HELD_OUT: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// Run or checkpoint directory, or the name of a checkpoint that ships.
    run: PathBuf,
    /// A picture whose output is to be explained; may be given several times. A digit must have the size of
    /// those that the model is for; a photograph is taken to be noisy, with noise as --sigma says, or as is estimated.
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Folder of the report, or of the check.
    #[arg(short, long, value_name = "DIR", default_value = "report")]
    output: PathBuf,
    /// Replace a report that is already there.
    #[arg(long)]
    force: bool,
    /// Folder of the training data, where it is not where the run found it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is added to the diagonal of Z Zᵀ before it is inverted: sphere (the multipliers of atoms of unit
    /// norm), or a number ρ of at least 0 (weight decay).
    #[arg(long, value_name = "R", default_value_t, allow_negative_numbers = true,
          value_parser = |text: &str| text.parse::<Ridge>())]
    ridge: Ridge,
    /// Training data named for each atom and output, 2 to 64.
    #[arg(long, value_name = "N", default_value_t = 8)]
    top: usize,
    /// Held-out digits whose outputs are explained; 10 by default.
    #[arg(long, value_name = "N")]
    held_out: Option<usize>,
    /// Noise that photographs are given before they are encoded, on the scale 0 … 255; that of training, or the
    /// middle of its range, by default.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// Add noise of that level to the inputs first: they are clean.
    #[arg(long, requires = "input")]
    add_noise: bool,
    /// Use so many of the training photographs, not all.
    #[arg(long, value_name = "N")]
    photographs: Option<usize>,
    /// A pixel of the inputs whose patch is explained, row and column; may be given several times. Three of high
    /// contrast by default.
    #[arg(long, value_name = "Y,X", value_parser = parse_pixel, requires = "input")]
    patch: Vec<[usize; 2]>,
    /// Hold the explanation to what happens: remove the data that it names, train on, and compare with what
    /// it predicts. For runs over digits.
    #[arg(long, conflicts_with_all = ["growth", "input", "top", "held_out", "sigma", "photographs"])]
    check: bool,
    /// Atoms, and outputs, that are checked.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "check")]
    checked: usize,
    /// Data that are removed for each.
    #[arg(long, value_name = "K", default_value_t = 20, requires = "check")]
    removed: usize,
    /// Steps that training goes on for.
    #[arg(long, value_name = "N", default_value_t = 128, requires = "check")]
    steps: u64,
    /// Data of each of these steps; more than in training, for what is compared is small.
    #[arg(long, value_name = "N", default_value_t = 128, requires = "check")]
    batch: usize,
    /// Time the explanation by so many data each, repeating the training digits as often as needed, and
    /// print a table.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          conflicts_with_all = ["input", "output", "force", "held_out", "sigma", "photographs"])]
    growth: Vec<usize>,
    #[command(flatten)]
    backend: BackendArg,
}

fn parse_pixel(text: &str) -> Result<[usize; 2], String> {
    let pair = text
        .split_once(',')
        .and_then(|(y, x)| Some([y.trim().parse().ok()?, x.trim().parse().ok()?]));
    pair.ok_or_else(|| format!("\"{text}\" is no pixel, a row and a column as in 120,48"))
}

pub fn run(args: Args) -> Result<(), Failure> {
    let device = args.backend.backend.device()?;
    let (mut checkpoint, mut config) = load_run(&args.run, &device)?;
    if let Some(kernels) = args.backend.kernels {
        checkpoint.model = checkpoint.model.with_kernels(kernels)?;
    }
    if let Some(data) = &args.data {
        config.data.set_folder(data.clone())?;
    }
    let options = PatchOptions {
        sigma: args.sigma,
        most: args.photographs.unwrap_or(usize::MAX),
        seed: config.seed,
    };
    let subject = Subject::new(checkpoint, &config, options, &device)?;
    match &subject {
        Subject::Digits(subject) if !args.growth.is_empty() => print_growth(&args, subject),
        Subject::Digits(subject) if args.check => run_check(&args, &config, subject),
        _ if args.check || !args.growth.is_empty() => {
            Err("--check and --growth are for runs over digits".into())
        }
        Subject::Digits(subject) => digits(&args, &config, subject),
        Subject::Patches(subject) => photographs(&args, &config, subject),
    }
}

fn digits(args: &Args, config: &RunConfig, subject: &DigitModel) -> Result<(), Failure> {
    if args.sigma.is_some()
        || args.add_noise
        || args.photographs.is_some()
        || !args.patch.is_empty()
    {
        let flags = "--sigma, --add-noise, --photographs and --patch";
        return Err(format!("{flags} are for models over photographs").into());
    }
    check_place(&args.output, args.force)?;
    let options = DigitOptions {
        ridge: args.ridge,
        count: args.top,
        held_out: args.held_out.unwrap_or(HELD_OUT),
        inputs: args.input.clone(),
        seed: config.seed,
    };
    let device = args.backend.backend.device()?;
    let spinner = ProgressBar::new_spinner();
    let found = explain_digits(subject, &options, &device, |what| {
        spinner.set_message(what.to_owned());
        spinner.tick();
    })?;
    spinner.finish_and_clear();
    let (run, seed) = (args.run.display().to_string(), config.seed);
    let summary = write_digit_report(&args.output, args.force, &run, subject, &found, seed)?;
    tell(args, &summary);
    Ok(())
}

fn photographs(args: &Args, config: &RunConfig, subject: &Patches) -> Result<(), Failure> {
    if args.held_out.is_some() {
        return Err("--held-out is for models over digits".into());
    }
    check_place(&args.output, args.force)?;
    let color = if subject.patch_shape()[0] == 3 { ColorMode::Rgb } else { ColorMode::Gray };
    let mut inputs = Vec::with_capacity(args.input.len());
    for path in &args.input {
        let picture = Image::read(path, color)?;
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let (noisy, sigma) = match (args.add_noise, args.sigma) {
            (true, _) => (subject.with_noise(&picture), subject.sigma()),
            (false, Some(sigma)) => (picture, sigma),
            (false, None) => {
                let sigma = estimate_sigma(&picture).unwrap_or(0.01).clamp(0.01, 255.0);
                (picture, sigma)
            }
        };
        inputs.push((name, noisy, sigma));
    }
    let options =
        PhotoOptions { ridge: args.ridge, count: args.top, inputs, pixels: args.patch.clone() };
    let bar = bar(subject.len() as u64, "photographs");
    let found = explain_photos(subject, &options, |_| bar.inc(1))?;
    bar.finish_and_clear();
    let (run, seed) = (args.run.display().to_string(), config.seed);
    let summary = write_photo_report(&args.output, args.force, &run, subject, &found, seed)?;
    tell(args, &summary);
    Ok(())
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let style = format!("{{pos}} of {{len}} {what}  {{wide_bar}}  {{eta}} left");
    ProgressBar::new(length).with_style(ProgressStyle::with_template(&style).expect("a template"))
}

fn tell(args: &Args, summary: &Summary) {
    say!("{} data, {} of {} atoms in use", summary.data, summary.used, summary.atoms);
    say!(
        "the identity {}: rebuilt from data, outputs are off by {:.3} of their norm, atoms by {:.3} (by energy; all \
         {:.3}, used {:.3}); stationarity gap {:.4}; ridge {}",
        summary.verdict(),
        summary.residual_of_outputs,
        summary.residual_by_energy,
        summary.residual,
        summary.residual_of_used,
        summary.stationarity_gap,
        summary.ridge
    );
    let highest = pudle_explain::HIGHEST.min(summary.atoms);
    say!(
        "smallest cosine of the {highest} atoms of highest energy: {:.4}",
        summary.smallest_cosine
    );
    if let Some(agreement) = summary.agreement {
        say!("their two largest contributors are of one class for {:.0} %", 100.0 * agreement);
    }
    if let Some([_, held_out]) = summary.accuracy {
        say!("a linear classifier on the codes: {:.2} % right, held out", 100.0 * held_out);
    }
    say!("wrote {}", args.output.join("report.html").display());
}

fn run_check(args: &Args, config: &RunConfig, subject: &DigitModel) -> Result<(), Failure> {
    if !args.run.is_dir() {
        return Err(
            format!("{}: --check trains on from a run directory", args.run.display()).into()
        );
    }
    check_place(&args.output, args.force)?;
    let options = CheckOptions {
        atoms: args.checked,
        outputs: args.checked,
        removed: args.removed,
        steps: args.steps,
        batch: args.batch,
        ridge: args.ridge,
        seed: config.seed,
    };
    let device = args.backend.backend.device()?;
    let mut config = config.clone();
    config.backend = args.backend.backend;
    config.model.kernels = args.backend.kernels.unwrap_or_default();
    let bar = bar(0, "trainings");
    let found = check(subject, &config, &args.run, &options, &device, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    write_check(&args.output, args.force, &found)?;
    say!("{}", found.table());
    say!("wrote {}", args.output.display());
    Ok(())
}

fn print_growth(args: &Args, subject: &DigitModel) -> Result<(), Failure> {
    say!(
        "{:>9} {:>8} {:>10} {:>10} {:>8} {:>10}",
        "data",
        "pass s",
        "inverse s",
        "weights s",
        "all s",
        "peak MiB"
    );
    growth(subject, &args.growth, args.ridge, args.top, |cost| {
        let peak = cost.peak_mib.map_or("–".into(), |mib| format!("{mib:.0}"));
        say!(
            "{:>9} {:>8.2} {:>10.2} {:>10.2} {:>8.2} {peak:>10}",
            cost.data,
            cost.pass,
            cost.inverse,
            cost.weights,
            cost.seconds()
        );
    })?;
    Ok(())
}
