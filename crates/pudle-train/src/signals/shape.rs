//! What atoms of a recording must look like: smooth, or a waveform times a weight for each channel.

use super::differences::second_differences;
use super::snippets::unit;
use crate::cholesky::cholesky_solve;

/// Rounds of the power iteration.
const ROUNDS: usize = 30;

/// The form of atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct AtomForm {
    /// Whether an atom is a waveform times a weight for each channel.
    pub rank_one: bool,
    /// Weight of half the squared norm of second differences, at the size at which an atom occurs.
    pub smooth: f64,
}

impl AtomForm {
    /// The best atom `[C, k]` of this form, up to its norm, for `Σ a x` over `count` events of sizes `a`: with
    /// `½ Σ_e ‖x_e − a_e d‖² + ½ s ā² ‖Δ²d‖²` and `ā²` the mean square of the sizes, `(I + (s/count) Δ²ᵀΔ²) d` is along the sum.
    pub fn of(self, sum: Vec<f32>, channels: usize, count: usize) -> Vec<f32> {
        let taps = sum.len() / channels;
        let mut atom = sum;
        if self.smooth > 0.0 && count > 0 {
            let mut matrix = second_differences(taps);
            matrix.iter_mut().for_each(|value| *value *= self.smooth / count as f64);
            (0..taps).for_each(|i| matrix[i * taps + i] += 1.0);
            for row in atom.chunks_exact_mut(taps) {
                let mut values: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
                if cholesky_solve(&mut matrix.clone(), &mut values) {
                    row.iter_mut().zip(values).for_each(|(to, from)| *to = from as f32);
                }
            }
        }
        if self.rank_one && channels > 1 {
            atom = nearest_rank_one(&atom, channels);
        }
        atom
    }
}

/// The nearest atom that is a waveform times a weight for each channel.
fn nearest_rank_one(atom: &[f32], channels: usize) -> Vec<f32> {
    let taps = atom.len() / channels;
    let rows: Vec<&[f32]> = atom.chunks_exact(taps).collect();
    let square = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>();
    let largest = rows.iter().max_by(|a, b| square(a).total_cmp(&square(b)));
    let Some(mut waveform) = largest.and_then(|row| unit(row.to_vec())) else {
        return atom.to_vec();
    };
    let weights = |waveform: &[f32]| -> Vec<f32> {
        rows.iter().map(|row| row.iter().zip(waveform).map(|(a, b)| a * b).sum()).collect()
    };
    for _ in 0..ROUNDS {
        let weights = weights(&waveform);
        let sum = (0..taps).map(|t| rows.iter().zip(&weights).map(|(row, w)| row[t] * w).sum());
        let Some(next) = unit(sum.collect()) else { break };
        waveform = next;
    }
    weights(&waveform).iter().flat_map(|w| waveform.iter().map(move |v| w * v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rough(row: &[f32]) -> f32 {
        let row = [&[0.0], row, &[0.0]].concat();
        row.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).powi(2)).sum()
    }

    #[test]
    fn smooth_atoms_are_the_optimum() {
        let sum: Vec<f32> = (0..12).map(|k| ((k * k) as f32 * 0.9).sin()).collect();
        let form = AtomForm { smooth: 8.0, rank_one: false };
        let found = form.of(sum.clone(), 1, 4);
        // ½‖d‖² − ⟨sum, d⟩ + ½ (8/4) ‖Δ²d‖² does not fall in any direction.
        let objective = |d: &[f32]| {
            let square: f32 = d.iter().map(|v| v * v).sum();
            let product: f32 = d.iter().zip(&sum).map(|(a, b)| a * b).sum();
            0.5 * square - product + rough(d)
        };
        let best = objective(&found);
        for k in 0..12 {
            for step in [-0.01, 0.01] {
                let mut moved = found.clone();
                moved[k] += step;
                assert!(objective(&moved) > best);
            }
        }
        assert_eq!(AtomForm::default().of(sum.clone(), 1, 4), sum);
    }

    #[test]
    fn atoms_of_rank_one_are_kept_and_others_come_near() {
        let form = AtomForm { smooth: 0.0, rank_one: true };
        let product: Vec<f32> =
            [1.0, -0.5, 0.0].iter().flat_map(|w| [1.0, 2.0, -1.0, 0.5].map(|v| w * v)).collect();
        let same = form.of(product.clone(), 3, 9);
        assert!(same.iter().zip(&product).all(|(a, b)| (a - b).abs() < 1e-5));
        let noisy: Vec<f32> =
            product.iter().enumerate().map(|(k, v)| v + 0.1 * (k as f32 * 2.3).sin()).collect();
        let found = form.of(noisy.clone(), 3, 9);
        let apart =
            |a: &[f32]| -> f32 { a.iter().zip(&product).map(|(x, y)| (x - y).powi(2)).sum() };
        assert!(apart(&found) < apart(&noisy));
    }
}
