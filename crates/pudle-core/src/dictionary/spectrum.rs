//! `‖D‖²` of filters along a signal, from their spectra.

/// Frequencies for each sample of a filter, at least.
const FREQUENCIES: usize = 8;
/// Steps of the power iteration at a frequency. Its estimate is raised by one percent, more than it and the frequencies in
/// between can lack.
const STEPS: usize = 20;
const MARGIN: f64 = 1.01;

/// A bound of the largest eigenvalue of `DᵀD` for filters `[p, C, k]` at every sample of a signal of any length, at most some
/// percent above that of a long signal.
///
/// `D` is a matrix of convolutions. On a signal without ends, the Fourier transform turns it into a matrix `D̂(ω)` of `C×p` numbers
/// for each frequency, and `‖D‖² = max_ω ‖D̂(ω)‖²`; ends make it smaller. This costs a few transforms, where a power
/// iteration costs hundreds of convolutions with a signal.
pub(super) fn squared_norm(filters: &[f64], [atoms, channels, taps]: [usize; 3]) -> f64 {
    let length = (FREQUENCIES * taps).next_power_of_two().max(64);
    let half = length / 2 + 1;
    // `[p C, ω]`, real and imaginary parts.
    let spectra: Vec<Vec<[f64; 2]>> = filters
        .chunks_exact(taps)
        .map(|filter| {
            let mut values = vec![[0.0; 2]; length];
            values.iter_mut().zip(filter).for_each(|(value, tap)| value[0] = *tap);
            transform(&mut values);
            values.truncate(half);
            values
        })
        .collect();
    let frobenius =
        |k: usize| spectra.iter().map(|s| s[k][0].powi(2) + s[k][1].powi(2)).sum::<f64>();
    let mut bounds: Vec<(f64, usize)> = (0..half).map(|k| (frobenius(k), k)).collect();
    bounds.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut largest = 0.0f64;
    for (bound, k) in bounds {
        // No eigenvalue is above the sum of all.
        if bound.is_nan() || bound <= largest {
            return largest.max(if bound.is_nan() { bound } else { 0.0 }) * MARGIN;
        }
        let matrix: Vec<[f64; 2]> = spectra.iter().map(|spectrum| spectrum[k]).collect();
        largest = largest.max(largest_eigenvalue(&matrix, atoms, channels));
    }
    largest * MARGIN
}

/// The largest eigenvalue of `A Aᴴ` for a matrix `[p, C]` of complex numbers, by power iteration.
fn largest_eigenvalue(matrix: &[[f64; 2]], atoms: usize, channels: usize) -> f64 {
    if atoms == 1 || channels == 1 {
        return matrix.iter().map(|v| v[0] * v[0] + v[1] * v[1]).sum();
    }
    // The row of the largest norm, so that the start is never orthogonal to the matrix.
    let norm = |row: &[[f64; 2]]| row.iter().map(|v| v[0] * v[0] + v[1] * v[1]).sum::<f64>();
    let rows = || matrix.chunks_exact(channels);
    let start = rows().max_by(|a, b| norm(a).total_cmp(&norm(b))).expect("a row");
    let mut vector: Vec<[f64; 2]> = start.iter().map(|v| [v[0], -v[1]]).collect();
    let mut value = 0.0;
    for _ in 0..STEPS {
        let size = norm(&vector).sqrt().max(f64::MIN_POSITIVE);
        vector.iter_mut().for_each(|v| *v = [v[0] / size, v[1] / size]);
        let mut next = vec![[0.0; 2]; channels];
        value = 0.0;
        for row in rows() {
            // Of a row and the vector, and its conjugate times the row.
            let [re, im] = row.iter().zip(&vector).fold([0.0; 2], |[re, im], (a, v)| {
                [re + a[0] * v[0] - a[1] * v[1], im + a[0] * v[1] + a[1] * v[0]]
            });
            value += re * re + im * im;
            for (next, a) in next.iter_mut().zip(row) {
                *next = [next[0] + re * a[0] + im * a[1], next[1] + im * a[0] - re * a[1]];
            }
        }
        vector = next;
    }
    value
}

/// The discrete Fourier transform in place (Cooley & Tukey, 1965). The length is a power of two.
fn transform(values: &mut [[f64; 2]]) {
    let count = values.len();
    let bits = count.trailing_zeros();
    for k in 0..count {
        let other = k.reverse_bits() >> (usize::BITS - bits);
        if k < other {
            values.swap(k, other);
        }
    }
    let mut width = 2;
    while width <= count {
        let angle = -std::f64::consts::TAU / width as f64;
        for part in values.chunks_exact_mut(width) {
            let (low, high) = part.split_at_mut(width / 2);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let (sin, cos) = (angle * k as f64).sin_cos();
                let turned = [b[0] * cos - b[1] * sin, b[0] * sin + b[1] * cos];
                *b = [a[0] - turned[0], a[1] - turned[1]];
                *a = [a[0] + turned[0], a[1] + turned[1]];
            }
        }
        width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_the_sum_of_waves() {
        let values: Vec<[f64; 2]> = (0..16).map(|k| [(k * k % 7) as f64, k as f64]).collect();
        let mut found = values.clone();
        transform(&mut found);
        for (k, found) in found.iter().enumerate() {
            let wave = |n: usize| (-std::f64::consts::TAU * (k * n) as f64 / 16.0).sin_cos();
            let sum = values.iter().enumerate().fold([0.0; 2], |sum, (n, v)| {
                let (sin, cos) = wave(n);
                [sum[0] + v[0] * cos - v[1] * sin, sum[1] + v[0] * sin + v[1] * cos]
            });
            assert!((found[0] - sum[0]).abs() < 1e-9 && (found[1] - sum[1]).abs() < 1e-9);
        }
    }

    #[test]
    fn one_filter_of_one_sample_has_its_own_norm() {
        assert!((squared_norm(&[3.0], [1, 1, 1]) - 9.0 * MARGIN).abs() < 1e-9);
        // Two equal filters over two channels: ‖D‖² = 2 · (9 + 16).
        let equal = [3.0, 4.0, 3.0, 4.0];
        assert!((squared_norm(&equal, [2, 2, 1]) - 50.0 * MARGIN).abs() < 1e-9);
    }
}
