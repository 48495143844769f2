//! `pudle experiment`.

use std::path::PathBuf;

use clap::{ArgMatches, FromArgMatches, Subcommand};
use pudle_core::Backend;
use pudle_experiments::{
    Baselines, CodeError, DenoisingIngredients, DenoisingTable, DictionaryRecovery, Experiment,
    GradientDynamics, Initialisation, perform,
};

use crate::arguments::words;
use crate::failure::Failure;
use crate::terminal::{say, say_json};

#[derive(Subcommand)]
pub enum Args {
    /// Convergence of the gradients dec, ae-lasso, ae-ls and others with the number of layers.
    GradientDynamics(Flags<GradientDynamics>),
    /// Recovery of the true dictionary from a perturbed one: gradients, layers, batch sizes, learning rates and noise.
    DictionaryRecovery(Flags<DictionaryRecovery>),
    /// Comparison with NOODL: ae-ls with constant λ, decaying λ and hard thresholding.
    Baselines(BaselineFlags),
    /// Initialisation without knowledge of the dictionary, from pairs of data that share an atom.
    Initialisation(Flags<Initialisation>),
    /// Sources of the code's error: the dictionary's error, the number of layers, and the bias of λ.
    CodeError(Flags<CodeError>),
    /// PSNR on photographs for dec, ae-ls and hard thresholding, by λ.
    DenoisingTable(Flags<DenoisingTable>),
    /// Gain in PSNR of each change from the published denoiser to the shipped blind denoiser.
    DenoisingIngredients(Flags<DenoisingIngredients>),
}

#[derive(clap::Args)]
pub struct BaselineFlags {
    #[command(flatten)]
    flags: Flags<Baselines>,
    /// Write the training data of the first seed to this folder, for other programs, and train nothing. Each
    /// sparsity has a safetensors file with the data in order (x), the true dictionary (truth) and the initial one (start).
    #[arg(long, value_name = "DIR")]
    save_data: Option<PathBuf>,
}

/// The arguments of every experiment.
#[derive(clap::Args)]
struct Common {
    /// Folder for the results [default: runs/NAME-PRESET]. If it holds a part of them, the experiment resumes.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print summary.json instead of the table.
    #[arg(long)]
    json: bool,
    /// Backend that computes. Each backend is a cargo feature; a default build has flex, which runs on the CPU.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    backend: Backend,
}

/// The flags of an experiment: a preset, and one flag for each setting, which overrides the preset.
pub struct Flags<E> {
    common: Common,
    preset: String,
    experiment: E,
}

impl<E: Experiment> FromArgMatches for Flags<E> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let common = Common::from_arg_matches(matches)?;
        let preset = matches.get_one::<String>("preset").cloned().unwrap_or_default();
        let known = E::presets().into_iter().find(|(name, _)| *name == preset);
        let (_, mut experiment) = known.expect("clap checks the preset's name");
        experiment.update_from_arg_matches(matches)?;
        Ok(Self { common, preset, experiment })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<E: Experiment> clap::Args for Flags<E> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let presets = E::presets();
        let names: Vec<&str> = presets.iter().map(|(name, _)| *name).collect();
        let preset = clap::Arg::new("preset")
            .long("preset")
            .value_name("P")
            .help("Preset. The flags below override its settings")
            .default_value(names[0])
            .value_parser(clap::builder::PossibleValuesParser::new(names));
        let command = Common::augment_args(command.arg(preset));
        let common: Vec<clap::Id> =
            command.get_arguments().map(|arg| arg.get_id().clone()).collect();
        // The help of each flag shows its default in each preset.
        let settings: Vec<(&str, toml::Table)> = presets
            .iter()
            .map(|(name, preset)| (*name, toml::Table::try_from(preset).expect("plain values")))
            .collect();
        E::augment_args_for_update(command).mut_args(|arg| {
            if common.contains(arg.get_id()) {
                return arg;
            }
            let of = |table: &toml::Table| table.get(arg.get_id().as_str()).map(plain);
            let Some(first) = of(&settings[0].1) else { return arg };
            let mut defaults = first.clone();
            for (name, table) in &settings[1..] {
                match of(table) {
                    Some(value) if value != first => defaults += &format!("; {name}: {value}"),
                    _ => {}
                }
            }
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.help(format!("{help} [{defaults}]"))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// The text to type on the command line for a value.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args {
        Args::GradientDynamics(flags) => run_one(flags),
        Args::DictionaryRecovery(flags) => run_one(flags),
        Args::Baselines(BaselineFlags { flags, save_data: Some(dir) }) => {
            let device = flags.common.backend.device()?;
            for path in flags.experiment.save_data(&dir, &device)? {
                say!("wrote {}", path.display());
            }
            Ok(())
        }
        Args::Baselines(BaselineFlags { flags, save_data: None }) => run_one(flags),
        Args::Initialisation(flags) => run_one(flags),
        Args::CodeError(flags) => run_one(flags),
        Args::DenoisingTable(flags) => run_one(flags),
        Args::DenoisingIngredients(flags) => run_one(flags),
    }
}

fn run_one<E: Experiment>(flags: Flags<E>) -> Result<(), Failure> {
    let Flags { common, preset, experiment } = flags;
    let dir = common.out.unwrap_or_else(|| format!("runs/{}-{preset}", E::NAME).into());
    let summary = perform(&experiment, &dir, common.backend)?;
    if common.json {
        return say_json(&summary);
    }
    say!("{}", summary.table());
    say!("{:.0} s in all; wrote {}", summary.seconds, dir.display());
    Ok(())
}
