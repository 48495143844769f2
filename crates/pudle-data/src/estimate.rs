//! Estimating the noise in a picture.

use crate::image::Raster;

/// The binomial coefficients with alternating signs, which are the sixth difference. It is zero for polynomials up to degree
/// 5, and smooth parts of a picture are nearly polynomials.
const DIFFERENCE: [f32; 7] = [1.0, -6.0, 15.0, -20.0, 15.0, -6.0, 1.0];

/// Side of a block of the detail band.
const BLOCK: usize = 48;

/// With fewer blocks than this, the median is taken over the whole band.
const FEWEST_BLOCKS: usize = 20;

/// Share of the blocks that count as free of texture.
const QUIET: f64 = 0.1;

/// The [`QUIET`] quantile of the blocks' medians for pure noise, relative to the median of the whole band.
const QUIET_OF_NOISE: f32 = 0.931;

/// Median of |N(0, 1)|.
const MEDIAN_OF_NORMAL: f32 = 0.674_49;

/// In pictures with more pixels than this, only windows are measured.
const MOST_PIXELS: usize = 1 << 22;
/// Number of windows along each side.
const WINDOWS: usize = 4;

/// Standard deviation of white Gaussian noise in a picture, on the 0 to 255 scale; `None` for a picture with a side of
/// fewer than 7 pixels.
///
/// The robust median estimator of Donoho & Johnstone (*Ideal spatial adaptation by wavelet shrinkage*,
/// Biometrika 1994): `median |d| / 0.6745` on the finest diagonal detail band `d`. Two changes reduce the influence of
/// texture. The band is that of a filter with six vanishing moments (sixth differences along both axes). The median is
/// taken per block (48×48), and the lowest tenth of the blocks gives the noise. The result for a colour picture is the
/// root mean square over its channels.
///
/// Blocks without any detail, such as clipped or drawn areas, are left out.
///
/// Noise that is correlated between pixels (from a camera's demosaicing or a JPEG file's quantisation) is weak
/// in the finest band and is underestimated.
pub fn estimate_sigma(picture: &impl Raster) -> Option<f32> {
    let [channels, height, width] = picture.shape();
    if height.min(width) < DIFFERENCE.len() {
        return None;
    }
    let mut squares = 0.0;
    for channel in 0..channels {
        let (mut blocks, mut flat) = (Vec::new(), 0);
        let mut whole = Vec::new();
        for [top, left, h, w] in windows(height, width) {
            let seen = picture.window(top, left, h, w);
            let plane = &seen.data[channel * h * w..(channel + 1) * h * w];
            let (band, columns) = detail(plane, w);
            for rows in band.chunks_exact(BLOCK * columns) {
                for first in (0..columns / BLOCK).map(|block| block * BLOCK) {
                    let part = rows.chunks_exact(columns).map(|row| &row[first..first + BLOCK]);
                    // A clipped or drawn area shows no noise, however much there is elsewhere.
                    match median(&mut part.flatten().copied().collect::<Vec<_>>()) {
                        0.0 => flat += 1,
                        level => blocks.push(level),
                    }
                }
            }
            whole = band;
        }
        let sigma = if blocks.len() + flat < FEWEST_BLOCKS {
            median(&mut whole)
        } else if blocks.is_empty() {
            0.0
        } else {
            let quiet = (QUIET * (blocks.len() - 1) as f64).round() as usize;
            *blocks.select_nth_unstable_by(quiet, f32::total_cmp).1 / QUIET_OF_NOISE
        };
        squares += (255.0 * sigma / MEDIAN_OF_NORMAL).powi(2);
    }
    Some((squares / channels as f32).sqrt())
}

