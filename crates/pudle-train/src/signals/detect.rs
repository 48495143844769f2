//! Events without a network: matching pursuit, for the first atoms of a run.

use super::filters::Filters;
use super::refine::{Found, Rule, refined};

/// Rounds of a pursuit. Events that overlap a larger one wait for the next round.
const ROUNDS: usize = 4;

/// Finds events by convolutional matching pursuit (Mallat & Zhang, 1993), and refines them. Returns the residual, too.
pub(super) fn detected(filters: &Filters, x: &[f32], rule: Rule) -> (Vec<Found>, Vec<f32>) {
    let (atoms, taps) = (filters.atoms(), filters.taps());
    let positions = x.len() / filters.channels() + 1 - taps;
    let mut products = filters.analysis(x);
    let mut events: Vec<Found> = Vec::new();
    for _ in 0..ROUNDS {
        let mut peaks = peaks(&products, positions, rule);
        peaks.sort_by(|a, b| {
            rule.size(b.amplitude).total_cmp(&rule.size(a.amplitude)).then(a.start.cmp(&b.start))
        });
        let mut taken = vec![false; positions.div_ceil(taps) + 2];
        let mut found = false;
        for peak in peaks {
            // An event changes products up to an atom's length away.
            let cell = peak.start / taps;
            let near = cell.saturating_sub(1)..=cell + 1;
            if near.clone().any(|cell| taken[cell]) {
                continue;
            }
            taken[cell] = true;
            found = true;
            for l in 0..atoms {
                let row = &mut products[l * positions..][..positions];
                // Place m of atom l sees the correlation at lag m − start.
                let first = (peak.start + 1).saturating_sub(taps);
                let last = (peak.start + taps).min(positions);
                for (m, product) in row[first..last].iter_mut().enumerate() {
                    let lag = (first + m) as isize - peak.start as isize;
                    *product -= peak.amplitude * filters.overlap(peak.atom, l, lag);
                }
            }
            events.push(peak);
        }
        if !found {
            break;
        }
    }
    refined(filters, x, events, rule)
}

/// The places where a product is largest among all atoms and among its neighbours, and large enough.
fn peaks(products: &[f32], positions: usize, rule: Rule) -> Vec<Found> {
    let mut best = vec![(0.0f32, 0.0f32, 0usize); positions];
    for (atom, row) in products.chunks_exact(positions).enumerate() {
        for (best, value) in best.iter_mut().zip(row) {
            if rule.size(*value) > best.0 {
                *best = (rule.size(*value), *value, atom);
            }
        }
    }
    let mut found = Vec::new();
    for start in 0..positions {
        let (size, amplitude, atom) = best[start];
        let before = start == 0 || best[start - 1].0 <= size;
        let after = start + 1 == positions || best[start + 1].0 < size;
        if size >= rule.least && before && after {
            found.push(Found { start, atom, amplitude });
        }
    }
    found
}
