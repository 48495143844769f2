//! Codes of training without the bias of λ.

use rayon::prelude::*;

use super::filters::Filters;
use super::refine::{Found, Rule, merged, refined};

/// Events of a batch of windows.
#[derive(Clone, Debug)]
pub(crate) struct Refit {
    /// Their code, `[b, p, n']`.
    pub code: Vec<f32>,
    /// What they leave of the windows, `x − D z`, `[b, C, n]`.
    pub residual: Vec<f32>,
    /// The gradient of `½ Σ‖x − D z‖²` in the atoms, `−Σ_e a_e r(t_e + ·)`, `[p, C, k]`.
    pub slope: Vec<f32>,
}

/// Events for the codes `[b, p, n']` of windows `[b, C, n]`: one entry for each, at its best place and of the size that least
/// squares gives. What λ takes from sizes, and spreads over neighbours, is in no gradient then.
pub(crate) fn refitted(
    filters: &Filters,
    x: &[f32],
    code: &[f32],
    rule: Rule,
    batch: usize,
) -> Refit {
    let (size, width) = (x.len() / batch, code.len() / batch);
    let positions = width / filters.atoms();
    let of = |(x, code): (&[f32], &[f32])| {
        let entries = code.chunks_exact(positions).enumerate().flat_map(|(atom, row)| {
            let nonzero = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
            nonzero.map(move |(start, value)| Found { start, atom, amplitude: *value })
        });
        refined(filters, x, merged(filters, entries), rule)
    };
    let found: Vec<(Vec<Found>, Vec<f32>)> =
        x.par_chunks_exact(size).zip(code.par_chunks_exact(width)).map(of).collect();
    let taps = filters.taps();
    let mut refit = Refit {
        code: vec![0.0; code.len()],
        residual: Vec::with_capacity(x.len()),
        slope: vec![0.0; filters.values().len()],
    };
    let length = filters.channels() * taps;
    for ((events, residual), code) in found.into_iter().zip(refit.code.chunks_exact_mut(width)) {
        for Found { start, atom, amplitude } in events {
            code[atom * positions + start] += amplitude;
            let slope = refit.slope[atom * length..][..length].chunks_exact_mut(taps);
            for (slope, row) in
                slope.zip(residual.chunks_exact(residual.len() / filters.channels()))
            {
                let left = slope.iter_mut().zip(&row[start..start + taps]);
                left.for_each(|(slope, value)| *slope -= amplitude * value);
            }
        }
        refit.residual.extend(residual);
    }
    refit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_shrunk_codes_become_events_of_their_size() {
        let taps = 12;
        let shape: Vec<f32> = (0..taps)
            .map(|k| (k as f32 * 0.9).sin() * (-0.1 * (k as f32 - 5.0).powi(2)).exp())
            .collect();
        let norm = shape.iter().map(|v| v * v).sum::<f32>().sqrt();
        let filters = Filters::new(shape.iter().map(|v| v / norm).collect(), 1, taps);
        let mut x = vec![0.0; 2 * 100];
        filters.add(&mut x[..100], 0, 30, 9.0);
        filters.add(&mut x[100..], 0, 50, 5.0);
        filters.add(&mut x[100..], 0, 56, 7.0);
        let positions = 101 - taps;
        let mut code = vec![0.0; 2 * positions];
        (code[29], code[30], code[31]) = (1.0, 3.0, 1.5);
        (code[positions + 50], code[positions + 55]) = (1.0, 2.0);
        let found = refitted(&filters, &x, &code, Rule { least: 3.0, signed: false }, 2);
        assert!(found.residual.iter().all(|value| value.abs() < 0.05));
        let found = found.code;
        let events: Vec<(usize, f32)> =
            found.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(k, v)| (k, *v)).collect();
        let expected = [(30, 9.0), (positions + 50, 5.0), (positions + 56, 7.0)];
        assert_eq!(events.len(), 3, "{events:?}");
        for ((place, size), (wanted, real)) in events.iter().zip(expected) {
            assert!(*place == wanted && (size - real).abs() < 0.05, "{events:?}");
        }
    }
}
