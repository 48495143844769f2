//! Denoises a picture with a checkpoint, or trains a small checkpoint and uses it.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/image-denoising checkpoints/denoise-gray-sigma25 noisy.png clean.png
//! target/release/image-denoising train runs/small
//! ```

use std::error::Error;
use std::path::Path;

use pudle_core::{Backend, ConvConfig, GradientEstimator, PudleConfig};
use pudle_data::{ColorMode, DeadLeavesSettings, Image, add_gaussian, scene};
use pudle_train::{
    DataConfig, Denoiser, Interrupter, LearningRateSchedule, RunConfig, TrainingConfig, Versions,
    train,
};

/// Standard deviation of the noise, on the scale 0 … 255.
const SIGMA: f32 = 25.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["train", dir] => from_scratch(Path::new(dir)),
        [checkpoint, input, output] => {
            denoise(Path::new(checkpoint), Path::new(input), Path::new(output))
        }
        _ => Err("usage: image-denoising CHECKPOINT INPUT OUTPUT | train DIR".into()),
    }
}

/// Loads a checkpoint, denoises one file and saves the estimate.
fn denoise(checkpoint: &Path, input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let device = Backend::Flex.device()?;
    let denoiser = Denoiser::load(checkpoint, &device)?;
    let noisy = Image::read(input, ColorMode::AsIs)?;
    let estimate = denoiser.denoise(&noisy, Some(SIGMA))?;
    estimate.clip().write(output)?;
    println!("wrote {}", output.display());
    Ok(())
}

/// Trains 32 filters on generated pictures for at most a minute, and measures their PSNR.
fn from_scratch(dir: &Path) -> Result<(), Box<dyn Error>> {
    let filters = ConvConfig { atoms: 32, channels: 1, size: 9, stride: 4 };
    let config = RunConfig {
        seed: 0,
        backend: Backend::Flex,
        versions: Versions::default(),
        // Ten unrolled layers z ← Φ(z − α Dᵀ(D z − x)) share the filters D. The backward pass goes
        // through all of them.
        model: PudleConfig::conv2d(filters)
            .with_layers(10)
            .with_step(0.1)
            .with_lambda(0.16)
            .with_gradient(GradientEstimator::AE_LS),
        // The data are pictures of overlapping discs with noise, and the targets are the same pictures without noise.
        data: DataConfig::DeadLeaves(DeadLeavesSettings {
            side: 160,
            count: 500,
            ..DeadLeavesSettings::new(97, SIGMA.into())
        }),
        training: TrainingConfig {
            steps: 1500,
            learning_rate: 2e-3,
            schedule: LearningRateSchedule::Cosine,
            ..TrainingConfig::default()
        },
    };
    // The directory now holds the settings, the metrics of every step, the weights and a picture
    // of the filters. `pudle train --resume DIR` would resume the run.
    train(config, dir, Interrupter::new())?;

    let denoiser = Denoiser::load(dir, &Backend::Flex.device()?)?;
    let clean = scene(320, 240, 1);
    let noisy = add_gaussian(&clean, SIGMA, 2);
    let estimate = denoiser.denoise(&noisy, Some(SIGMA))?.clip();
    println!(
        "PSNR {:.2} dB before, {:.2} dB after",
        noisy.psnr(&clean, 1.0),
        estimate.psnr(&clean, 1.0)
    );
    Image::beside(&[&clean, &noisy.clip(), &estimate], 8)?.write(&dir.join("panel.png"))?;
    println!("wrote {}", dir.join("panel.png").display());
    Ok(())
}
