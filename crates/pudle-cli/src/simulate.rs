//! `pudle simulate`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pudle_core::Observation;
use pudle_data::{
    DataError, Extent, SyntheticRaster, SyntheticRasterConfig, SyntheticRecording,
    SyntheticRecordingConfig, Waveforms, write_whole,
};
use pudle_train::TrainError;

use crate::codes::{check_output, with_bar};
use crate::failure::Failure;
use crate::recording::parse_observation;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// File of the recording (.npy), an array of channels and time; of counts, of trials, channels and time.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Table of the events (.csv): start, waveform and amplitude. Of counts: trial, sample, atom and size, which --onsets of `pudle
    /// train` reads.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Table of the waveforms (.csv): atom, channel, sample, time and value.
    #[arg(long, value_name = "FILE")]
    true_waveforms: Option<PathBuf>,
    /// gaussian: waveforms in white noise. bernoulli, binomial:N or poisson:M: counts in trials, whose rates rise and fall after
    /// onsets.
    #[arg(long, value_name = "O", default_value = "gaussian", value_parser = parse_observation)]
    observations: Observation,
    /// Number of waveforms, from 1 to 64 [default: 4; 2 for counts].
    #[arg(long, value_name = "N")]
    waveforms: Option<usize>,
    /// Length of a waveform: a time, or a number of samples [default: 2ms; 60ms for counts].
    #[arg(long, value_name = "L")]
    length: Option<Extent>,
    /// Number of channels [default: 1].
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Length of the recording; for counts, of a trial [default: 10s; 1s for counts].
    #[arg(long, value_name = "L")]
    duration: Option<Extent>,
    /// Sampling rate in Hz [default: 30000; 1000 for counts].
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Events of each waveform in a second [default: 10; 3 for counts].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    events: Option<f64>,
    /// Signal-to-noise ratio in dB: of the mean square of a waveform, in the channel where it is largest, to the variance of the
    /// noise [default: 10].
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    snr: Option<f64>,
    /// Part by which amplitudes rise and fall slowly, from 0 to 0.9 [default: 0.3].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    drift: Option<f64>,
    /// Number of trials of counts [default: 500].
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Spikes in a second of a trial without events, from LOW to HIGH [default: 5-30].
    #[arg(long, value_name = "LOW-HIGH", value_parser = parse_spikes)]
    spikes: Option<[f64; 2]>,
    /// Seed of waveforms, events and noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let outputs = [Some(&args.output), args.truth.as_ref(), args.true_waveforms.as_ref()];
    for output in outputs.into_iter().flatten() {
        check_output(output, Path::new(""), args.force)?;
    }
    let counts = !args.observations.is_gaussian();
    let others = match counts {
        true => [
            ("--channels", args.channels.is_some()),
            ("--snr", args.snr.is_some()),
            ("--drift", args.drift.is_some()),
        ]
        .to_vec(),
        false => {
            [("--trials", args.trials.is_some()), ("--spikes", args.spikes.is_some())].to_vec()
        }
    };
    if let Some((flag, _)) = others.iter().find(|(_, given)| *given) {
        let other = if counts { "waveforms in white noise" } else { "counts" };
        return Err(format!(
            "{flag} is for {other}, but the observations are {}",
            args.observations
        )
        .into());
    }
    if counts { counts_of(args) } else { waveforms_of(args) }
}

/// Makes waveforms in white noise.
fn waveforms_of(args: &Args) -> Result<(), Failure> {
    let usual = SyntheticRecordingConfig::default();
    let rate = args.rate.unwrap_or(usual.rate);
    let checked = SyntheticRecordingConfig { rate, events_per_second: 0.0, ..usual.clone() };
    checked.validate()?;
    let samples = |given: Option<Extent>, usual: f64| {
        given.unwrap_or(Extent::Seconds(usual)).samples(Some(rate))
    };
    let config = SyntheticRecordingConfig {
        waveforms: args.waveforms.unwrap_or(usual.waveforms),
        length: samples(args.length, 0.002)?,
        channels: args.channels.unwrap_or(usual.channels),
        samples: samples(args.duration, 10.0)?,
        rate,
        events_per_second: args.events.unwrap_or(usual.events_per_second),
        snr: args.snr.unwrap_or(usual.snr),
        drift: args.drift.unwrap_or(usual.drift),
        seed: args.seed,
        ..usual
    };
    let made = SyntheticRecording::new(config)?;
    with_bar("simulate", |visit| {
        made.write_npy(&args.output, visit).map_err(|error| match error {
            DataError::Io { cause, .. } if cause.kind() == ErrorKind::Interrupted => {
                TrainError::Interrupted
            }
            other => other.into(),
        })
    })?;
    write_tables(args, &made.truth_table(), made.waveforms(), rate)?;
    let events = made.events().len();
    say!("{}, {events} events, noise {:.4}", made.recording().describe(), made.noise());
    say!("wrote {}", args.output.display());
    Ok(())
}

