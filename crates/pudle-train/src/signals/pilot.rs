//! The first atoms of a run over a recording.

use pudle_data::{RecordingWindows, Stream, step_rng};
use rayon::prelude::*;

use super::detect::detected;
use super::filters::Filters;
use super::placing::{margin, placed};
use super::refine::{Found, Rule};
use super::shape::AtomForm;
use super::snippets::{Snippets, Strong, strong, unit};
use crate::error::{Result, TrainError};

/// Most numbers of the stretches that a pilot works on, and most samples of all of them.
const MOST_NUMBERS: usize = 1 << 23;
const MOST_SAMPLES: usize = 1 << 20;
/// Least samples of a stretch, and the atoms that fit into it.
const STRETCH: usize = 4096;
const ATOMS_IN_STRETCH: usize = 16;
/// Snippets for a cluster, and least of all clusters.
const SNIPPETS: [usize; 2] = [150, 400];
/// Independent starts, of which the best is taken, and their rounds.
const STARTS: usize = 3;
const FIRST_ROUNDS: usize = 4;
/// Rounds of the best start.
const ROUNDS: usize = 10;
/// Two atoms that are so alike at some shift are copies.
const COPIES: f32 = 0.9;
/// Events without which an atom counts as unused.
const FEW: usize = 3;

/// A stretch of a recording, `[C, n]`, in standard deviations of the noise.
pub(crate) type Stretch = Vec<f32>;

/// What is done to find the first atoms: the strongest stretches of the recording are aligned and clustered, and then events
/// and atoms are found in turn, with events by matching pursuit and each atom the best one for its events. Atoms that are
/// copies of another or not used start again from the strongest stretches of what is left.
pub(crate) struct Pilot<'a> {
    pub stretches: &'a [Stretch],
    pub channels: usize,
    /// Number of atoms, and samples of each.
    pub atoms: usize,
    pub taps: usize,
    pub rule: Rule,
    pub form: AtomForm,
    pub seed: u64,
}

/// Events in all stretches.
struct Round {
    events: Vec<(Vec<Found>, Vec<f32>)>,
    /// `½‖r‖²` and, for each event, the gain that the smallest event has.
    objective: f64,
}

