//! Values at the limits of a file: the mean of clipped noise is not the value that it was added to.

use pudle_data::{Image, normal_density, upper_tail};

/// Side of the windows in which clipped pixels are counted.
const SIDE: usize = 9;
/// Farthest pixel that a value depends on.
pub(crate) const REACH: usize = SIDE / 2;
/// Noise reaches a limit from this many standard deviations.
const FAR: f32 = 3.0;

/// Entries of the table of clipped means.
const ENTRIES: usize = 512;

/// The mean of `max(v + n, 0)` for `v ≥ 0` and normal noise `n` of variance 1: `v Φ(v) + φ(v)`.
fn clipped_mean(v: f32) -> f32 {
    v * (1.0 - upper_tail(v)) + normal_density(v)
}

/// The inverse of [`clipped_mean`]: values `v`, evenly spaced from 0 to [`FAR`], by their means.
struct Unclipping {
    means: [f32; ENTRIES],
}

impl Unclipping {
    fn new() -> Self {
        Self { means: std::array::from_fn(|k| clipped_mean(Self::value(k as f32))) }
    }

    fn value(entry: f32) -> f32 {
        FAR * entry / (ENTRIES - 1) as f32
    }

    /// The value whose clipped mean this is, in standard deviations of the noise; 0 for means that no value has.
    fn of(&self, mean: f32) -> f32 {
        match self.means.partition_point(|entry| *entry < mean) {
            0 => 0.0,
            ENTRIES => mean,
            above => {
                let [low, high] = [self.means[above - 1], self.means[above]];
                Self::value((above - 1) as f32 + (mean - low) / (high - low))
            }
        }
    }
}

/// Moves values near 0 and 1 from the mean of clipped noise to the value that it was added to.
///
/// A pixel `x` with noise `n` of deviation `σ` has the mean `E max(x + n, 0)` in a file without values below 0. An estimate is
/// near this mean, and the mean as a function of `x` is inverted (Foi, *Clipped noisy images: heteroskedastic modeling and
/// practical denoising*, Signal Processing 2009), likewise at 1. It is done as far as the pixels around are clipped as often
/// as such noise is: a dark place without noise stays as it is. `sigma` is the deviation for a value, `kept` the share of
/// the noise that the estimate still has (one channel, from 0 to 1).
pub(crate) fn unclip(
    estimate: &mut Image,
    noisy: &Image,
    kept: &Image,
    sigma: impl Fn(f32) -> f32,
) {
    let unclipping = Unclipping::new();
    let area = noisy.height * noisy.width;
    let planes = estimate.data.chunks_exact_mut(area).zip(noisy.data.chunks_exact(area));
    for (plane, from) in planes {
        for limit in [0.0f32, 1.0] {
            if !from.contains(&limit) {
                continue;
            }
            let shares = clipped_share(from, noisy.width, limit);
            for ((value, share), kept) in plane.iter_mut().zip(shares).zip(&kept.data) {
                let deviation = sigma(*value);
                let inside = if limit == 0.0 { *value } else { 1.0 - *value };
                let distance = inside.max(0.0);
                if share == 0.0 || distance >= FAR * deviation || deviation <= 0.0 {
                    continue;
                }
                let right = unclipping.of(distance / deviation);
                // Nothing if less than an eighth of the expected pixels are clipped, and all of the change from five eighths on.
                let expected = upper_tail(right).max(1e-6);
                let believed = (share / expected * 2.0 - 0.25).clamp(0.0, 1.0);
                let right = right * deviation;
                let moved = if limit == 0.0 { right } else { 1.0 - right };
                *value += (1.0 - kept) * believed * (moved - *value);
            }
        }
    }
}

/// The share of pixels at a limit in the window around each pixel, cut at the edges.
fn clipped_share(plane: &[f32], width: usize, limit: f32) -> Vec<f32> {
    let height = plane.len() / width;
    // Sums over all pixels above and to the left.
    let mut sums = vec![0u32; (height + 1) * (width + 1)];
    for y in 0..height {
        let mut row = 0;
        for x in 0..width {
            row += u32::from(plane[y * width + x] == limit);
            sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
        }
    }
    let span = |k: usize, n: usize| (k.saturating_sub(REACH), (k + REACH + 1).min(n));
    let mut shares = Vec::with_capacity(plane.len());
    for y in 0..height {
        let (top, bottom) = span(y, height);
        for x in 0..width {
            let (left, right) = span(x, width);
            let at = |y: usize, x: usize| sums[y * (width + 1) + x];
            let count = at(bottom, right) + at(top, left) - at(top, right) - at(bottom, left);
            shares.push(count as f32 / ((bottom - top) * (right - left)) as f32);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use pudle_data::add_gaussian;

    use super::*;

    #[test]
    fn the_inverse_of_the_clipped_mean() {
        let unclipping = Unclipping::new();
        for v in [0.0, 0.3, 1.0, 2.0, 2.9] {
            let found = unclipping.of(clipped_mean(v));
            assert!((found - v).abs() < 1e-4, "{v}: {found}");
        }
        assert!((clipped_mean(0.0) - 0.398_942_3).abs() < 1e-6);
        assert_eq!(unclipping.of(0.1), 0.0);
        assert_eq!(unclipping.of(3.5), 3.5);
    }

    #[test]
    fn flat_areas_get_their_value_back() {
        let sigma = 10.0 / 255.0;
        for value in [0.0f32, 4.0, 12.0, 128.0, 246.0, 255.0].map(|v| v / 255.0) {
            let clean = Image::from_fn(1, 60, 60, |_, _, _| value);
            let noisy = add_gaussian(&clean, 10.0, 1).clip();
            let mean = noisy.data.iter().sum::<f32>() / 3600.0;
            let mut estimate = Image::from_fn(1, 60, 60, |_, _, _| mean);
            let none = Image::from_fn(1, 60, 60, |_, _, _| 0.0);
            unclip(&mut estimate, &noisy, &none, |_| sigma);
            let after = estimate.data.iter().sum::<f32>() / 3600.0;
            assert!(255.0 * (after - value).abs() < 0.8, "{}: {}", 255.0 * value, 255.0 * after);
        }
    }

    #[test]
    fn places_without_clipped_noise_stay() {
        let sigma = 10.0 / 255.0;
        // Dark, but without noise; only a far corner is black.
        let noisy = Image::from_fn(1, 40, 40, |_, y, x| if y + x == 0 { 0.0 } else { 3.0 / 255.0 });
        let mut estimate = noisy.clone();
        let none = Image::from_fn(1, 40, 40, |_, _, _| 0.0);
        unclip(&mut estimate, &noisy, &none, |_| sigma);
        assert_eq!(estimate.data[20 * 40 + 20], noisy.data[20 * 40 + 20]);
        // A black frame stays black.
        let black = Image::from_fn(1, 40, 40, |_, _, _| 0.0);
        let mut estimate = black.clone();
        unclip(&mut estimate, &black, &none, |_| sigma);
        assert_eq!(estimate, black);
    }
}
