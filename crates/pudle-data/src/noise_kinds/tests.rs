use super::*;
use crate::rng::{Stream, step_rng};
use crate::scene::scene;

const NONE: NoiseKinds = NoiseKinds {
    white: 0.0,
    poisson_gaussian: 0.0,
    correlated: 0.0,
    demosaiced: 0.0,
    read: [0.2, 0.2],
    blur: [0.8, 0.8],
    clipped: 0.0,
    jpeg: 0.0,
    quality: [75, 75],
};

fn gray(value: f32, channels: usize) -> Image {
    Image::from_fn(channels, 96, 96, |_, _, x| if x < 48 { value } else { 3.0 * value })
}

/// The noise that is added to a picture.
fn noise(kinds: NoiseKinds, clean: &Image, sigma: f32, k: u64) -> Vec<f32> {
    let mut noisy = clean.clone();
    kinds.add(&mut noisy, sigma, &mut step_rng(5, Stream::Noise, k));
    noisy.data.iter().zip(&clean.data).map(|(a, b)| 255.0 * (a - b)).collect()
}

fn power(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
    sum / count
}

/// The correlation of neighbours in a row.
fn neighbours(noise: &[f32]) -> f32 {
    let products = noise.windows(2).map(|pair| pair[0] * pair[1]);
    products.sum::<f32>() / noise.len() as f32 / power(noise.iter().copied())
}

#[test]
fn every_kind_has_the_level_that_was_asked_for() {
    for channels in [1, 3] {
        let clean = gray(0.2, channels);
        for kinds in [
            NoiseKinds { white: 1.0, ..NONE },
            NoiseKinds { poisson_gaussian: 1.0, ..NONE },
            NoiseKinds { correlated: 1.0, ..NONE },
            NoiseKinds { demosaiced: 1.0, ..NONE },
        ] {
            kinds.check().unwrap();
            let noise = noise(kinds, &clean, 10.0, 3);
            let deviation = power(noise.iter().copied()).sqrt();
            assert!((deviation / 10.0 - 1.0).abs() < 0.05, "{kinds:?}: {deviation}");
            let smeared = kinds.correlated + kinds.demosaiced > 0.0;
            assert_eq!(neighbours(&noise) > 0.1, smeared, "{kinds:?}: {}", neighbours(&noise));
        }
    }
}

#[test]
fn light_has_more_noise_where_it_is_brighter() {
    let kinds = NoiseKinds { poisson_gaussian: 1.0, ..NONE };
    let noise = noise(kinds, &gray(0.2, 1), 10.0, 0);
    let half = |right: bool| {
        power(noise.iter().enumerate().filter(|(i, _)| (i % 96 >= 48) == right).map(|(_, &v)| v))
    };
    // Levels v and 3 v with the mean 2 v, and a white share of 0.2: 0.2 + 0.8 · ½ and 0.2 + 0.8 · 1.5.
    assert!((half(false) / 60.0 - 1.0).abs() < 0.1, "{}", half(false));
    assert!((half(true) / 140.0 - 1.0).abs() < 0.1, "{}", half(true));
}

#[test]
fn stored_noise_has_eight_bits_and_jpeg_loses_fine_detail() {
    let clean = scene(96, 96, 7).to_gray();
    let whole = |v: f32| (v * 255.0 - (v * 255.0).round()).abs() < 1e-3;
    let white = NoiseKinds { white: 1.0, ..NONE };
    for kinds in [NoiseKinds { clipped: 1.0, ..white }, NoiseKinds { jpeg: 1.0, ..white }] {
        let mut noisy = clean.clone();
        kinds.add(&mut noisy, 10.0, &mut step_rng(5, Stream::Noise, 1));
        assert!(noisy.data.iter().all(|&v| (0.0..=1.0).contains(&v) && whole(v)));
    }
    let flat = gray(0.25, 1);
    let lost = noise(NoiseKinds { jpeg: 1.0, ..white }, &flat, 10.0, 1);
    let kept = noise(white, &flat, 10.0, 1);
    assert!(neighbours(&lost) > neighbours(&kept) + 0.1);
}

#[test]
fn draws_follow_the_weights() {
    let kinds = NoiseKinds { white: 1.0, correlated: 3.0, ..NONE };
    let clean = gray(0.2, 1);
    let smeared = (0..80).filter(|&k| neighbours(&noise(kinds, &clean, 10.0, k)) > 0.1).count();
    assert!((45..75).contains(&smeared), "{smeared} of 80");
    assert_eq!(noise(kinds, &clean, 10.0, 4), noise(kinds, &clean, 10.0, 4));
}

#[test]
fn settings_out_of_range_are_named() {
    for (field, bad) in [
        ("data.noise.white", NONE),
        ("data.noise.white", NoiseKinds { white: f32::NAN, ..NONE }),
        ("data.noise.correlated", NoiseKinds { correlated: -1.0, ..NONE }),
        ("data.noise.read", NoiseKinds { read: [0.5, 0.4], ..NoiseKinds::default() }),
        ("data.noise.blur", NoiseKinds { blur: [0.0, 9.0], ..NoiseKinds::default() }),
        ("data.noise.quality", NoiseKinds { quality: [0, 50], ..NoiseKinds::default() }),
        ("data.noise.jpeg", NoiseKinds { jpeg: 1.5, ..NoiseKinds::default() }),
    ] {
        assert_eq!(bad.check().unwrap_err().field, field);
    }
}
