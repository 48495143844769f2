//! `pudle explain`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use pudle_explain::{
    ContinuedTraining, ExplainOptions, InputNoise, Progress, RemovalOptions, ReportOptions, Ridge,
    Subject, SubjectOptions, Summary, check_place, explain, growth, open_subject, removal_test,
    write_removal_test, write_report,
};
use pudle_train::{Checkpoint, DataConfig, RunConfig, compare_data};

use crate::arguments::BackendArg;
use crate::explain_data::{DataArgs, Explained};
use crate::failure::Failure;
use crate::shipped::load;
use crate::terminal::say;

/// Held-out digits that are explained by default.
const HELD_OUT: usize = 10;
/// Atoms and outputs that are tested by default: of digits, and of a recording.
const CHECKED: usize = 50;
const CHECKED_EVENTS: usize = 12;
/// Digits in a step of a test.
const BATCH: usize = 128;

#[derive(clap::Args)]
pub struct Args {
    /// Run directory, checkpoint directory, or name of a shipped checkpoint.
    run: PathBuf,
    /// Picture whose output is explained. May be given several times. A digit must have the size of the training
    /// digits. A photograph counts as noisy; --sigma gives its noise level, otherwise the level is estimated. For a model of a
    /// recording, another recording: the part of it in which most happens is explained.
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Folder for the report, or for the result of --check.
    #[arg(short, long, value_name = "DIR", default_value = "report")]
    output: PathBuf,
    /// Replace an existing report.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataArgs,
    /// Ridge that is added to the diagonal of Z Zᵀ before the inversion: sphere (the Lagrange multipliers of the unit
    /// norm of the atoms), or a number ρ, at least 0 (weight decay).
    #[arg(long, value_name = "R", default_value_t, allow_negative_numbers = true,
          value_parser = |text: &str| text.parse::<Ridge>())]
    ridge: Ridge,
    /// Number of training data that the report lists for each atom and output, from 2 to 64.
    #[arg(long, value_name = "N", default_value_t = 8)]
    top: usize,
    /// Number of held-out digits, or events of a recording, whose outputs are explained [default: 10].
    #[arg(long, value_name = "N")]
    held_out: Option<usize>,
    /// Standard deviation of the noise that is added to training photographs, on the scale 0 … 255. The default is the
    /// level of the training, or the middle of its range.
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    sigma: Option<f32>,
    /// Add noise of this level to the inputs first, because they are clean.
    #[arg(long, requires = "input")]
    add_noise: bool,
    /// Number of training photographs to use [default: all].
    #[arg(long, value_name = "N")]
    photographs: Option<usize>,
    /// Row and column of a pixel of the inputs. The patch around it is explained. May be given several times. The
    /// default is three patches of high contrast.
    #[arg(long, value_name = "Y,X", value_parser = parse_pixel, requires = "input")]
    patch: Vec<[usize; 2]>,
    /// Test the explanation: remove the data that it names, continue training without them, and compare the change
    /// of the model with the prediction. Only for models of digits and of recordings.
    #[arg(long, conflicts_with_all = ["growth", "input", "top", "held_out", "sigma", "photographs"])]
    check: bool,
    /// Number of atoms, and number of outputs, to test. The few atoms of a recording are each tested several times, for events of
    /// lower and lower rank [default: 50; recordings: 12].
    #[arg(long, value_name = "N", requires = "check")]
    checked: Option<usize>,
    /// Number of data, or events of a recording, that are removed in each test.
    #[arg(long, value_name = "K", default_value_t = 20, requires = "check")]
    removed: usize,
    /// Number of steps for which training continues.
    #[arg(long, value_name = "N", default_value_t = 128, requires = "check")]
    steps: u64,
    /// Batch size of these steps. The default for digits is larger than in training, because the changes to measure are small
    /// [default: 128; recordings: as in the training].
    #[arg(long, value_name = "N", requires = "check")]
    batch: Option<usize>,
    /// Measure time and memory of the explanation for these numbers of data, and print a table. Training digits are
    /// repeated as often as needed.
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
    pair.ok_or_else(|| {
        format!("\"{text}\" is not a pixel: type a row and a column, for example 120,48")
    })
}

