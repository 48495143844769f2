//! Finds the waveforms in a recording and when they occur, and compares them with the truth.
//!
//! ```sh
//! cargo run --release -p signal-events -- --snr 0
//! ```
//!
//! A recording of ten seconds is made of four waveforms at random times, with noise. A dictionary of four atoms learns from it
//! alone. Then the atoms and events that were found are compared with those that the recording was made of, and
//! `signal-events.png` shows them.

use std::error::Error;
use std::ops::ControlFlow;

use clap::Parser;
use pudle_core::Backend;
use pudle_data::{DataConfig, Extent, SyntheticRecording, SyntheticRecordingConfig};
use pudle_explain::EventFigure;
use pudle_train::{
    EventFinder, EventScore, Interrupter, OwnRecording, Preset, RunDir, train_opened,
};

#[derive(Parser)]
struct Args {
    /// Signal-to-noise ratio in dB.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true)]
    snr: f64,
    /// Number of waveforms, and of atoms.
    #[arg(long, default_value_t = 4)]
    waveforms: usize,
    /// Number of channels.
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// Seconds of the recording.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seed of the recording and of the training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Training steps; without it, those of the preset.
    #[arg(long)]
    steps: Option<u64>,
    /// Train on codes as λ makes them, too small and spread over neighbours.
    #[arg(long)]
    lasso: bool,
    /// Picture to write.
    #[arg(long, default_value = "signal-events.png")]
    picture: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let made = SyntheticRecording::new(SyntheticRecordingConfig {
        waveforms: args.waveforms,
        channels: args.channels,
        samples: (30_000.0 * args.seconds) as usize,
        snr: args.snr,
        seed: args.seed,
        ..Default::default()
    })?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("recording.npy");
    made.write_npy(&file, &mut |_, _| ControlFlow::Continue(()))?;

    // The preset, with the recording's own settings: its path and rate, level and noise, and atoms of 2 ms.
    let mut config = Preset::Signals.config();
    config.seed = args.seed;
    config.data.set_folder(file)?;
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.rate = Some(30_000.0);
    }
    let data = OwnRecording::open(&config)?;
    data.fit(&mut config, args.waveforms, Extent::Seconds(0.002))?;
    config.training.steps = args.steps.unwrap_or(config.training.steps);
    config.training.refit = !args.lasso;
    let opened = data.batches(&config)?;
    let run = folder.path().join("run");
    train_opened(config, Some(opened), || RunDir::create(&run), Interrupter::new())?;

    let finder = EventFinder::of_run(&run, &Backend::default().device()?)?;
    let recording = made.recording();
    let events = finder.find(&recording, &mut |_, _| ControlFlow::Continue(()))?;

    let score = EventScore::of(&events, made.events(), made.waveforms(), 2);
    println!("{} true events, {} found, {} hits", score.truth, score.found, score.hits);
    println!("precision {:.3}, recall {:.3}", score.precision(), score.recall());
    for pair in &score.waveforms {
        println!(
            "waveform {} is atom {}: cosine {:.4}, of channels {:.4}",
            pair.waveform, pair.atom, pair.cosine, pair.channels
        );
    }
    let (_, png) = EventFigure::new(&events, &recording, None)?.draw()?;
    std::fs::write(&args.picture, png)?;
    println!("wrote {}", args.picture);
    Ok(())
}
