use super::*;
use crate::drawing;
use crate::jpeg::compress;
use crate::noise::add_gaussian;
use crate::noise_kinds::NoiseKinds;
use crate::rng::{Stream, step_rng};
use crate::scene::scene;

fn eight_bits(picture: &Image) -> Image {
    let round = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round() / 255.0;
    Image { data: picture.data.iter().map(round).collect(), ..*picture }
}

fn measure(picture: &Image) -> NoiseLevel {
    NoiseLevel::measure(picture).unwrap()
}

/// The scene with noise of one kind, in 8 bits.
fn noisy(kinds: NoiseKinds, sigma: f32, channels: usize) -> Image {
    let clean = scene(480, 320, 7);
    let mut picture = if channels == 1 { clean.to_gray() } else { clean };
    kinds.add(&mut picture, sigma, &mut step_rng(3, Stream::Noise, 1));
    eight_bits(&picture)
}

#[test]
fn white_noise_in_eight_bits_is_measured() {
    for channels in [1, 3] {
        for sigma in [2.0, 5.0, 10.0, 25.0, 50.0] {
            let level = measure(&noisy(NoiseKinds::default(), sigma, channels));
            assert!((level.sigma / sigma - 1.0).abs() < 0.1, "{sigma}: {level:?}");
            assert!(!level.correlated && level.jpeg.is_none() && level.light.is_none(), "{level}");
        }
    }
}

#[test]
fn noise_of_a_bright_page_is_measured_where_it_is_clipped() {
    for (ground, seed) in [(0.97, 1), (1.0, 2), (0.0, 3)] {
        let mut page = Image::from_fn(3, 330, 470, |_, _, _| ground);
        let mut lines = page.crop(0, 0, 270, 400);
        drawing::page(&mut lines, &mut step_rng(seed, Stream::Variety, 0));
        page.put(30, 35, &lines);
        for picture in [page.to_gray(), page] {
            for sigma in [10.0, 25.0] {
                let level = measure(&eight_bits(&add_gaussian(&picture, sigma, 1)));
                assert!((level.sigma / sigma - 1.0).abs() < 0.15, "{ground}, {sigma}: {level:?}");
            }
        }
    }
}

#[test]
fn flat_noise_has_no_bias() {
    let flat = Image::from_fn(3, 321, 481, |_, _, _| 0.5);
    for sigma in [1.0, 4.0, 20.0] {
        let level = measure(&add_gaussian(&flat, sigma, 1));
        assert!((level.file_sigma() / sigma - 1.0).abs() < 0.04, "{sigma}: {level:?}");
        let level = measure(&eight_bits(&add_gaussian(&flat, sigma, 1)));
        assert!((level.sigma / sigma - 1.0).abs() < 0.06, "{sigma}: {level:?}");
    }
}

#[test]
fn a_picture_without_noise_has_none() {
    for picture in [scene(480, 320, 7), scene(480, 320, 7).to_gray()] {
        let level = measure(&eight_bits(&picture));
        assert!(level.sigma < 0.5 && level.light.is_none(), "{level:?}");
    }
    let drawing =
        Image::from_fn(
            3,
            200,
            200,
            |c, y, x| {
                if (x / 50 + y / 50 + c) % 3 == 0 { 0.9 } else { 0.2 }
            },
        );
    assert_eq!(measure(&drawing).sigma, 0.0);
    assert_eq!(measure(&Image::from_fn(1, 300, 300, |_, _, _| 0.0)).sigma, 0.0);
}

#[test]
fn smeared_noise_is_told_from_white_noise() {
    let kinds = NoiseKinds { white: 0.0, correlated: 1.0, blur: [0.8, 0.8], ..Default::default() };
    for channels in [1, 3] {
        let level = measure(&noisy(kinds, 15.0, channels));
        assert!(level.correlated, "{level:?}");
        assert!((level.sigma / 15.0 - 1.0).abs() < 0.25, "{level:?}");
        assert!(level.coarse > 1.3 * level.sigma, "{level:?}");
        assert!(level.to_string().ends_with("correlated"), "{level}");
    }
}

