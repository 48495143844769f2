//! Codes of training without the bias of λ.

use rayon::prelude::*;

use super::filters::Filters;
use super::refine::{Found, Rule, merged, refined};

/// The codes `[b, p, n']` of windows `[b, C, n]` with one entry for each event, at its best place and of the size that least
/// squares gives: what λ takes from sizes, and spreads over neighbours, is in no gradient then.
pub(crate) fn refitted(filters: &Filters, x: &[f32], code: &[f32], rule: Rule, batch: usize) -> Vec<f32> {
    let (size, width) = (x.len() / batch, code.len() / batch);
    let positions = width / filters.atoms();
    let of = |(x, code): (&[f32], &[f32])| {
        let entries = code.chunks_exact(positions).enumerate().flat_map(|(atom, row)| {
            let nonzero = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
            nonzero.map(move |(start, value)| Found { start, atom, amplitude: *value })
        });
        let (events, _) = refined(filters, x, merged(filters, entries), rule);
        let mut code = vec![0.0; width];
        for Found { start, atom, amplitude } in events {
            code[atom * positions + start] += amplitude;
        }
        code
    };
    let codes: Vec<Vec<f32>> =
        x.par_chunks_exact(size).zip(code.par_chunks_exact(width)).map(of).collect();
    codes.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_shrunk_codes_become_events_of_their_size() {
        let taps = 12;
        let shape: Vec<f32> =
            (0..taps).map(|k| (k as f32 * 0.9).sin() * (-0.1 * (k as f32 - 5.0).powi(2)).exp()).collect();
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
        let events: Vec<(usize, f32)> =
            found.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(k, v)| (k, *v)).collect();
        let expected = [(30, 9.0), (positions + 50, 5.0), (positions + 56, 7.0)];
        assert_eq!(events.len(), 3, "{events:?}");
        for ((place, size), (wanted, real)) in events.iter().zip(expected) {
            assert!(*place == wanted && (size - real).abs() < 0.05, "{events:?}");
        }
    }
}
