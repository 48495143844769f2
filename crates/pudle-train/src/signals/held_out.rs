//! How well atoms predict samples that they have not seen.

use pudle_data::{Stream, step_rng};
use rand::RngExt;

use super::detect::detected;
use super::filters::Filters;
use super::pilot::Stretch;
use super::refine::{Found, Rule};

/// Share of the samples that are hidden.
const HIDDEN: f32 = 0.15;
/// Sweeps over the events of a stretch.
const SWEEPS: usize = 6;

/// What hidden samples of a stretch are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HeldOut {
    /// The log-likelihood of the hidden samples, more than that of zeros.
    pub gain: f64,
    /// Number of hidden samples.
    pub hidden: usize,
    /// Number of events.
    pub events: usize,
}

/// Finds events from the samples of a stretch `[C, n]` that are not hidden, and compares what they say of the hidden ones with
/// them: `½‖x‖² − ½‖x − D z‖²` over the hidden samples, in units of the noise, is the gain in log-likelihood. The hidden samples are
/// a random seventh, which depends on the seed and the number of the stretch alone.
pub(super) fn held_out(
    filters: &Filters,
    x: &Stretch,
    rule: Rule,
    seed: u64,
    number: usize,
) -> HeldOut {
    let mut rng = step_rng(seed, Stream::Sample, number as u64);
    let seen: Vec<f32> =
        x.iter().map(|_| if rng.random::<f32>() < HIDDEN { 0.0 } else { 1.0 }).collect();
    // What is hidden is zero, and the rest as much larger, so that products have the right size on average.
    let scaled: Vec<f32> = x.iter().zip(&seen).map(|(x, seen)| x * seen / (1.0 - HIDDEN)).collect();
    let (mut events, _) = detected(filters, &scaled, rule);
    let mut residual: Vec<f32> = x.clone();
    events.iter().for_each(|e| filters.add(&mut residual, e.atom, e.start, -e.amplitude));
    for _ in 0..SWEEPS {
        for event in &mut events {
            let Found { start, atom, amplitude } = *event;
            filters.add(&mut residual, atom, start, amplitude);
            let [product, norm] = products(filters, &residual, &seen, atom, start);
            let value = product / norm.max(f32::MIN_POSITIVE);
            event.amplitude = if rule.size(value) > 0.0 { value } else { 0.0 };
            filters.add(&mut residual, atom, start, -event.amplitude);
        }
        let least = rule.least;
        events.retain(|event| {
            let stays = rule.size(event.amplitude) >= least;
            if !stays {
                filters.add(&mut residual, event.atom, event.start, event.amplitude);
            }
            stays
        });
    }
    let hidden = || x.iter().zip(&residual).zip(&seen).filter(|(_, seen)| **seen == 0.0);
    let gain = hidden().map(|((x, r), _)| 0.5 * (f64::from(x * x) - f64::from(r * r))).sum();
    HeldOut { gain, hidden: hidden().count(), events: events.len() }
}

/// The inner product of a signal with an atom over the samples that are seen, and the atom's squared norm there.
fn products(
    filters: &Filters,
    signal: &[f32],
    seen: &[f32],
    atom: usize,
    start: usize,
) -> [f32; 2] {
    let (taps, samples) = (filters.taps(), signal.len() / filters.channels());
    let mut sums = [0.0; 2];
    let rows = signal.chunks_exact(samples).zip(seen.chunks_exact(samples));
    for ((signal, seen), atom) in rows.zip(filters.atom(atom).chunks_exact(taps)) {
        for ((x, seen), d) in signal[start..].iter().zip(&seen[start..]).zip(atom) {
            sums[0] += seen * x * d;
            sums[1] += seen * d * d;
        }
    }
    sums
}
