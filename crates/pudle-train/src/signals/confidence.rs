//! How sure it is that events are not noise.

use super::events::Event;
use super::filters::Filters;

/// Events are compared with noise of their own size, give or take this, in standard deviations of the noise.
const NEAR: f64 = 0.5;

/// Sets the confidence of every event: one minus its local false discovery rate (Efron et al., 2001), which is the number of noise
/// peaks of about its size that are to be expected, divided by the number of events of its atom of about this size. It does not fall
/// with the size.
///
/// White noise of standard deviation 1 gives a product with an atom of unit norm of standard deviation 1 and of the atom's
/// autocorrelation `ρ`. By the formula of Rice (1944), it has `arccos(ρ(1))/2π · exp(−u²/2)` upward crossings of `u` at a position,
/// and each has a peak. If sizes have either sign, there are twice as many. No event is smaller than `least`.
pub(super) fn set_confidence(
    events: &mut [Event],
    filters: &Filters,
    positions: usize,
    least: f32,
    signed: bool,
) {
    for atom in 0..filters.atoms() {
        let rho = f64::from(filters.smoothness(atom)).clamp(-1.0, 1.0);
        let crossings = rho.acos() / std::f64::consts::TAU * positions as f64;
        let crossings = if signed { 2.0 * crossings } else { crossings };
        let above = |u: f64| crossings * (-0.5 * u * u).exp();
        let mut own: Vec<&mut Event> = events.iter_mut().filter(|e| e.atom == atom).collect();
        own.sort_by(|a, b| a.size.abs().total_cmp(&b.size.abs()));
        let sizes: Vec<f64> = own.iter().map(|event| f64::from(event.size.abs())).collect();
        let mut rate = 1.0f64;
        for (event, size) in own.into_iter().zip(&sizes) {
            let (low, high) = ((size - NEAR).max(f64::from(least)), size + NEAR);
            let count = sizes.partition_point(|s| *s <= high) - sizes.partition_point(|s| *s < low);
            rate = rate.min((above(low) - above(high)) / count.max(1) as f64);
            event.confidence = (1.0 - rate) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_are_sure_and_small_ones_are_noise() {
        let atom: Vec<f32> = (0..20).map(|k| (k as f32 / 3.0).sin()).collect();
        let norm = atom.iter().map(|v| v * v).sum::<f32>().sqrt();
        let filters = Filters::new(atom.iter().map(|v| v / norm).collect(), 1, 20);
        let event = |size| Event {
            trial: 0,
            start: 0,
            atom: 0,
            size,
            confidence: 0.0,
            channels: Vec::new(),
        };
        let mut events: Vec<Event> = [2.5, 3.0, 8.0, 9.0].map(event).to_vec();
        set_confidence(&mut events, &filters, 100_000, 2.0, false);
        assert!(events[0].confidence == 0.0 && events[1].confidence == 0.0);
        assert!(events[2].confidence > 0.999 && events[3].confidence >= events[2].confidence);
    }
}
