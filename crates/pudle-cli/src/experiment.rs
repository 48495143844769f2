//! `pudle experiment`.

use std::path::PathBuf;

use clap::{ArgMatches, FromArgMatches, Subcommand};
use pudle_core::Backend;
use pudle_experiments::{
    Baselines, CodeError, DenoisingIngredients, DenoisingTable, DictionaryRecovery, Experiment,
    GradientDynamics, Initialisation, perform,
};

use crate::arguments::{DeviceArg, words};
use crate::failure::Failure;
use crate::terminal::{say, say_json};

#[derive(Subcommand)]
pub enum Args {
    /// How fast the gradients dec, ae-lasso, ae-ls and others converge over the layers, and to what.
    GradientDynamics(Flags<GradientDynamics>),
    /// How well each gradient recovers a known dictionary from a perturbed start.
    DictionaryRecovery(Flags<DictionaryRecovery>),
    /// Compare NOODL with ae-ls under a constant λ, a decaying λ and a hard threshold.
    Baselines(BaselineFlags),
    /// Learn a dictionary from data alone. It starts from pairs of data that share an atom.
    Initialisation(Flags<Initialisation>),
    /// How much of a code's error comes from the dictionary, from too few layers and from the bias of λ.
    CodeError(Flags<CodeError>),
    /// PSNR on photographs after learning with dec, ae-ls and hard thresholds, for several λ.
    DenoisingTable(Flags<DenoisingTable>),
    /// PSNR of each step from the published denoiser to the blind one that is shipped.
    DenoisingIngredients(Flags<DenoisingIngredients>),
}

#[derive(clap::Args)]
pub struct BaselineFlags {
    #[command(flatten)]
    flags: Flags<Baselines>,
    /// Write the data that the first seed learns from, for other programs, and run nothing: a safetensors file for
    /// each sparsity with the data in order (x), the true dictionary (truth) and the start (start).
    #[arg(long, value_name = "DIR")]
    save_data: Option<PathBuf>,
}

/// Flags of every experiment.
#[derive(clap::Args)]
struct Common {
    /// Folder of the results. If it holds a part of them already, the rest is added. runs/NAME-PRESET by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print summary.json instead of the table.
    #[arg(long)]
    json: bool,
    /// Backend: flex (CPU), ndarray, wgpu or cuda. Each is a cargo feature; flex is the default one.
    #[arg(long, value_name = "B", default_value_t, value_parser = words::<Backend>())]
    backend: Backend,
    #[command(flatten)]
    device: DeviceArg,
}

/// The flags of an experiment: a preset, and a flag for every setting that replaces the preset's.
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
            .help("Named settings; the flags below replace single ones")
            .default_value(names[0])
            .value_parser(clap::builder::PossibleValuesParser::new(names));
        let command = Common::augment_args(command.arg(preset));
        let common: Vec<clap::Id> =
            command.get_arguments().map(|arg| arg.get_id().clone()).collect();
        // The help of every flag names its value in the presets.
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

/// A setting as it is typed.
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
            let device = flags.common.device.open(flags.common.backend)?;
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
    common.device.choose();
    let dir = common.out.unwrap_or_else(|| format!("runs/{}-{preset}", E::NAME).into());
    let summary = perform(&experiment, &dir, common.backend)?;
    if common.json {
        return say_json(&summary);
    }
    say!("{}", summary.table());
    say!("{:.0} s in all; wrote {}", summary.seconds, dir.display());
    Ok(())
}