/// Makes counts in trials.
fn counts_of(args: &Args) -> Result<(), Failure> {
    let usual = SyntheticRasterConfig { observation: args.observations, ..Default::default() };
    let rate = args.rate.unwrap_or(usual.rate);
    SyntheticRasterConfig { rate, spikes: [1e-9 * rate.abs(); 2], ..usual.clone() }.validate()?;
    let samples = |given: Option<Extent>, usual: f64| {
        given.unwrap_or(Extent::Seconds(usual)).samples(Some(rate))
    };
    let trial = samples(args.duration, 1.0)?;
    let events = args.events.map(|events| (events * trial as f64 / rate).round().max(0.0) as usize);
    let config = SyntheticRasterConfig {
        trials: args.trials.unwrap_or(usual.trials),
        kernels: args.waveforms.unwrap_or(usual.kernels),
        length: samples(args.length, 0.06)?,
        samples: trial,
        rate,
        events: events.unwrap_or((3.0 * trial as f64 / rate).round() as usize),
        spikes: args.spikes.unwrap_or(usual.spikes),
        seed: args.seed,
        ..usual
    };
    let made = SyntheticRaster::new(config)?;
    let written = write_whole(&args.output, &made.to_npy());
    written.map_err(|error| format!("{}: {error}", args.output.display()))?;
    write_tables(args, &made.onset_table(), made.kernels(), rate)?;
    let onsets = made.onsets().count();
    let spikes = made.mean_rate();
    say!("{}, {onsets} onsets, {spikes:.2} counts a second", made.recording().describe());
    say!("wrote {}", args.output.display());
    Ok(())
}

/// Writes what is known of the recording.
fn write_tables(args: &Args, truth: &str, waveforms: &Waveforms, rate: f64) -> Result<(), Failure> {
    let table = args.true_waveforms.as_ref().map(|_| {
        let [_, channels, taps] = waveforms.shape;
        let mut text = String::from("atom,channel,sample,time,value\n");
        for (k, value) in waveforms.values.iter().enumerate() {
            let (atom, channel, sample) = (k / (channels * taps), k / taps % channels, k % taps);
            let time = sample as f64 / rate;
            text += &format!("{atom},{channel},{sample},{time:.7},{value}\n");
        }
        text
    });
    let tables = [(&args.truth, Some(truth)), (&args.true_waveforms, table.as_deref())];
    for (path, text) in tables {
        if let (Some(path), Some(text)) = (path, text) {
            let written = write_whole(path, text.as_bytes());
            written.map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Parses rates of spikes: one, or two with a dash.
fn parse_spikes(text: &str) -> Result<[f64; 2], String> {
    let wrong = || format!("\"{text}\": must be rates of spikes in a second such as 5-30, above 0");
    let number = |text: &str| text.trim().parse().ok().filter(|v: &f64| *v > 0.0 && v.is_finite());
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let rates = number(low).zip(number(high)).filter(|(low, high)| low <= high);
    rates.map(|(low, high)| [low, high]).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_spikes_are_read() {
        assert_eq!(parse_spikes("5-30"), Ok([5.0, 30.0]));
        assert_eq!(parse_spikes("7.5"), Ok([7.5, 7.5]));
        for text in ["30-5", "-5", "few", "0", "5-inf"] {
            assert!(parse_spikes(text).unwrap_err().contains(text));
        }
    }
}