impl Pilot<'_> {
    /// Reads stretches that are spread evenly over all trials. Those with gaps are cut there.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub fn read(windows: &RecordingWindows, taps: usize) -> Result<Vec<Stretch>> {
        let (recording, span) = (windows.recording(), windows.span());
        let (channels, trials) = (recording.channels(), recording.trials());
        let length = STRETCH.max(ATOMS_IN_STRETCH * taps).min(span.len());
        let most = (MOST_NUMBERS / channels).min(MOST_SAMPLES) / length;
        let count = most.clamp(1, trials * (span.len() / length).max(1));
        let room = span.len() - length;
        let read = |k: usize| {
            let place = (k as f64 + 0.5) / count as f64 * trials as f64;
            let trial = (place as usize).min(trials - 1);
            let first = span.start + ((place - trial as f64) * room as f64) as usize;
            let mut stretch = vec![0.0; channels * length];
            windows.read(trial, first, &mut stretch)?;
            Ok(stretch)
        };
        let stretches: Vec<Stretch> = (0..count).map(read).collect::<Result<_>>()?;
        let whole = |stretch| without_gaps(stretch, channels, 2 * taps);
        Ok(stretches.into_iter().flat_map(whole).collect())
    }

    /// The first atoms, `[C, k]` each, of unit norm.
    ///
    /// # Errors
    /// Returns an error if no stretch has more energy than the noise.
    pub fn run(&self) -> Result<Vec<Vec<f32>>> {
        let places = self.strongest(self.stretches);
        let (most, found) = ((SNIPPETS[0] * self.atoms).max(SNIPPETS[1]), places.len());
        let places = thinned(places, most);
        let snippets = Snippets::cut(self.stretches, &places, self.channels, self.taps);
        if snippets.len() < self.atoms {
            return Err(TrainError::Unsuitable(format!(
                "the recording has {found} stretches with more energy than its noise, too few for {} atoms",
                self.atoms
            )));
        }
        let mut best: Option<(f64, Filters)> = None;
        for start in 0..STARTS {
            let mut rng = step_rng(self.seed, Stream::Start, start as u64);
            let centres = snippets.clusters(self.atoms, self.rule.signed, &mut rng);
            let mut filters = Filters::new(centres.concat(), self.channels, self.taps);
            let mut objective = f64::INFINITY;
            for round in 0..FIRST_ROUNDS {
                (filters, objective) = self.round(&filters, start * 100 + round, true);
            }
            if best.as_ref().is_none_or(|(least, _)| objective < *least) {
                best = Some((objective, filters));
            }
        }
        let (_, mut filters) = best.expect("there are starts");
        for round in 0..ROUNDS {
            (filters, _) = self.round(&filters, 1000 + round, round + 3 < ROUNDS);
        }
        Ok((0..filters.atoms()).map(|j| filters.atom(j).to_vec()).collect())
    }

    /// The atoms after a few rounds with this rule, from those of another.
    pub fn continued(&self, filters: Filters) -> Filters {
        (0..FIRST_ROUNDS).fold(filters, |filters, round| {
            self.round(&filters, 2000 + round, round + 2 < FIRST_ROUNDS).0
        })
    }

    /// The sizes of all events of at least `least`.
    pub fn sizes(filters: &Filters, stretches: &[Stretch], least: f32, signed: bool) -> Vec<f32> {
        let rule = Rule { least, signed };
        let of = |x: &Stretch| detected(filters, x, rule).0;
        let events: Vec<Vec<Found>> = stretches.par_iter().map(of).collect();
        events.iter().flatten().map(|event| event.amplitude.abs()).collect()
    }

    /// The strongest places of signals, from the strongest on.
    fn strongest(&self, signals: &[Stretch]) -> Vec<Strong> {
        let of = |(k, x): (usize, &Stretch)| strong(k, x, self.channels, self.taps);
        let mut places: Vec<Strong> = signals.par_iter().enumerate().flat_map_iter(of).collect();
        places.sort_by(|a, b| {
            let place = |s: &Strong| (s.signal, s.middle);
            b.energy.total_cmp(&a.energy).then(place(a).cmp(&place(b)))
        });
        places
    }

    /// The events of these atoms.
    fn events(&self, filters: &Filters) -> Round {
        let of = |x: &Stretch| detected(filters, x, self.rule);
        let events: Vec<_> = self.stretches.par_iter().map(of).collect();
        let least = f64::from(self.rule.least);
        let of = |(events, residual): &(Vec<Found>, Vec<f32>)| {
            let squares: f64 = residual.iter().map(|v| f64::from(v * v)).sum();
            0.5 * squares + 0.5 * least * least * events.len() as f64
        };
        let objective = events.iter().map(of).sum();
        Round { events, objective }
    }

    /// The atoms after one round, and the objective of those before it.
    fn round(&self, filters: &Filters, number: usize, renew: bool) -> (Filters, f64) {
        let Round { events, objective } = self.events(filters);
        let margin = margin(self.taps);
        let wide = self.taps + 2 * margin;
        let mut sums = vec![vec![0.0f32; self.channels * wide]; filters.atoms()];
        let mut used = vec![(0usize, 0.0f64); filters.atoms()];
        for (events, residual) in &events {
            let samples = residual.len() / self.channels;
            for Found { start, atom, amplitude } in events {
                used[*atom].0 += 1;
                used[*atom].1 += f64::from(amplitude * amplitude);
                // Its own part of the signal, with what is left there and around.
                let rows = sums[*atom].chunks_exact_mut(wide).zip(residual.chunks_exact(samples));
                let rows = rows.zip(filters.atom(*atom).chunks_exact(self.taps));
                for ((sum, left), own) in rows {
                    let from = start.saturating_sub(margin);
                    let left = &left[from..(start + self.taps + margin).min(samples)];
                    let around = sum[from + margin - start..].iter_mut().zip(left);
                    around.for_each(|(sum, left)| *sum += amplitude * left);
                    let own = sum[margin..].iter_mut().zip(own);
                    own.for_each(|(sum, own)| *sum += amplitude * amplitude * own);
                }
            }
        }
        let mut atoms: Vec<Vec<f32>> = Vec::with_capacity(filters.atoms());
        for (j, sum) in sums.into_iter().enumerate() {
            let atom = placed(&sum, self.channels, self.taps, used[j].1);
            let atom = self.form.of(atom, self.channels, used[j].0);
            atoms.push(unit(atom).unwrap_or_else(|| filters.atom(j).to_vec()));
        }
        if renew {
            self.renew(&mut atoms, &used, &events, number);
        }
        (Filters::new(atoms.concat(), self.channels, self.taps), objective)
    }

    /// Starts atoms again that are not used or copies of one with more energy.
    fn renew(
        &self,
        atoms: &mut [Vec<f32>],
        used: &[(usize, f64)],
        events: &[(Vec<Found>, Vec<f32>)],
        number: usize,
    ) {
        let idle: Vec<usize> = (0..atoms.len())
            .filter(|j| used[*j].0 < FEW || self.is_copy(atoms, used, *j))
            .collect();
        if idle.is_empty() {
            return;
        }
        let residuals: Vec<Stretch> = events.iter().map(|(_, residual)| residual.clone()).collect();
        let places = thinned(self.strongest(&residuals), SNIPPETS[0] * idle.len());
        let snippets = Snippets::cut(&residuals, &places, self.channels, self.taps);
        let mut rng = step_rng(self.seed, Stream::Start, (1 << 20) + number as u64);
        let new = snippets.clusters(idle.len(), self.rule.signed, &mut rng);
        for (j, atom) in idle.into_iter().zip(new) {
            atoms[j] = atom;
        }
    }

    /// Whether an atom is like another one at some shift that has more energy.
    fn is_copy(&self, atoms: &[Vec<f32>], used: &[(usize, f64)], j: usize) -> bool {
        let signed = self.rule.signed;
        (0..atoms.len()).filter(|i| *i != j).any(|i| {
            let more = (used[i].1, i) > (used[j].1, j);
            let like =
                pudle_data::Waveforms::similarity(&atoms[i], &atoms[j], self.channels, signed);
            more && like.0.abs() > COPIES
        })
    }
}

