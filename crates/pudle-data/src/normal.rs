//! The standard normal distribution.

/// The density at `x`.
pub fn normal_density(x: f32) -> f32 {
    (-0.5 * x * x).exp() * 0.398_942_3
}

/// The probability that a value is above `x ≥ 0`. Abramowitz & Stegun, *Handbook of Mathematical Functions* (1964), 26.2.17;
/// the error is below 1e-7.
pub fn upper_tail(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let series = [0.319_381_5, -0.356_563_8, 1.781_478, -1.821_256, 1.330_274];
    let sum = series.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    normal_density(x) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_tables() {
        for (x, tail) in [(0.0, 0.5), (1.0, 0.158_655_25), (2.0, 0.022_750_13), (3.0, 0.001_349_9)]
        {
            assert!((upper_tail(x) - tail).abs() < 2e-7, "{x}: {}", upper_tail(x));
        }
    }
}
