//! Flags of `pudle train` for a recording of one's own.

use std::path::{Path, PathBuf};

use pudle_core::{DictionaryConfig, Observation, Proximal};
use pudle_data::{DataConfig, Extent, Onsets, Opened, RecordingWindows};
use pudle_train::{OnsetResults, OwnRecording, RunConfig};

use crate::failure::Failure;
use crate::terminal::say;

const HEADING: &str = "Recordings (docs/recordings.md)";

/// Atoms of a recording, if nothing else is asked for.
const ATOMS: usize = 4;

#[derive(clap::Args)]
#[command(next_help_heading = HEADING)]
pub struct RecordingArgs {
    /// Length of an atom: a time (2ms, 0.5s), or a number of samples.
    #[arg(long, value_name = "L", conflicts_with = "resume")]
    length: Option<Extent>,
    /// Sampling rate in Hz. A WAV file has its own.
    #[arg(long, value_name = "HZ", allow_negative_numbers = true, conflicts_with = "resume")]
    rate: Option<f64>,
    /// The axes of the array are time and channels, not channels and time.
    #[arg(long, conflicts_with = "resume")]
    time_first: bool,
    /// Find the λ at which all atoms together have this number of events in a second. A λ given as a number is in standard
    /// deviations of the noise [default: λ = 4].
    #[arg(long, value_name = "N/s", value_parser = parse_rate, allow_negative_numbers = true,
          conflicts_with_all = ["lambda", "resume"])]
    target_events: Option<f64>,
    /// Codes of either sign, where an event can be the negative of its atom. Without it, codes are not below zero.
    #[arg(long, conflicts_with = "resume")]
    signed: bool,
    /// Table (.csv, .tsv) of the times at which atoms may occur, with the columns trial, time (in seconds) or sample, and atom. A
    /// window is then a trial, and each trial has a baseline that is inferred.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    onsets: Option<PathBuf>,
    /// How the data are distributed: gaussian, or counts: bernoulli (a spike or none), binomial:N (at most N), or poisson:M (of any
    /// size, whose mean is at most about M). Counts need --onsets [default: gaussian].
    #[arg(long, value_name = "O", value_parser = parse_observation, conflicts_with = "resume")]
    observations: Option<Observation>,
    /// Sizes of the events at known onsets: shared (all events of an atom have one size) or free [default: shared for counts].
    #[arg(long, value_name = "S", value_parser = ["free", "shared"], conflicts_with = "resume")]
    sizes: Option<String>,
    /// Make atoms smooth: a weight of half their squared second differences, or auto (with --onsets, the weight that is best on
    /// trials that are left out) [default: auto with --onsets, otherwise 0].
    #[arg(long, value_name = "W", value_parser = parse_smooth, allow_negative_numbers = true, conflicts_with = "resume")]
    smooth: Option<Smooth>,
    /// Make every atom a waveform times a weight for each channel.
    #[arg(long, conflicts_with = "resume")]
    rank_one: bool,
}

/// How smooth atoms are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Smooth {
    /// By a weight.
    Weight(f64),
    /// By the weight that is best on data that are held out.
    Auto,
}

impl RecordingArgs {
    /// Overrides the settings by the flags, but for what depends on the recording. `held_out` says whether a share for validation
    /// is given.
    pub fn apply(&self, config: &mut RunConfig, held_out: bool) -> Result<(), Failure> {
        let DataConfig::Recordings(settings) = &mut config.data else {
            return self.refuse(config.data.kind());
        };
        if settings.path.as_os_str().is_empty() {
            return Err("a recording is needed: name its file with --data".into());
        }
        settings.rate = self.rate.or(settings.rate);
        settings.time_first |= self.time_first;
        if self.signed {
            config.model.prox = Proximal::Soft;
        }
        let known = self.onsets.is_some() || settings.onsets.is_some();
        if !known && self.sizes.is_some() {
            return Err("--sizes is for known onsets: name their table with --onsets".into());
        }
        if !known && self.smooth == Some(Smooth::Auto) {
            return Err("--smooth auto is for known onsets: give a weight, or --onsets".into());
        }
        if let Some(onsets) = &self.onsets {
            let absolute = onsets.canonicalize();
            settings.onsets = Some(absolute.unwrap_or_else(|_| onsets.clone()));
            if !held_out {
                settings.validation = 0.0;
            }
            // Atoms occur at onsets: there is nothing to choose from.
            config.model = config.model.clone().with_lambda(0.0);
        }
        config.model.observation = self.observations.unwrap_or(config.model.observation);
        let counts = !config.model.observation.is_gaussian();
        config.model.shared = match self.sizes.as_deref() {
            Some(sizes) => sizes == "shared",
            None => config.model.shared || (self.onsets.is_some() && counts),
        };
        config.model.rank_one |= self.rank_one;
        if let Some(Smooth::Weight(weight)) = self.smooth {
            config.training.smooth = weight;
        }
        Ok(())
    }

