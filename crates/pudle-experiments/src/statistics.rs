//! Means, quantiles and slopes.

/// The mean and the standard deviation (with n − 1; none for fewer than two values) of the finite `values`.
pub(crate) fn mean_sd(values: &[f64]) -> (f64, Option<f64>) {
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// The median of `values`; NaN if there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The quantile `q` in [0, 1] of `values` by linear interpolation; NaN if there are none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The slope of the least-squares line through points; NaN for fewer than two.
pub(crate) fn slope(points: &[[f64; 2]]) -> f64 {
    if points.len() < 2 {
        return f64::NAN;
    }
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p[0] / n, y + p[1] / n));
    let (xy, xx) = points
        .iter()
        .fold((0.0, 0.0), |(xy, xx), p| (xy + (p[0] - x) * (p[1] - y), xx + (p[0] - x).powi(2)));
    xy / xx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_by_hand() {
        assert_eq!(mean_sd(&[1.0, 3.0, f64::NAN]), (2.0, Some(2f64.sqrt())));
        assert_eq!(mean_sd(&[4.0]), (4.0, None));
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert!((slope(&[[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]]) - 2.0).abs() < 1e-12);
        assert!(slope(&[[0.0, 1.0]]).is_nan());
    }
}
