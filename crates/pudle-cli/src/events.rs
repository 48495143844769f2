//! `pudle events`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pudle_data::{Missing, Recording, RecordingOptions, write_whole};
use pudle_explain::EventFigure;
use pudle_train::{EventFinder, Events};

use crate::arguments::{DeviceArg, words};
use crate::codes::{check_output, with_bar};
use crate::failure::Failure;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// Run directory of a training on a recording.
    run: PathBuf,
    /// Recording: WAV, .npy, .npz, .csv, .tsv or .safetensors.
    data: PathBuf,
    /// Table of the events (.csv).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Picture of waveforms, a stretch of the recording, the events over time, and histograms of amplitudes and intervals: a
    /// .png or .svg file.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Start of the stretch in the picture, in seconds (in samples, if the sampling rate is not known) [default: where there are
    /// most events].
    #[arg(long, value_name = "T", requires = "picture")]
    from: Option<f64>,
    /// Table of the waveforms in units of the recording (.csv).
    #[arg(long, value_name = "FILE")]
    waveforms: Option<PathBuf>,
    /// Least confidence of an event, from 0 to 1.
    #[arg(long, value_name = "C", default_value_t = 0.5, allow_negative_numbers = true)]
    confidence: f32,
    /// Least size of an event, as a share of what is usual for its atom (the upper quartile of its sizes), from 0 to 1. With 0.5,
    /// small events of other waveforms do not count as events of a large atom.
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true)]
    least_size: f32,
    /// Write the amplitude of every event in each channel.
    #[arg(long)]
    channels: bool,
    /// Measure level and noise of the channels on this recording, instead of those of the training's recording.
    #[arg(long)]
    measure_noise: bool,
    /// What a number that is NaN means: error, or nan for a gap. An event that touches a gap is left out [default: as in the
    /// training].
    #[arg(long, value_name = "M", value_parser = words::<Missing>())]
    missing: Option<Missing>,
    /// Name of the array, in a file of several [default: as in the training].
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Sampling rate in Hz [default: that of a WAV file, or as in the training].
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// The axes of the array are time and channels [default: as in the training].
    #[arg(long)]
    time_first: bool,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    device: DeviceArg,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let outputs = [Some(&args.output), args.picture.as_ref(), args.waveforms.as_ref()];
    for output in outputs.into_iter().flatten() {
        check_output(output, &args.data, args.force)?;
    }
    if let Some(picture) = &args.picture {
        picture_format(picture)?;
    }
    let device = args.device.open(pudle_core::Backend::default())?;
    let finder = EventFinder::of_run(&args.run, &device)?
        .with_confidence(args.confidence)?
        .with_channels(args.channels)
        .with_measured_noise(args.measure_noise);
    let finder = match args.missing {
        Some(missing) => finder.with_missing(missing),
        None => finder,
    };
    let settings = finder.settings();
    let options = RecordingOptions {
        tensor: args.tensor.as_deref().or(settings.tensor.as_deref()),
        time_first: args.time_first || settings.time_first,
        rate: args.rate,
    };
    let recording = Recording::open(&args.data, options)?;
    let recording = match (recording.rate(), settings.rate) {
        (None, Some(rate)) => {
            Recording::open(&args.data, RecordingOptions { rate: Some(rate), ..options })?
        }
        _ => recording,
    };
    let started = Instant::now();
    let events = with_bar("events", |visit| finder.find(&recording, visit))?;
    let events = events.of_usual_size(args.least_size)?;
    let seconds = started.elapsed().as_secs_f64();
    events.write(&args.output)?;
    if let Some(path) = &args.waveforms {
        events.write_waveforms(path)?;
    }
    if let Some(path) = &args.picture {
        draw(&args, path, &events, &recording)?;
    }
    summary(&events, seconds);
    say!("wrote {}", args.output.display());
    Ok(())
}

/// Says how many events each atom has.
fn summary(events: &Events, seconds: f64) {
    for (atom, count) in events.counts().iter().enumerate() {
        let (channel, _, height) = events.peak(atom);
        let rate = match events.seconds() {
            Some(time) => format!(", {:.3} a second", *count as f64 / time),
            None => String::new(),
        };
        let largest = match events.filters.channels() {
            1 => String::new(),
            _ => format!(", largest in channel {channel}"),
        };
        let mut heights: Vec<f32> = events
            .list
            .iter()
            .filter(|event| event.atom == atom)
            .map(|event| event.size * height.abs())
            .collect();
        heights.sort_by(f32::total_cmp);
        let median = heights.get(heights.len() / 2);
        let median = median.map_or(String::new(), |m| format!(", median amplitude {m:.4}"));
        say!("atom {atom}: {count} events{rate}{median}{largest}");
    }
    match events.seconds() {
        Some(time) => say!(
            "{:.2} s for {time:.2} s of recording: {:.1} times as fast",
            seconds,
            time / seconds.max(1e-9)
        ),
        None => say!("{seconds:.2} s for {} samples", events.samples),
    }
}

/// Whether a picture is an SVG.
pub fn picture_format(path: &Path) -> Result<bool, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(true),
        Some("png") => Ok(false),
        _ => Err(format!("{}: a picture is a .png or .svg file", path.display()).into()),
    }
}

fn draw(args: &Args, path: &Path, events: &Events, recording: &Recording) -> Result<(), Failure> {
    let rate = recording.rate().unwrap_or(1.0);
    let from = args.from.map(|time| (time * rate).max(0.0) as usize);
    let figure = EventFigure::new(events, recording, from)?;
    let (svg, png) = figure.draw()?;
    let bytes = if picture_format(path)? { svg.into_bytes() } else { png };
    write_whole(path, &bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    say!("wrote {}", path.display());
    Ok(())
}