#[test]
fn jpeg_is_found_with_its_quality_and_the_noise_under_it() {
    let clean = eight_bits(&scene(480, 320, 7));
    for channels in [1, 3] {
        for (sigma, quality) in [(10.0, 75), (25.0, 85), (15.0, 90)] {
            let picture = if channels == 1 { clean.to_gray() } else { clean.clone() };
            let stored = compress(&add_gaussian(&picture, sigma, 5), quality, [0, 0]);
            let level = measure(&stored);
            assert_eq!(level.jpeg, Some(quality), "{level:?}");
            assert!((level.sigma / sigma - 1.0).abs() < 0.25, "{sigma}, {quality}: {level:?}");
            assert!(level.to_string().contains(&format!("JPEG {quality}")), "{level}");
        }
        let picture = if channels == 1 { clean.to_gray() } else { clean.clone() };
        let level = measure(&compress(&picture, 80, [0, 0]));
        assert_eq!(level.jpeg, Some(80));
        assert!(level.sigma < 2.0, "{level:?}");
    }
}

#[test]
fn noise_of_light_is_a_line() {
    // Levels from 0.1 to 0.9, with the variance 4 · level.
    let ramp = Image::from_fn(1, 320, 480, |_, _, x| 0.1 + 0.8 * x as f32 / 479.0);
    let noise = add_gaussian(&Image::from_fn(1, 320, 480, |_, _, _| 0.0), 255.0, 4);
    let picture = Image {
        data: ramp
            .data
            .iter()
            .zip(&noise.data)
            .map(|(level, n)| level + n * (4.0 * 255.0 * level).sqrt() / 255.0)
            .collect(),
        ..ramp
    };
    let level = measure(&eight_bits(&picture));
    let light = level.light.unwrap_or_else(|| panic!("{level:?}"));
    for value in [50.0, 128.0, 200.0] {
        let ratio = light.variance(value) / (4.0 * value);
        assert!((ratio - 1.0).abs() < 0.15, "{value}: {ratio}, {light:?}");
    }
    assert!(level.to_string().contains("light"), "{level}");
}

#[test]
fn dark_data_are_measured_on_what_they_hold() {
    // A tenth of the range, in 16 bits.
    let clean = scene(480, 320, 7).to_gray();
    let noisy = add_gaussian(&clean, 10.0, 2);
    let dark = Image {
        data: noisy.data.iter().map(|v| (6553.5 * v.clamp(0.0, 1.0)).round() / 65535.0).collect(),
        ..noisy
    };
    let level = measure(&dark);
    let [low, high] = level.range.unwrap();
    assert!(low >= 0.0 && high <= 0.1001, "{low}, {high}");
    assert!((level.file_sigma() - 1.0).abs() < 0.15, "{level:?}");
    assert!((level.sigma * (high - low) - level.file_sigma()).abs() < 1e-6);
}

#[test]
fn small_and_large_pictures_are_measured() {
    let flat = |h, w| Image::from_fn(1, h, w, |_, _, _| 0.5);
    assert_eq!(NoiseLevel::measure(&flat(6, 100)), None);
    for (h, w, tolerance) in
        [(60, 60, 0.2), (12, 500, 0.2), (2100, 2100, 0.05), (100, 50_000, 0.05)]
    {
        let level = measure(&add_gaussian(&flat(h, w), 20.0, 1));
        assert!((level.sigma / 20.0 - 1.0).abs() < tolerance, "{h}×{w}: {level:?}");
    }
}

#[test]
fn white_margins_do_not_count() {
    let noisy = add_gaussian(&Image::from_fn(1, 600, 600, |_, _, _| 0.5), 20.0, 1);
    let page = Image::from_fn(1, 600, 600, |_, y, x| {
        let inside = (200..500).contains(&y) && (100..500).contains(&x);
        if inside { (noisy.at(0, y, x) * 255.0).round() / 255.0 } else { 1.0 }
    });
    let level = measure(&page);
    assert!((level.sigma / 20.0 - 1.0).abs() < 0.1, "{level:?}");
}

#[test]
fn noise_under_jpeg_is_measured_in_dark_pictures_where_it_is_clipped() {
    let scene = scene(480, 320, 7).to_gray();
    // A dark ground with a lit part.
    let lit = |y: usize, x: usize| if y > 200 && x > 240 { 1.0 } else { 0.05 };
    let dark = Image::from_fn(1, 320, 480, |_, y, x| lit(y, x) * scene.data[y * 480 + x]);
    for sigma in [15.0, 25.0] {
        let level = measure(&compress(&eight_bits(&add_gaussian(&dark, sigma, 1)), 85, [0, 0]));
        assert!((level.sigma / sigma - 1.0).abs() < 0.25, "{sigma}: {level:?}");
    }
}
