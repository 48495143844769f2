//! Events from codes: neighbours become one, amplitudes lose the bias of λ, and places are made exact.

use super::filters::Filters;

/// An atom at a place in a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// First sample of the atom.
    pub start: usize,
    pub atom: usize,
    pub amplitude: f32,
}

/// Most sweeps over the events of a signal.
const SWEEPS: usize = 8;
/// Samples by which a sweep moves an event, at most.
const MOVE: isize = 2;
/// A change of an amplitude that is smaller than this, in standard deviations of the noise, is none.
const STILL: f32 = 1e-2;

/// What counts as an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Least amplitude.
    pub least: f32,
    /// Whether amplitudes may be below zero.
    pub signed: bool,
}

impl Rule {
    /// The size of an amplitude.
    pub fn size(self, amplitude: f32) -> f32 {
        if self.signed { amplitude.abs() } else { amplitude }
    }
}

/// One event for each group of neighbours of an atom, at their centre of mass. `code` has places in order for each atom.
pub(super) fn merged(filters: &Filters, code: impl IntoIterator<Item = Found>) -> Vec<Found> {
    let mut events: Vec<Found> = Vec::new();
    // Of the last event: its first place, and the sum of places times amplitudes.
    let (mut first, mut moment) = (0, 0.0f64);
    for Found { start, atom, amplitude } in code {
        match events.last_mut() {
            Some(last)
                if last.atom == atom
                    && start - first < 2 * filters.radius(atom)
                    && last.amplitude.signum() == amplitude.signum() =>
            {
                moment += start as f64 * f64::from(amplitude);
                last.amplitude += amplitude;
                last.start = (moment / f64::from(last.amplitude)).round() as usize;
            }
            _ => {
                (first, moment) = (start, start as f64 * f64::from(amplitude));
                events.push(Found { start, atom, amplitude });
            }
        }
    }
    events
}

/// Minimises `½‖x − Σ a_e d_e‖²` over the amplitudes and, within two samples a sweep, over the places of events, one event after
/// the other. Events that are smaller than the rule allows are dropped, and events of one atom that meet become one. Returns the
/// residual with the events.
///
/// `x` is `[C, n]`, in standard deviations of the noise.
pub(super) fn refined(
    filters: &Filters,
    x: &[f32],
    mut events: Vec<Found>,
    rule: Rule,
) -> (Vec<Found>, Vec<f32>) {
    let positions = x.len() / filters.channels() + 1 - filters.taps();
    let mut residual = x.to_vec();
    for event in &events {
        filters.add(&mut residual, event.atom, event.start, -event.amplitude);
    }
    for sweep in 0..SWEEPS {
        // The largest first, which then take what smaller ones have of them.
        events.sort_by(|a, b| {
            rule.size(b.amplitude).total_cmp(&rule.size(a.amplitude)).then(a.start.cmp(&b.start))
        });
        let mut changed = false;
        for event in &mut events {
            changed |= improve(filters, &mut residual, event, positions, rule);
        }
        let before = events.len();
        drop_small(filters, &mut residual, &mut events, rule);
        join(filters, &mut residual, &mut events);
        changed |= events.len() != before;
        if !changed && sweep > 0 {
            break;
        }
    }
    events.sort_by_key(|event| (event.start, event.atom));
    (events, residual)
}

/// Moves an event to the best place nearby, with the best amplitude there. Returns whether it changed.
fn improve(
    filters: &Filters,
    residual: &mut [f32],
    event: &mut Found,
    positions: usize,
    rule: Rule,
) -> bool {
    let Found { start, atom, amplitude } = *event;
    let norm = filters.overlap(atom, atom, 0).max(f32::MIN_POSITIVE);
    let at = |shift: isize| {
        let place = start.checked_add_signed(shift).filter(|place| *place < positions)?;
        let own = amplitude * filters.overlap(atom, atom, shift);
        Some((place, (filters.product(residual, atom, place) + own) / norm))
    };
    let mut best = at(0).unwrap_or((start, 0.0));
    for shift in (-MOVE..=MOVE).filter(|shift| *shift != 0) {
        if let Some(other) = at(shift).filter(|other| rule.size(other.1) > rule.size(best.1)) {
            best = other;
        }
    }
    let (place, mut value) = best;
    if !rule.signed {
        value = value.max(0.0);
    }
    if place == start && (value - amplitude).abs() < STILL {
        return false;
    }
    filters.add(residual, atom, start, amplitude);
    filters.add(residual, atom, place, -value);
    *event = Found { start: place, atom, amplitude: value };
    true
}

/// Drops events that are too small.
fn drop_small(filters: &Filters, residual: &mut [f32], events: &mut Vec<Found>, rule: Rule) {
    events.retain(|event| {
        let stays = rule.size(event.amplitude) >= rule.least;
        if !stays {
            filters.add(residual, event.atom, event.start, event.amplitude);
        }
        stays
    });
}

/// Makes events of one atom that have met one event, at the place of the larger.
fn join(filters: &Filters, residual: &mut [f32], events: &mut Vec<Found>) {
    events.sort_by_key(|event| (event.atom, event.start));
    let mut joined: Vec<Found> = Vec::with_capacity(events.len());
    for event in events.drain(..) {
        match joined.last_mut() {
            Some(last)
                if last.atom == event.atom
                    && event.start - last.start < filters.radius(event.atom) =>
            {
                let sum = last.amplitude + event.amplitude;
                let start = if event.amplitude.abs() > last.amplitude.abs() {
                    event.start
                } else {
                    last.start
                };
                filters.add(residual, last.atom, last.start, last.amplitude);
                filters.add(residual, event.atom, event.start, event.amplitude);
                filters.add(residual, event.atom, start, -sum);
                *last = Found { start, atom: event.atom, amplitude: sum };
            }
            _ => joined.push(event),
        }
    }
    *events = joined;
}