pub fn run(args: Args) -> Result<(), Failure> {
    let args = &args;
    let device = args.backend.device()?;
    let mut checkpoint = load(&args.run, &device)?;
    let config = settings(args, &checkpoint)?;
    if let Some(kernels) = args.backend.kernels {
        checkpoint.model = checkpoint.model.with_kernels(kernels)?;
    }
    compare_data(&args.run, &config)?;
    let options = SubjectOptions {
        sigma: args.sigma,
        photographs: args.photographs.unwrap_or(usize::MAX),
        seed: config.seed,
    };
    let subject = open_subject(checkpoint, &config, options, &device)?;
    let subject = subject.as_ref();
    if args.check && subject.retraining().is_none() {
        return Err("--check needs a model of digits or of a recording".into());
    }
    if !args.growth.is_empty() && subject.network().is_none() {
        return Err("--growth needs a model of digits".into());
    }
    if !args.growth.is_empty() {
        print_growth(args, subject)
    } else if args.check {
        run_removal_test(args, &config, subject)
    } else {
        report(args, &config, subject)
    }
}

/// The settings of the run, or of one over the data that the flags name if the dictionary was imported.
fn settings(args: &Args, checkpoint: &Checkpoint) -> Result<RunConfig, Failure> {
    let Args { run, data: flags, sigma, .. } = args;
    let explained = Explained { run, checkpoint, flags, sigma: *sigma };
    match explained.run_settings()? {
        Some(config) => Ok(config),
        None if args.check => {
            let reason = "is imported, but --check needs a run to continue training from";
            Err(format!("{}: {reason}", run.display()).into())
        }
        None => explained.imported_settings(),
    }
}

fn report(args: &Args, config: &RunConfig, subject: &dyn Subject) -> Result<(), Failure> {
    check_flags(args, subject)?;
    check_place(&args.output, args.force)?;
    let noise = match (args.add_noise, args.sigma) {
        (true, _) => InputNoise::Add,
        (false, Some(sigma)) => InputNoise::Known(sigma),
        (false, None) => InputNoise::Estimate,
    };
    let mut inputs = Vec::with_capacity(args.input.len());
    for path in &args.input {
        inputs.push(subject.read_input(path, noise)?);
    }
    inputs.extend(subject.held_out_inputs(args.held_out.unwrap_or(HELD_OUT)));
    let options = ExplainOptions {
        ridge: args.ridge,
        top: args.top,
        inputs,
        pixels: args.patch.clone(),
        seed: config.seed,
    };
    let bar = ProgressBar::new(0).with_style(style("{msg}  {wide_bar}  {eta} left"));
    let found = explain(subject, &options, &mut |Progress { stage, done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(stage.to_owned());
    })?;
    bar.finish_and_clear();
    let options = ReportOptions {
        dir: &args.output,
        replace: args.force,
        run: &args.run.display().to_string(),
        seed: config.seed,
    };
    let summary = write_report(options, subject, &found)?;
    print_summary(&summary);
    if let Some(found) = &found.events {
        say!("{} events, one click from their atoms", found.events.list.len());
    }
    say!("wrote {}", args.output.join("report.html").display());
    Ok(())
}

/// Returns an error if a flag does not apply to the kind of data.
fn check_flags(args: &Args, subject: &dyn Subject) -> Result<(), Failure> {
    let noisy = subject.sigma().is_some();
    let for_photographs = args.sigma.is_some()
        || args.add_noise
        || args.photographs.is_some()
        || !args.patch.is_empty();
    if for_photographs && !noisy {
        let flags = "--sigma, --add-noise, --photographs and --patch";
        return Err(format!("{flags} need a model of photographs").into());
    }
    if args.held_out.is_some() && noisy {
        return Err("--held-out needs a model of digits or of a recording".into());
    }
    Ok(())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}

fn print_summary(summary: &Summary) {
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
}

fn run_removal_test(args: &Args, config: &RunConfig, subject: &dyn Subject) -> Result<(), Failure> {
    if !args.run.is_dir() {
        let run = args.run.display();
        return Err(
            format!("{run}: --check needs a run directory to continue training from").into()
        );
    }
    check_place(&args.output, args.force)?;
    let mut config = config.clone();
    config.backend = args.backend.backend;
    config.model.kernels = args.backend.kernels.unwrap_or_default();
    let (checked, batch) = match config.data {
        DataConfig::Recordings(_) => (CHECKED_EVENTS, config.training.batch),
        _ => (CHECKED, BATCH),
    };
    let batch = args.batch.unwrap_or(batch);
    let options = RemovalOptions {
        checked: args.checked.unwrap_or(checked),
        removed: args.removed,
        ridge: args.ridge,
        seed: config.seed,
    };
    let training = ContinuedTraining { config, dir: args.run.clone(), steps: args.steps, batch };
    let template = "{pos} of {len} trainings  {wide_bar}  {eta} left";
    let bar = ProgressBar::new(0).with_style(style(template));
    let found = removal_test(subject, &training, &options, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    write_removal_test(&args.output, args.force, &found)?;
    say!("{}", found.table());
    say!("wrote {}", args.output.display());
    Ok(())
}

fn print_growth(args: &Args, subject: &dyn Subject) -> Result<(), Failure> {
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
