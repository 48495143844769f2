//! Where an atom begins and ends in its waveform.

/// Share of the energy that a better place must gain.
const GAIN: f64 = 0.005;
/// Standard deviations of the energy of noise that it must gain, too.
const SURE: f64 = 3.0;

/// Samples on either side of an atom that it may move over.
pub(super) fn margin(taps: usize) -> usize {
    taps / 4
}

/// The part of `taps` samples of a waveform `[C, taps + 2 margin]` that has most of its energy. Of parts that have about as much,
/// the one with its energy in the middle. `noise` is the variance of the noise of each sample.
pub(super) fn placed(waveform: &[f32], channels: usize, taps: usize, noise: f64) -> Vec<f32> {
    let wide = waveform.len() / channels;
    let mut squares = vec![0.0f64; wide];
    // Squares of squares: the noise of many small samples does not count for the middle.
    let (mut weight, mut moment) = (0.0f64, 0.0f64);
    for row in waveform.chunks_exact(wide) {
        for (s, value) in row.iter().enumerate() {
            let square = f64::from(*value).powi(2);
            squares[s] += square;
            weight += square * square;
            moment += square * square * s as f64;
        }
    }
    let middle = moment / weight.max(f64::MIN_POSITIVE);
    let energy = |first: usize| squares[first..first + taps].iter().sum::<f64>();
    let energies: Vec<f64> = (0..=wide - taps).map(energy).collect();
    let most = energies.iter().copied().fold(0.0, f64::max);
    // Two parts differ in at most so many samples.
    let apart = 2 * (wide - taps) * channels;
    let least = most * (1.0 - GAIN) - SURE * noise * (2.0 * apart as f64).sqrt();
    let away = |first: usize| (first as f64 + (taps as f64 - 1.0) / 2.0 - middle).abs();
    let first = (0..energies.len())
        .filter(|first| energies[*first] >= least)
        .min_by(|a, b| away(*a).total_cmp(&away(*b)))
        .unwrap_or((wide - taps) / 2);
    waveform.chunks_exact(wide).flat_map(|row| &row[first..first + taps]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_tail_is_inside_and_a_short_waveform_in_the_middle() {
        // A peak with a tail: the part begins near the peak.
        let wide = 20 + 2 * margin(20);
        let tail: Vec<f32> = (0..wide)
            .map(|s| if s < 10 { 0.0 } else { (-(s as f32 - 10.0) / 8.0).exp() })
            .collect();
        let atom = placed(&tail, 1, 20, 0.0);
        assert!(atom[..4].contains(&1.0), "{atom:?}");
        // A short one is in the middle, and noise does not move it.
        let short: Vec<f32> = (0..wide)
            .map(|s| if (7..10).contains(&s) { 5.0 } else { 0.1 * ((s * 37 % 11) as f32 - 5.0) })
            .collect();
        let atom = placed(&short, 1, 20, 0.1);
        let peak = atom.iter().position(|v| *v == 5.0).unwrap();
        assert!((7..=10).contains(&peak), "{atom:?}");
        // Two channels move together.
        let two = [tail.clone(), tail.iter().map(|v| -v).collect()].concat();
        let atom = placed(&two, 2, 20, 0.0);
        assert!(atom[..20].iter().zip(&atom[20..]).all(|(a, b)| *a == -b));
    }
}
