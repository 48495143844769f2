//! Rank correlations and medians.

use serde::Serialize;

/// A rank correlation (Spearman's) with a 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// The correlation.
    pub rho: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Spearman's rank correlation. Its interval is computed by Fisher's transformation with the variance of Bonett and Wright (2000).
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Correlation {
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    let mean = (n + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let rho = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
    let half_width = 1.96 * ((1.0 + rho * rho / 2.0) / (n - 3.0)).sqrt();
    let end = |by: f64| (rho.atanh() + by).tanh();
    Correlation { rho, low: end(-half_width), high: end(half_width) }
}

/// The median; of an even number of values the larger of the two in the middle, of none not a number.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Ranks from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (same.len() as f64 + 1.0) / 2.0;
        same.iter().for_each(|i| ranks[*i] = rank);
        before += same.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0];
        let found = rank_correlation(&a, &[5.0, 6.0, 7.0, 8.0, 7.0]);
        // Ranks 1, 2, 3.5, 5, 3.5: a textbook example.
        assert!((found.rho - 0.820_782_681_668_123_3).abs() < 1e-12, "{found:?}");
        assert!(found.low < found.rho && found.rho < found.high && found.high < 1.0);
        assert!((rank_correlation(&a, &[5.0, 4.0, 3.0, 2.0, 1.0]).rho + 1.0).abs() < 1e-12);
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 0.5]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
