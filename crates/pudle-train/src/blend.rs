//! What an estimate leaves out comes back: a blend of a noisy picture and its estimate.

use pudle_data::Image;

use crate::window::{mirror, window_mean};

/// Number of detail bands. A coarse band remains.
const LEVELS: usize = 3;
/// Number of bands.
const BANDS: usize = LEVELS + 1;
/// The smoothing filter of the bands, the cubic B-spline.
const SPLINE: [f32; 5] = [0.0625, 0.25, 0.375, 0.25, 0.0625];
/// Side of the windows in which the power of a detail band and of the coarse band is measured.
const SIDES: [usize; BANDS] = [9, 9, 9, 17];
/// Share of the noise's power that counts where the residual has [`CLEAR`] times that power or more.
const PASSED: f32 = 0.7;
/// From this power of the residual on, relative to the noise, the estimate lacks much of the picture.
const CLEAR: f32 = 2.0;
/// Number of frequencies along each axis for the power of noise in a band.
const FREQUENCIES: usize = 64;

/// Farthest pixel that a blended pixel depends on: the filters of the bands, then the windows.
pub(crate) const REACH: usize = 2 * ((1 << LEVELS) - 1) + SIDES[LEVELS] / 2;

/// The noise's power in each band, for a spectrum of six rings of frequency. Ring `k` ends at `RADII[k]` half waves per 8
/// pixels.
fn band_noise(spectrum: &[f32; 6]) -> [f32; BANDS] {
    const RADII: [f32; 5] = [1.7, 2.9, 4.1, 5.5, 7.2];
    let smooth = |w: f32| SPLINE[2] + 2.0 * (SPLINE[1] * w.cos() + SPLINE[0] * (2.0 * w).cos());
    let mut noise = [0.0; BANDS];
    for i in 0..FREQUENCIES * FREQUENCIES {
        let place = |k: usize| (k as f32 + 0.5) / FREQUENCIES as f32;
        let (u, v) = (place(i / FREQUENCIES), place(i % FREQUENCIES));
        let ring = RADII.partition_point(|outer| *outer <= 8.0 * u.hypot(v));
        let power = spectrum[ring] / (FREQUENCIES * FREQUENCIES) as f32;
        let mut passed = 1.0;
        for (level, sum) in noise.iter_mut().take(LEVELS).enumerate() {
            let pitch = (1 << level) as f32 * std::f32::consts::PI;
            let low = smooth(pitch * u) * smooth(pitch * v);
            *sum += power * (passed * (1.0 - low)).powi(2);
            passed *= low;
        }
        noise[LEVELS] += power * passed * passed;
    }
    noise
}

/// The share of the residual that returns, for the power of a band of the residual relative to that of the noise in it.
///
/// Let `x` be the picture, `y = x + n` the noisy one, `x̂` the estimate and `r = y - x̂` the residual. For `x̂ + w r`, the
/// mean square error is smallest at `w = 1 - (σ² - C) / E r²`, where `σ²` is the power of the noise and `C` its covariance
/// with `x̂`: the derivative of `E (x̂ + w r - x)²` is zero there, with `E n r = σ² - C`. By Stein's identity, `C` is `σ²`
/// times the share of the noise that the estimate passes on, its mean divergence.
///
/// Where the estimate is right, it passes little on and the residual is the noise: `w` is near 0. Where it lacks parts of
/// the picture, the residual is stronger than the noise, and the estimate follows the noise more; 0.3 of it is what the
/// shipped denoisers pass on in such places. Without noise `w` is 1.
fn returned(ratio: f32) -> f32 {
    let clear = ((ratio - 1.0) / (CLEAR - 1.0)).clamp(0.0, 1.0);
    let counted = 1.0 - (1.0 - PASSED) * clear;
    (1.0 - counted / ratio.max(1e-6)).max(0.0)
}

/// A picture `x̂ + Σ w r`, summed over bands of the residual `r`, and how much of the finest band returned (from 0 to 1, one
/// channel). `spectra` is the noise of each channel, with values on the scale of the pictures' values.
///
/// The residual is split into bands by the undecimated wavelet transform with a cubic B-spline (Starck, Fadili & Murtagh,
/// *The undecimated wavelet decomposition and its reconstruction*, IEEE Trans. Image Processing 2007). In every band and
/// place, the weight follows from the residual's power in a window around it, relative to the noise's.
pub(crate) fn blend(noisy: &Image, estimate: &Image, spectra: &[[f32; 6]]) -> (Image, Image) {
    let [channels, height, width] = noisy.shape();
    let area = height * width;
    let noise: Vec<[f32; BANDS]> = spectra.iter().map(band_noise).collect();
    let mut rest: Vec<f32> = noisy.data.iter().zip(&estimate.data).map(|(y, x)| y - x).collect();
    let mut blended = estimate.clone();
    let mut finest = Vec::new();
    for band in 0..BANDS {
        let mut detail = rest.clone();
        if band < LEVELS {
            for plane in rest.chunks_exact_mut(area) {
                smooth(plane, width, 1 << band);
            }
            detail.iter_mut().zip(&rest).for_each(|(value, low)| *value -= low);
        }
        let mut power = vec![0.0; area];
        for plane in detail.chunks_exact(area) {
            power.iter_mut().zip(plane).for_each(|(sum, value)| *sum += value * value);
        }
        window_mean(&mut power, width, SIDES[band]);
        let total: f32 = (0..channels).map(|c| noise[c.min(noise.len() - 1)][band]).sum();
        let weights: Vec<f32> =
            power.iter().map(|power| returned(power / total.max(1e-20))).collect();
        for (sum, plane) in blended.data.chunks_exact_mut(area).zip(detail.chunks_exact(area)) {
            for ((sum, value), weight) in sum.iter_mut().zip(plane).zip(&weights) {
                *sum += weight * value;
            }
        }
        if band == 0 {
            finest = weights;
        }
    }
    (blended, Image { channels: 1, height, width, data: finest })
}

