//! Flags of `pudle train` for a recording of one's own.

use pudle_core::{DictionaryConfig, Proximal};
use pudle_data::{DataConfig, Extent, Opened};
use pudle_train::{OwnRecording, RunConfig};

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
}

impl RecordingArgs {
    /// Overrides the settings by the flags, but for what depends on the recording.
    pub fn apply(&self, config: &mut RunConfig) -> Result<(), Failure> {
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
        ];
        match flags.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(format!("{flag} is for a recording, but the data are {kind}").into())
            }
            None => Ok(()),
        }
    }

    /// Opens the data if they are a recording. Settings of a file are complete; otherwise the recording gives the shape of the
    /// dictionary, and lines say so.
    pub fn open(
        &self,
        config: &mut RunConfig,
        has_file: bool,
        atoms: Option<usize>,
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
            (false, Some(length)) => data.fit(config, atoms.unwrap_or(ATOMS), length)?,
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
        match self.target_events {
            Some(target) => {
                let lambda = OwnRecording::find_lambda(config, &opened, target)?;
                say!(
                    "λ = {lambda} standard deviations of the noise, at which there are about {target} events a second"
                );
            }
            None => {
                let lambda = config.model.threshold.lambda();
                say!("λ = {lambda} standard deviations of the noise");
            }
        }
        Ok(Some(opened))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        assert_eq!(parse_rate("5/s"), Ok(5.0));
        assert_eq!(parse_rate(" 0.5 "), Ok(0.5));
        for text in ["0/s", "-1/s", "often", "/s", "5/min"] {
            assert!(parse_rate(text).unwrap_err().contains(text));
        }
    }
}
