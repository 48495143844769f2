//! Kernels of spike trains, from trials with known onsets.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{
    Algorithm, Binomial, ConvConfig, ConvDictionary1d, Dictionary, Gaussian, GradientEstimator,
    Loss, Noise, Observation, Proximal, Pudle, PudleConfig, Response,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bins of a trial of two seconds, and of a kernel of 100 ms.
const BINS: usize = 1000;
const TAPS: usize = 50;
/// Onsets of each kernel in a trial.
const ONSETS: usize = 8;
/// Spikes in a bin of 2 ms at 10 spikes a second.
const BASE: f64 = 0.02;
const BATCH: usize = 25;

/// Two kernels in log-odds, from about 5 to about 30 spikes a second.
fn kernels() -> [Vec<f64>; 2] {
    let bump =
        |s: usize, centre: f64, width: f64| (-0.5 * ((s as f64 - centre) / width).powi(2)).exp();
    let first = (0..TAPS).map(|s| 1.15 * bump(s, 12.0, 4.0) - 0.75 * bump(s, 30.0, 7.0));
    let second = (0..TAPS).map(|s| 1.15 * bump(s, 34.0, 6.0) - 0.75 * bump(s, 16.0, 6.0));
    [first.collect(), second.collect()]
}

/// Trials of spikes that are there or not, `[trials, 1, BINS]`, and where codes may be, `[trials, 2, positions]`.
fn raster(trials: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (kernels, positions) = (kernels(), BINS - TAPS + 1);
    let (mut spikes, mut support) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        let mut odds = vec![(BASE / (1.0 - BASE)).ln(); BINS];
        for kernel in &kernels {
            let mut own = vec![0.0; positions];
            for slot in 0..ONSETS {
                let start =
                    slot * (positions / ONSETS) + rng.random_range(0..positions / ONSETS - TAPS);
                own[start] = 1.0;
                kernel.iter().enumerate().for_each(|(s, value)| odds[start + s] += value);
            }
            support.extend(own);
        }
        spikes.extend(
            odds.iter()
                .map(|u| f32::from(u8::from(rng.random::<f64>() < 1.0 / (1.0 + (-u).exp())))),
        );
    }
    (spikes, support)
}

/// The smaller cosine of the two learned kernels with the true ones.
fn learned(observation: Observation, trials: usize, epochs: usize) -> f64 {
    let (spikes, support) = raster(trials, 1);
    let filters = ConvConfig { atoms: 2, channels: 1, size: TAPS, stride: 1 };
    // The curvature near the solution is that of the highest rate, not the bound of a quarter.
    let (offset, curvature) = match observation.is_gaussian() {
        true => (BASE, 1.0),
        false => ((BASE / (1.0 - BASE)).ln(), 0.06),
    };
    let config = PudleConfig::conv1d(filters)
        .with_layers(12)
        .with_step(0.05 / curvature)
        .with_algorithm(Algorithm::Fista)
        .with_prox(Proximal::Relu)
        .with_lambda(0.0)
        .with_offset(offset)
        .with_observation(observation)
        .with_gradient(GradientEstimator { loss: Loss::Fit, response: Response::Dropped });
    let (device, recording) = (Device::flex(), Device::flex().autodiff());
    let mut model = Pudle::<3, ConvDictionary1d>::new(&config, 3, &device).unwrap();
    let tensor = |values: &[f32], shape: [usize; 3]| {
        Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let positions = BINS - TAPS + 1;
    let batches: Vec<_> = spikes
        .chunks_exact(BATCH * BINS)
        .zip(support.chunks_exact(BATCH * 2 * positions))
        .map(|(x, z)| (tensor(x, [BATCH, 1, BINS]), tensor(z, [BATCH, 2, positions])))
        .collect();
    let steps = epochs * batches.len();
    for step in 0..steps {
        let (x, z) = &batches[step % batches.len()];
        let atoms = model.dictionary().atoms().into_data();
        let recorded = Pudle::<3, ConvDictionary1d>::from_data(&config, atoms, &recording).unwrap();
        let objective = recorded.supported_objective(
            x.clone().autodiff(),
            x.clone().autodiff(),
            z.clone().autodiff(),
            &Noise::Unknown,
        );
        let grads = objective.loss.backward();
        let gradient = recorded.dictionary().atoms().grad(&grads).expect("a gradient");
        // A move of this length on the sphere, shorter towards the end.
        let length = 0.3 * (1.0 - step as f64 / steps as f64) + 0.01;
        model = model.map_atoms(|atoms| {
            let along = (gradient.clone() * atoms.clone()).sum_dim(2);
            let tangent = gradient.clone() - atoms.clone() * along;
            let norm = tangent.clone().square().sum_dim(2).sqrt().clamp_min(1e-12);
            atoms - tangent / norm * length
        });
        model = model.project();
    }
    let atoms: Vec<f32> = model.dictionary().atoms().into_data().iter::<f32>().collect();
    let cosine = |(kernel, atom): (&Vec<f64>, &[f32])| {
        let product: f64 = kernel.iter().zip(atom).map(|(a, b)| a * f64::from(*b)).sum();
        product / kernel.iter().map(|v| v * v).sum::<f64>().sqrt()
    };
    kernels().iter().zip(atoms.chunks_exact(TAPS)).map(cosine).fold(1.0, f64::min)
}

#[test]
fn kernels_of_a_raster_are_found() {
    let counts = learned(Observation::Binomial(Binomial { n: 1 }), 100, 10);
    assert!(counts > 0.85, "{counts}");
}

/// Minutes, because the layers of counts are composed. `cargo test … spikes -- --ignored --nocapture` prints the figures.
#[test]
#[ignore = "takes minutes"]
fn counts_are_better_than_gaussian_from_250_trials_on() {
    for trials in [100, 250, 500] {
        let counts = learned(Observation::Binomial(Binomial { n: 1 }), trials, 3000 / trials);
        let gaussian = learned(Observation::Gaussian(Gaussian), trials, 3000 / trials);
        println!("{trials} trials: cosine {counts:.4} as counts, {gaussian:.4} as Gaussian data");
        assert!(trials < 250 || (counts >= 0.95 && counts > gaussian));
    }
}