/// The whole picture, or windows spread over a large picture: top, left, height, width.
fn windows(height: usize, width: usize) -> Vec<[usize; 4]> {
    if height * width <= MOST_PIXELS {
        return vec![[0, 0, height, width]];
    }
    // All windows together have `MOST_PIXELS` pixels.
    let side = ((MOST_PIXELS / (WINDOWS * WINDOWS)) as f64).sqrt() as usize;
    let starts = |length: usize| {
        let last = length.saturating_sub(side);
        (0..WINDOWS).map(move |k| k * last / (WINDOWS - 1))
    };
    let (h, w) = (side.min(height), side.min(width));
    starts(height).flat_map(|top| starts(width).map(move |left| [top, left, h, w])).collect()
}

/// Absolute values of the finest diagonal band of a plane, and their number in a row. The band is scaled so that
/// white noise has the same deviation in it.
fn detail(plane: &[f32], width: usize) -> (Vec<f32>, usize) {
    let norm = DIFFERENCE.iter().map(|v| v * v).sum::<f32>();
    let columns = width + 1 - DIFFERENCE.len();
    let across: Vec<f32> = plane
        .chunks_exact(width)
        .flat_map(|row| {
            row.windows(DIFFERENCE.len())
                .map(|part| part.iter().zip(DIFFERENCE).map(|(v, d)| v * d).sum::<f32>())
        })
        .collect();
    let rows = across.len() / columns + 1 - DIFFERENCE.len();
    let band = (0..rows * columns)
        .map(|at| {
            let sum: f32 =
                DIFFERENCE.iter().enumerate().map(|(k, d)| d * across[at + k * columns]).sum();
            (sum / norm).abs()
        })
        .collect();
    (band, columns)
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;
    use crate::noise::add_gaussian;
    use crate::scene::scene;

    #[test]
    fn pure_noise_is_measured() {
        for (channels, height, width, tolerance) in [
            (1, 321, 481, 0.03),
            (3, 321, 481, 0.03),
            (1, 60, 80, 0.15),
            (1, 2100, 2100, 0.03),
            (1, 100, 50_000, 0.03),
        ] {
            let flat = Image::from_fn(channels, height, width, |_, _, _| 0.5);
            let sigma = estimate_sigma(&add_gaussian(&flat, 20.0, 1)).unwrap();
            assert!((sigma / 20.0 - 1.0).abs() < tolerance, "{channels}×{height}×{width}: {sigma}");
        }
    }

    #[test]
    fn edges_and_texture_hardly_count() {
        let clean = scene(480, 320, 7);
        for sigma in [10.0, 25.0, 50.0] {
            let estimate = estimate_sigma(&add_gaussian(&clean, sigma, 3)).unwrap();
            assert!((estimate / sigma - 1.0).abs() < 0.1, "{estimate}, not {sigma}");
        }
        let smooth = Image::from_fn(1, 100, 100, |_, y, x| 1e-4 * (x * y) as f32);
        assert!(estimate_sigma(&smooth).unwrap() < 0.1);
    }

    #[test]
    fn white_margins_do_not_count() {
        let noisy = add_gaussian(&Image::from_fn(1, 600, 600, |_, _, _| 0.5), 20.0, 1);
        let page = Image::from_fn(1, 600, 600, |_, y, x| {
            let inside = (200..500).contains(&y) && (100..500).contains(&x);
            if inside { (noisy.at(0, y, x).clamp(0.0, 1.0) * 255.0).round() / 255.0 } else { 1.0 }
        });
        let sigma = estimate_sigma(&page).unwrap();
        assert!((sigma / 20.0 - 1.0).abs() < 0.1, "{sigma}");
        let white = Image::from_fn(1, 600, 600, |_, _, _| 1.0);
        assert_eq!(estimate_sigma(&white), Some(0.0));
    }

    #[test]
    fn small_pictures_have_no_band() {
        let flat = |h, w| Image::from_fn(1, h, w, |_, _, _| 0.5);
        assert_eq!(estimate_sigma(&flat(6, 100)), None);
        assert!(estimate_sigma(&flat(7, 7)).unwrap() < 1e-3);
    }
}
