//! Events and waveforms against the truth.

use pudle_data::{TrueEvent, Waveforms};

use super::events::{Event, Events};

/// A true waveform and the atom that is most like it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaveformMatch {
    /// Number of the waveform.
    pub waveform: usize,
    /// Number of the atom.
    pub atom: usize,
    /// Their cosine, at the best shift.
    pub cosine: f32,
    /// Samples from the start of the waveform to that of the atom.
    pub lag: isize,
    /// Cosine of the weights of the channels: of the norms of waveform and atom in each channel.
    pub channels: f32,
}

/// How many of the true events were found, and how many of those found are true.
#[derive(Clone, Debug, PartialEq)]
pub struct EventScore {
    /// The waveforms with their atoms. An atom belongs to one waveform at most.
    pub waveforms: Vec<WaveformMatch>,
    /// Number of true events.
    pub truth: usize,
    /// Number of events found.
    pub found: usize,
    /// Number of pairs of a true event and one found, of a waveform and its atom, within the tolerance.
    pub hits: usize,
}

impl EventScore {
    /// Compares events of a recording of one trial with the truth. Waveforms and atoms are paired from the most similar pair on.
    /// A true event and one found of the same pair are a hit if they are at most `tolerance` samples apart, and each event is
    /// part of one hit at most.
    pub fn of(
        events: &Events,
        truth: &[TrueEvent],
        waveforms: &Waveforms,
        tolerance: usize,
    ) -> Self {
        let atoms = events.filters.unscaled(&events.scale);
        let pairs = matched(waveforms, &atoms);
        let mut hits = 0;
        for pair in &pairs {
            let of_truth = truth.iter().filter(|event| event.waveform == pair.waveform);
            let wanted: Vec<isize> =
                of_truth.map(|event| event.start as isize + pair.lag).collect();
            let of_atom = |event: &&Event| event.atom == pair.atom;
            let found: Vec<isize> =
                events.list.iter().filter(of_atom).map(|event| event.start as isize).collect();
            hits += common(wanted, found, tolerance as isize);
        }
        Self { waveforms: pairs, truth: truth.len(), found: events.list.len(), hits }
    }

    /// Hits among the events found; 1 if there are none.
    pub fn precision(&self) -> f64 {
        if self.found == 0 { 1.0 } else { self.hits as f64 / self.found as f64 }
    }

    /// Hits among the true events; 1 if there are none.
    pub fn recall(&self) -> f64 {
        if self.truth == 0 { 1.0 } else { self.hits as f64 / self.truth as f64 }
    }

    /// The smallest cosine of a waveform and its atom; 0 if a waveform has none.
    pub fn least_cosine(&self, waveforms: usize) -> f32 {
        if self.waveforms.len() < waveforms {
            return 0.0;
        }
        self.waveforms.iter().map(|pair| pair.cosine).fold(1.0, f32::min)
    }
}

/// Pairs of waveforms and atoms, from the most similar pair on.
fn matched(waveforms: &Waveforms, atoms: &Waveforms) -> Vec<WaveformMatch> {
    let channels = waveforms.shape[1];
    let mut pairs: Vec<WaveformMatch> = Vec::new();
    for waveform in 0..waveforms.count() {
        for atom in 0..atoms.count() {
            let (a, b) = (waveforms.waveform(waveform), atoms.waveform(atom));
            let (cosine, lag) = Waveforms::similarity(a, b, channels, false);
            let [a, b] = [norms(a, channels), norms(b, channels)];
            let channels = Waveforms::similarity(&a, &b, channels, false).0;
            pairs.push(WaveformMatch { waveform, atom, cosine, lag, channels });
        }
    }
    pairs.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    let mut chosen: Vec<WaveformMatch> = Vec::new();
    for pair in pairs {
        let free =
            |other: &WaveformMatch| other.waveform != pair.waveform && other.atom != pair.atom;
        if chosen.iter().all(free) {
            chosen.push(pair);
        }
    }
    chosen.sort_by_key(|pair| pair.waveform);
    chosen
}

/// The norm in each channel.
fn norms(waveform: &[f32], channels: usize) -> Vec<f32> {
    let length = waveform.len() / channels;
    let norm = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>().sqrt();
    waveform.chunks_exact(length).map(norm).collect()
}

/// The most pairs of numbers that differ by at most `tolerance`, each number in one pair.
fn common(mut a: Vec<isize>, mut b: Vec<isize>, tolerance: isize) -> usize {
    a.sort_unstable();
    b.sort_unstable();
    let (mut i, mut j, mut pairs) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i] - b[j] {
            apart if apart > tolerance => j += 1,
            apart if apart < -tolerance => i += 1,
            _ => (i, j, pairs) = (i + 1, j + 1, pairs + 1),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_once() {
        assert_eq!(common(vec![10, 20, 30], vec![12, 21, 35], 2), 2);
        assert_eq!(common(vec![10, 11], vec![10], 2), 1);
        assert_eq!(common(vec![], vec![3], 2), 0);
    }
}