/// The parts of a stretch between gaps, which are NaN in some channel, of at least so many samples.
fn without_gaps(stretch: Stretch, channels: usize, least: usize) -> Vec<Stretch> {
    if !stretch.iter().any(|value| value.is_nan()) {
        return vec![stretch];
    }
    let samples = stretch.len() / channels;
    let is_gap = |t: usize| stretch[t..].iter().step_by(samples).any(|value| value.is_nan());
    let (mut parts, mut first) = (Vec::new(), 0);
    for t in 0..=samples {
        if t < samples && !is_gap(t) {
            continue;
        }
        if t - first >= least {
            let rows = stretch.chunks_exact(samples);
            parts.push(rows.flat_map(|row| &row[first..t]).copied().collect());
        }
        first = t + 1;
    }
    parts
}

/// At most so many of these places, evenly from the strongest to the weakest. The strongest alone would all be of the same waveforms,
/// where waveforms differ in size.
fn thinned(places: Vec<Strong>, most: usize) -> Vec<Strong> {
    let count = places.len();
    match count <= most {
        true => places,
        false => (0..most).map(|k| places[k * count / most]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_cut_at_gaps() {
        let nan = f32::NAN;
        let stretch = vec![1.0, 2.0, nan, 4.0, 5.0, 6.0, 1.5, 2.5, 3.5, 4.5, 5.5, nan];
        let parts = without_gaps(stretch.clone(), 2, 2);
        assert_eq!(parts, [vec![1.0, 2.0, 1.5, 2.5], vec![4.0, 5.0, 4.5, 5.5]]);
        assert!(without_gaps(stretch, 2, 3).is_empty());
        assert_eq!(without_gaps(vec![1.0; 4], 2, 3), [vec![1.0; 4]]);
    }
}
