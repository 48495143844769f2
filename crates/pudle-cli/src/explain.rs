//! `pudle explain`.

use std::path::PathBuf;

use pudle_explain::{
    DigitOptions, PatchOptions, Ridge, Subject, check_place, explain_digits, write_digit_report,
};

use crate::shipped::load_run;
use crate::terminal::{say, say_json};
use crate::{BackendArg, Failure};

#[derive(clap::Args)]
pub struct Args {
    /// Run or checkpoint directory, or the name of a checkpoint that ships.
    run: PathBuf,
    /// A picture whose output is to be explained; may be given several times.
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Folder of the report.
    #[arg(short, long, value_name = "DIR", default_value = "report")]
    output: PathBuf,
    /// Folder of the training data, where it is not where the run found it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is added to the diagonal of Z Zᵀ before it is inverted: sphere (the multipliers of atoms of unit norm), or a
    /// number ρ of at least 0 (weight decay).
    #[arg(long, value_name = "R", default_value_t, value_parser = |text: &str| text.parse::<Ridge>(),
          allow_negative_numbers = true)]
    ridge: Ridge,
    /// Training data named for each atom and output, 2 to 64.
    #[arg(long, value_name = "N", default_value_t = 8)]
    top: usize,
    /// Replace a report that is already there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    backend: BackendArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let device = args.backend.backend.device()?;
    let (checkpoint, mut config) = load_run(&args.run, &device)?;
    if let Some(data) = args.data {
        config.set_data(data)?;
    }
    let options = PatchOptions { sigma: None, most: 50, seed: 0 };
    match Subject::new(checkpoint, &config, options, &device)? {
        Subject::Digits(subject) => {
            let options = DigitOptions {
                ridge: args.ridge,
                count: args.top,
                held_out: 10,
                inputs: args.input,
                seed: config.seed,
            };
            check_place(&args.output, args.force)?;
            let found = explain_digits(&subject, &options, &device, |what| say!("{what} …"))?;
            let name = args.run.display().to_string();
            let summary =
                write_digit_report(&args.output, args.force, &name, &subject, &found, config.seed)?;
            say_json(&summary)?;
            say!("wrote {}", args.output.join("report.html").display());
        }
        Subject::Patches(_) => {}
    }
    Ok(())
}
