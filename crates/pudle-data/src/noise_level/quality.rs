//! JPEG in the pixels of a picture: its quality, and the noise that its rounding has left.

use super::blocks::rings;
use super::spectrum::ramp;
use crate::jpeg::{AREA, luminance_steps};
use crate::normal::upper_tail;

/// Fewest waves that a quality is judged by.
const FEWEST: usize = 200;
/// How sharply waves lie at the multiples of their steps, from 0 (not at all) to 1, if the picture was a JPEG.
const SHARPNESS: f32 = 0.7;
/// Qualities that are tried. Steps of better ones are as fine as rounding.
const QUALITIES: std::ops::RangeInclusive<u8> = 20..=97;
/// Share of waves that are not rounded to 0 below which a ring only bounds the noise.
const RARE: f32 = 0.003;
/// Rings in which the noise is measured.
const MEASURED: std::ops::Range<usize> = 2..6;

/// The quality of the JPEG that a plane of luma was, on the scale 0 … 255, if its 8×8 blocks begin at the corner.
///
/// JPEG rounds each wave of a block to a multiple of its step. So the mean of `cos(2π wave / step)` over waves that are
/// not 0 is near 1 for the right steps, and near 0 for others.
pub(super) fn quality(waves: &[[f32; AREA]]) -> Option<u8> {
    // At most so many blocks, spread over the picture.
    let stride = waves.len().div_ceil(2048).max(1);
    let mut best = (SHARPNESS, None);
    for quality in QUALITIES {
        let steps = luminance_steps(quality);
        let (mut sum, mut count) = (0.0, 0usize);
        for block in waves.iter().step_by(stride) {
            for (wave, step) in block.iter().zip(&steps).skip(1) {
                if *step >= 3.0 && wave.abs() > 0.6 * step {
                    sum += (std::f32::consts::TAU * wave / step).cos();
                    count += 1;
                }
            }
        }
        let sharp = sum / count as f32;
        if count >= FEWEST && sharp > best.0 {
            best = (sharp, Some(quality));
        }
    }
    best.1
}

/// Standard deviation of white noise under the rounding of a JPEG, given the mean square of each wave in the flattest
/// blocks: the smallest of those that the rings of frequency give, as texture only adds to them. If the finest ring gives
/// the smallest, then texture may reach into it, and what the slope to the ring before says of texture is taken off.
pub(super) fn noise_under(energies: &[f32; AREA], quality: u8, rounding: f32) -> f32 {
    let steps = luminance_steps(quality);
    let squares: Vec<f32> = MEASURED
        .map(|ring| {
            let waves: Vec<(f32, f32)> = (0..AREA)
                .filter(|&i| rings()[i] == Some(ring))
                .map(|i| ((energies[i] - rounding).max(0.0), steps[i]))
                .collect();
            noise_in_ring(&waves).powi(2)
        })
        .collect();
    let [.., before, finest] = squares[..] else { return 0.0 };
    let least = squares.iter().copied().fold(f32::INFINITY, f32::min);
    if least < finest {
        return least.sqrt();
    }
    let slope = 1.0 - ramp(before / finest, 1.3, 1.6);
    ((2.0 * finest - before).clamp(0.0, finest) * slope).sqrt()
}

/// The level of white noise that leaves these mean squares of waves with these steps. If hardly any wave is not 0, the
/// level at which some would be.
fn noise_in_ring(waves: &[(f32, f32)]) -> f32 {
    let found: f32 = waves.iter().map(|(energy, step)| energy / (step * step)).sum();
    let predicted = |sigma: f32| -> f32 {
        waves.iter().map(|(_, step)| rounded(sigma, *step).0 / (step * step)).sum()
    };
    let (mut low, mut high) = (0.05f32, 200.0f32);
    for _ in 0..30 {
        let middle = (low * high).sqrt();
        if predicted(middle) < found { low = middle } else { high = middle }
    }
    let seen = |sigma: f32| {
        waves.iter().map(|(_, step)| rounded(sigma, *step).1).sum::<f32>() / waves.len() as f32
    };
    while seen(low) < RARE {
        low *= 1.05;
    }
    low
}

/// Mean square of normal noise after rounding to multiples of a step, and the share that is not rounded to 0.
fn rounded(sigma: f32, step: f32) -> (f32, f32) {
    let mut square = 0.0;
    let mut k = 1.0;
    let tail = |k: f32| upper_tail((k - 0.5) * step / sigma);
    let seen = 2.0 * tail(1.0);
    while (k - 0.5) * step < 6.0 * sigma && k < 400.0 {
        square += 2.0 * (tail(k) - tail(k + 1.0)) * (k * step).powi(2);
        k += 1.0;
    }
    (square, seen)
}
