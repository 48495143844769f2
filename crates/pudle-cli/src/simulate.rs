//! `pudle simulate`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pudle_data::{DataError, Extent, SyntheticRecording, SyntheticRecordingConfig, write_whole};
use pudle_train::TrainError;

use crate::codes::{check_output, with_bar};
use crate::failure::Failure;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// File of the recording (.npy), an array of channels and time.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Table of the events (.csv): start, waveform and amplitude.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Number of waveforms, from 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4)]
    waveforms: usize,
    /// Length of a waveform: a time, or a number of samples.
    #[arg(long, value_name = "L", default_value = "2ms")]
    length: Extent,
    /// Number of channels.
    #[arg(long, value_name = "N", default_value_t = 1)]
    channels: usize,
    /// Length of the recording.
    #[arg(long, value_name = "L", default_value = "10s")]
    duration: Extent,
    /// Sampling rate in Hz.
    #[arg(long, value_name = "HZ", default_value_t = 30_000.0, allow_negative_numbers = true)]
    rate: f64,
    /// Events of each waveform in a second.
    #[arg(long, value_name = "N", default_value_t = 10.0, allow_negative_numbers = true)]
    events: f64,
    /// Signal-to-noise ratio in dB: of the mean square of a waveform, in the channel where it is largest, to the variance of the
    /// noise.
    #[arg(long, value_name = "DB", default_value_t = 10.0, allow_negative_numbers = true)]
    snr: f64,
    /// Part by which amplitudes rise and fall slowly, from 0 to 0.9.
    #[arg(long, value_name = "X", default_value_t = 0.3, allow_negative_numbers = true)]
    drift: f64,
    /// Seed of waveforms, events and noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    for output in [Some(&args.output), args.truth.as_ref()].into_iter().flatten() {
        check_output(output, Path::new(""), args.force)?;
    }
    let checked =
        SyntheticRecordingConfig { rate: args.rate, events_per_second: 0.0, ..Default::default() };
    checked.validate()?;
    let rate = Some(args.rate);
    let config = SyntheticRecordingConfig {
        waveforms: args.waveforms,
        length: args.length.samples(rate)?,
        channels: args.channels,
        samples: args.duration.samples(rate)?,
        rate: args.rate,
        events_per_second: args.events,
        snr: args.snr,
        drift: args.drift,
        seed: args.seed,
        ..Default::default()
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
    if let Some(path) = &args.truth {
        let written = write_whole(path, made.truth_table().as_bytes());
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let events = made.events().len();
    say!("{}, {events} events, noise {:.4}", made.recording().describe(), made.noise());
    say!("wrote {}", args.output.display());
    Ok(())
}
