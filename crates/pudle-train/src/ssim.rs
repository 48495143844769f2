//! Structural similarity.

use pudle_data::Image;

/// Mean structural similarity (SSIM) of two pictures of the same shape, in [−1, 1].
///
/// The settings are those of Wang, Bovik, Sheikh & Simoncelli (2004): a Gaussian window of 11×11 with σ = 1.5,
/// `K₁ = 0.01`, `K₂ = 0.03`, and dynamic range 1. The mean is over all positions of the window inside the picture and
/// over the channels. If a picture is smaller than the window along an axis, the window is the largest odd one that
/// fits. Returns NaN if the shapes differ.
pub fn ssim(a: &Image, b: &Image) -> f64 {
    if a.shape() != b.shape() {
        return f64::NAN;
    }
    let [channels, height, width] = a.shape();
    let size = height * width;
    let plane = |image: &Image, c: usize| -> Vec<f64> {
        image.data[c * size..(c + 1) * size].iter().map(|value| f64::from(*value)).collect()
    };
    let mean = |c| similarity(&plane(a, c), &plane(b, c), height, width);
    (0..channels).map(mean).sum::<f64>() / channels as f64
}

fn similarity(a: &[f64], b: &[f64], height: usize, width: usize) -> f64 {
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let smooth = |values: &[f64]| filter(values, height, width);
    let product = |a: &[f64], b: &[f64]| -> Vec<f64> {
        smooth(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>())
    };
    let (mean_a, mean_b) = (smooth(a), smooth(b));
    let (square_a, square_b, cross) = (product(a, a), product(b, b), product(a, b));
    let count = mean_a.len() as f64;
    let sum: f64 = (0..mean_a.len())
        .map(|i| {
            let (ma, mb) = (mean_a[i], mean_b[i]);
            let (va, vb) = (square_a[i] - ma * ma, square_b[i] - mb * mb);
            let covariance = cross[i] - ma * mb;
            ((2.0 * ma * mb + C1) * (2.0 * covariance + C2))
                / ((ma * ma + mb * mb + C1) * (va + vb + C2))
        })
        .sum();
    sum / count
}

/// The separable Gaussian window, without padding.
fn filter(values: &[f64], height: usize, width: usize) -> Vec<f64> {
    let (column, row) = (window(height), window(width));
    let (rows, columns) = (height + 1 - column.len(), width + 1 - row.len());
    let mut along_rows = vec![0.0; height * columns];
    for y in 0..height {
        for x in 0..columns {
            let segment = &values[y * width + x..][..row.len()];
            along_rows[y * columns + x] = segment.iter().zip(&row).map(|(v, w)| v * w).sum();
        }
    }
    let mut result = vec![0.0; rows * columns];
    for y in 0..rows {
        for (k, weight) in column.iter().enumerate() {
            for x in 0..columns {
                result[y * columns + x] += weight * along_rows[(y + k) * columns + x];
            }
        }
    }
    result
}

fn window(length: usize) -> Vec<f64> {
    let size = if length >= 11 { 11 } else { length - (length + 1) % 2 };
    let centre = (size / 2) as f64;
    let weights: Vec<f64> =
        (0..size).map(|i| (-(i as f64 - centre).powi(2) / (2.0 * 1.5 * 1.5)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pictures_have_similarity_one() {
        for (height, width) in [(1, 1), (1, 20), (6, 13), (30, 17)] {
            let image = Image::from_fn(3, height, width, |c, y, x| ((c + y * x) % 7) as f32 / 7.0);
            assert!((ssim(&image, &image) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn constant_pictures_have_the_closed_form() {
        let constant = |v: f32| Image::from_fn(1, 16, 16, |_, _, _| v);
        let expected = (2.0 * 0.25 * 0.5 + 1e-4) / (0.0625 + 0.25 + 1e-4);
        assert!((ssim(&constant(0.25), &constant(0.5)) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_negative_has_negative_similarity() {
        let image = Image::from_fn(1, 24, 24, |_, y, x| ((x * 7 + y * 13) % 11) as f32 / 10.0);
        let negative = Image::from_fn(1, 24, 24, |_, y, x| 1.0 - image.data[y * 24 + x]);
        assert!(ssim(&image, &negative) < -0.5);
    }
}
