//! Finds how spikes follow known onsets, and compares the kernels with the truth.
//!
//! ```sh
//! cargo run --release -p spike-kernels -- --spikes 5 --trials 250
//! ```
//!
//! A raster of trials is made, in which two kernels raise and lower the log-odds of a spike after known onsets. Kernels are learned
//! from it twice: with spikes as what they are (`bernoulli`), and as if they were real numbers with white noise (`gaussian`).

use std::error::Error;
use std::path::Path;

use clap::Parser;
use pudle_core::{Backend, Observation};
use pudle_data::{DataConfig, Extent, SyntheticRaster, SyntheticRasterConfig, Waveforms};
use pudle_train::{Interrupter, OnsetResults, OwnRecording, Preset, RunDir, train_opened};

#[derive(Parser)]
struct Args {
    /// Number of trials.
    #[arg(long, default_value_t = 250)]
    trials: usize,
    /// Spikes in a second of a trial without events: the least and the most.
    #[arg(long, num_args = 1..=2, default_values_t = [5.0, 30.0])]
    spikes: Vec<f64>,
    /// Number of seeds, from 0.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How smooth kernels are; without it, the weight that is best on trials that are held out.
    #[arg(long)]
    smooth: Option<f64>,
    /// Training steps after the kernels' start; without it, those that a run has.
    #[arg(long)]
    steps: Option<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    for seed in 0..args.seeds {
        let made = SyntheticRaster::new(SyntheticRasterConfig {
            trials: args.trials,
            spikes: [args.spikes[0], *args.spikes.last().unwrap_or(&args.spikes[0])],
            seed,
            ..Default::default()
        })?;
        print!("seed {seed}: {:.2} spikes a second", made.mean_rate());
        for name in ["bernoulli", "gaussian"] {
            let folder = tempfile::tempdir()?;
            let (cosines, smooth) = cosines(&made, name.parse()?, folder.path(), &args)?;
            print!(", {name} {cosines:.4?} (smooth {smooth})");
        }
        println!();
    }
    Ok(())
}

/// The cosine of each kernel with the truth, and how smooth kernels are.
fn cosines(
    made: &SyntheticRaster,
    observation: Observation,
    folder: &Path,
    args: &Args,
) -> Result<(Vec<f32>, f64), Box<dyn Error>> {
    let (raster, onsets) = (folder.join("raster.npy"), folder.join("onsets.csv"));
    std::fs::write(&raster, made.to_npy())?;
    std::fs::write(&onsets, made.onset_table())?;

    // The preset with what `pudle train --onsets` sets.
    let mut config = Preset::Signals.config();
    config.data.set_folder(raster)?;
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.rate = Some(1000.0);
        settings.onsets = Some(onsets);
        settings.validation = 0.0;
    }
    config.model = config.model.with_observation(observation).with_shared(true).with_lambda(0.0);
    let data = OwnRecording::open(&config)?;
    data.fit(&mut config, made.kernels().count(), Extent::Seconds(0.06))?;
    config.training.steps = args.steps.unwrap_or(config.training.steps);
    let opened = data.batches(&config)?;
    let smooth = match args.smooth {
        Some(smooth) => smooth,
        None => OwnRecording::find_smooth(&mut config, &opened)?,
    };
    config.training.smooth = smooth;
    let run = folder.join("run");
    train_opened(config, Some(opened), || RunDir::create(&run), Interrupter::new())?;

    let results = OnsetResults::of_run(&run, &Backend::default().device()?)?;
    let found = results.ok_or("a run with known onsets")?.kernels();
    let truth = made.kernels();
    let kernels = found.chunks_exact(found.len() / truth.count()).enumerate();
    let cosine = |(j, kernel): (usize, &[f32])| {
        // Of the same length, so that the sum of products needs no shift.
        let product: f32 = kernel.iter().zip(truth.waveform(j)).map(|(a, b)| a * b).sum();
        let norms = kernel.iter().map(|v| v * v).sum::<f32>().sqrt() * Waveforms::norm(truth, j);
        product / norms
    };
    Ok((kernels.map(cosine).collect(), smooth))
}