    /// An error if a flag is given that only a recording has.
    fn refuse(&self, kind: &str) -> Result<(), Failure> {
        let flags = [
            ("--length", self.length.is_some()),
            ("--rate", self.rate.is_some()),
            ("--time-first", self.time_first),
            ("--target-events", self.target_events.is_some()),
            ("--signed", self.signed),
            ("--onsets", self.onsets.is_some()),
            ("--observations", self.observations.is_some()),
            ("--sizes", self.sizes.is_some()),
            ("--smooth", self.smooth.is_some()),
            ("--rank-one", self.rank_one),
        ];
        match flags.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(format!("{flag} is for a recording, but the data are {kind}").into())
            }
            None => Ok(()),
        }
    }

    /// Opens the data if they are a recording. Settings of a file are complete; otherwise the recording gives the shape of the
    /// dictionary, and lines say so. `given` sets what flags give once more.
    pub fn open(
        &self,
        config: &mut RunConfig,
        has_file: bool,
        atoms: Option<usize>,
        given: impl Fn(&mut RunConfig),
    ) -> Result<Option<Opened>, Failure> {
        if !matches!(config.data, DataConfig::Recordings(_)) {
            return Ok(None);
        }
        let data = OwnRecording::open(config)?;
        match (has_file, self.length) {
            (true, Some(_)) => {
                return Err("--length is that of the settings file: leave one of them out".into());
            }
            (true, None) => {}
            (false, Some(length)) => {
                let atoms = match (atoms, data.atoms_of_onsets(config)?) {
                    (Some(atoms), _) | (None, Some(atoms)) => atoms,
                    (None, None) => ATOMS,
                };
                data.fit(config, atoms, length)?;
                given(config);
            }
            (false, None) => {
                return Err(
                    "the length of an atom is needed: give it with --length, 2ms for example"
                        .into(),
                );
            }
        }
        let opened = data.batches(config)?;
        say!("{}", data.recording().describe());
        describe(config, data.recording().rate());
        if let Some(windows) = opened.recording.as_ref().filter(|w| w.onsets().is_some()) {
            self.describe_onsets(config, &opened, windows, has_file)?;
        }
        match self.target_events {
            Some(target) => {
                let lambda = OwnRecording::find_lambda(config, &opened, target)?;
                say!(
                    "λ = {lambda} standard deviations of the noise, at which there are about {target} events a second"
                );
            }
            None => {
                let lambda = config.model.threshold.lambda();
                match config.model.observation.is_gaussian() {
                    true => say!("λ = {lambda} standard deviations of the noise"),
                    false => say!("λ = {lambda}"),
                }
            }
        }
        Ok(Some(opened))
    }

    /// Chooses how smooth kernels at known onsets are, and says what is fitted.
    fn describe_onsets(
        &self,
        config: &mut RunConfig,
        opened: &Opened,
        windows: &RecordingWindows,
        has_file: bool,
    ) -> Result<(), Failure> {
        let onsets = windows.onsets().map_or(0, Onsets::count);
        let sizes =
            if config.model.shared { "one size for each atom" } else { "sizes of their own" };
        say!(
            "{onsets} onsets, {sizes}; {} data, a baseline for each trial",
            config.model.observation
        );
        let weight = match (self.smooth, windows.trials().len()) {
            (Some(Smooth::Weight(_)), _) => return Ok(()),
            (Some(Smooth::Auto), 1) => {
                return Err("--smooth auto needs several trials: give a weight instead".into());
            }
            // A settings file is complete: 0 is a weight, too.
            (None, _) if has_file || config.training.smooth > 0.0 => return Ok(()),
            (None, 1) => {
                say!("one trial: kernels are as rough as they come; --smooth makes them smooth");
                return Ok(());
            }
            _ => OwnRecording::find_smooth(config, opened)?,
        };
        say!("smooth = {weight}, the best on trials that were left out");
        Ok(())
    }
}