/// Smooths a plane with the spline, its taps `pitch` pixels apart.
fn smooth(plane: &mut [f32], width: usize, pitch: usize) {
    let height = plane.len() / width;
    let taps = |at: usize, n: usize| -> [usize; 5] {
        std::array::from_fn(|k| mirror(at as isize + (k as isize - 2) * pitch as isize, n))
    };
    let mut across = vec![0.0; plane.len()];
    let columns: Vec<[usize; 5]> = (0..width).map(|x| taps(x, width)).collect();
    for (row, out) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (value, from) in out.iter_mut().zip(&columns) {
            *value = from.iter().zip(SPLINE).map(|(&x, weight)| weight * row[x]).sum();
        }
    }
    for (y, out) in plane.chunks_exact_mut(width).enumerate() {
        out.fill(0.0);
        for (row, weight) in taps(y, height).into_iter().zip(SPLINE) {
            let from = &across[row * width..(row + 1) * width];
            out.iter_mut().zip(from).for_each(|(value, v)| *value += weight * v);
        }
    }
}

#[cfg(test)]
mod tests {
    use pudle_data::{add_gaussian, scene};

    use super::*;

    #[test]
    fn band_noise_is_that_of_filtered_noise() {
        let white = add_gaussian(&Image::from_fn(1, 600, 600, |_, _, _| 0.0), 255.0, 1);
        let expected = band_noise(&[1.0; 6]);
        let mut rest = white.data;
        for (band, expected) in expected.into_iter().enumerate() {
            let mut detail = rest.clone();
            if band < LEVELS {
                smooth(&mut rest, 600, 1 << band);
                detail.iter_mut().zip(&rest).for_each(|(value, low)| *value -= low);
            }
            let power = detail.iter().map(|v| v * v).sum::<f32>() / detail.len() as f32;
            assert!((power / expected - 1.0).abs() < 0.15, "{band}: {power}, not {expected}");
        }
    }

    #[test]
    fn without_noise_the_picture_returns_and_with_noise_the_estimate_stays() {
        let clean = scene(120, 100, 7);
        let wrong = Image { data: clean.data.iter().map(|v| 0.9 * v + 0.02).collect(), ..clean };
        let (same, _) = blend(&clean, &wrong, &[[0.0; 6]; 3]);
        assert!(same.data.iter().zip(&clean.data).all(|(a, b)| (a - b).abs() < 1e-5));
        let noisy = add_gaussian(&clean, 25.0, 3);
        let variance = (25.0f32 / 255.0).powi(2);
        let (blended, _) = blend(&noisy, &clean, &[[variance; 6]; 3]);
        assert!(blended.psnr(&clean, 1.0) > 30.0, "{}", blended.psnr(&clean, 1.0));
        // A useless estimate, which is flat, gives way to the picture where that has structure.
        let flat = Image { data: vec![0.5; clean.data.len()], ..clean };
        let (blended, _) = blend(&noisy, &flat, &[[variance; 6]; 3]);
        assert!(blended.psnr(&clean, 1.0) > noisy.psnr(&clean, 1.0));
    }

    #[test]
    fn a_pixel_depends_on_nothing_beyond_the_reach() {
        let clean = scene(140, 60, 7).to_gray();
        let noisy = add_gaussian(&clean, 10.0, 3);
        let mut other = noisy.clone();
        for y in 0..60 {
            for x in 60 + REACH..140 {
                other.data[y * 140 + x] = 0.0;
            }
        }
        let spectra = [[(10.0f32 / 255.0).powi(2); 6]];
        let [one, two] = [&noisy, &other].map(|noisy| blend(noisy, &clean, &spectra).0);
        let same = |x: usize| {
            (0..60).all(|y| (one.data[y * 140 + x] - two.data[y * 140 + x]).abs() < 1e-6)
        };
        assert!((0..60).all(same));
        assert!(!(60..80).all(same));
    }
}