/// Says what is learned.
fn describe(config: &RunConfig, rate: Option<f64>) {
    let (DictionaryConfig::Conv1d(filters), DataConfig::Recordings(settings)) =
        (config.model.dictionary, &config.data)
    else {
        return;
    };
    let time =
        rate.map_or(String::new(), |rate| format!(" ({:.4} ms)", 1e3 * filters.size as f64 / rate));
    let training = &config.training;
    say!(
        "{} atoms of {} samples{time}, {} layers, {} steps of {} windows of {} samples",
        filters.atoms,
        filters.size,
        config.model.layers,
        training.steps,
        training.batch,
        settings.window
    );
}

/// Parses a rate of events: a number, with or without `/s`.
fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix("/s").unwrap_or(text.trim()).trim().parse::<f64>();
    number
        .ok()
        .filter(|rate| *rate > 0.0 && rate.is_finite())
        .ok_or_else(|| format!("\"{text}\": must be a rate above 0, 5/s for example"))
}

/// Parses an observation model.
pub fn parse_observation(text: &str) -> Result<Observation, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\": must be gaussian, bernoulli, binomial:N or poisson:M, poisson:5 for example")
    })
}

/// Parses how smooth atoms are.
fn parse_smooth(text: &str) -> Result<Smooth, String> {
    let weight = || text.parse().ok().filter(|w: &f64| *w >= 0.0 && w.is_finite());
    match text {
        "auto" => Ok(Smooth::Auto),
        _ => weight()
            .map(Smooth::Weight)
            .ok_or_else(|| format!("\"{text}\": must be auto, or a weight of at least 0")),
    }
}

/// Writes what a run with known onsets found, and says it.
pub fn write_onsets(dir: &Path, config: &RunConfig) -> Result<(), Failure> {
    let Some(results) = OnsetResults::of_run(dir, &config.backend.device()?)? else {
        return Ok(());
    };
    let unit = match config.model.observation {
        Observation::Gaussian(_) => "in units of the recording",
        Observation::Binomial(_) => "in log-odds",
        Observation::Poisson(_) => "in log-rates",
    };
    let kernels = results.kernels();
    let all = results.events.iter().flatten();
    for (atom, kernel) in kernels.chunks_exact(kernels.len() / results.sizes.len()).enumerate() {
        let count = all.clone().filter(|(onset, _)| onset.atom == Some(atom)).count();
        let [least, most] = kernel.iter().fold([0.0f32; 2], |[l, m], v| [l.min(*v), m.max(*v)]);
        say!("atom {atom}: {count} events, from {least:.3} to {most:.3} {unit}");
    }
    for path in results.write(dir)? {
        say!("wrote {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothness_is_read() {
        assert_eq!(parse_smooth("auto"), Ok(Smooth::Auto));
        assert_eq!(parse_smooth("30"), Ok(Smooth::Weight(30.0)));
        for text in ["-1", "much", "inf", ""] {
            assert!(parse_smooth(text).unwrap_err().contains(text));
        }
        assert!(parse_observation("cauchy").unwrap_err().contains("poisson:5"));
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(parse_rate("5/s"), Ok(5.0));
        assert_eq!(parse_rate(" 0.5 "), Ok(0.5));
        for text in ["0/s", "-1/s", "often", "/s", "5/min"] {
            assert!(parse_rate(text).unwrap_err().contains(text));
        }
    }
}
