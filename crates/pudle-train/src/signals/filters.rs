//! Atoms along a signal, and their correlations.

use pudle_core::{AnyPudle, DictionaryConfig};
use pudle_data::Waveforms;

/// Two events of one atom are one if they are closer than the lag at which its autocorrelation falls below this.
const ONE: f32 = 0.5;

/// Atoms `[p, C, k]` of unit norm, with their correlations at all lags.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    values: Vec<f32>,
    atoms: usize,
    channels: usize,
    taps: usize,
    /// `Σ d_i[s] d_j[s + δ]` over samples and channels, `[i, j, 2k − 1]`, from lag `−(k − 1)` on.
    gram: Vec<f32>,
}

impl Filters {
    /// The atoms of a model; `None` if they are not filters along signals at every sample.
    pub fn of_model(model: &AnyPudle) -> Option<Self> {
        match model.config().dictionary {
            DictionaryConfig::Conv1d(filters) if filters.stride == 1 => {
                Some(Self::new(model.atoms(), filters.channels, filters.size))
            }
            _ => None,
        }
    }

    /// Atoms `[p, C, k]`, one after the other.
    ///
    /// # Panics
    /// Panics if the numbers are no whole number of atoms.
    pub fn new(values: Vec<f32>, channels: usize, taps: usize) -> Self {
        let size = channels * taps;
        assert!(values.len().is_multiple_of(size), "whole atoms of {size} numbers");
        let atoms = values.len() / size;
        let reach = 2 * taps - 1;
        let mut gram = vec![0.0; atoms * atoms * reach];
        for (pair, row) in gram.chunks_exact_mut(reach).enumerate() {
            let [a, b] = [pair / atoms, pair % atoms].map(|j| &values[j * size..][..size]);
            for (a, b) in a.chunks_exact(taps).zip(b.chunks_exact(taps)) {
                for (s, a) in a.iter().enumerate() {
                    let row = row[taps - 1 - s..].iter_mut().zip(b);
                    row.for_each(|(sum, b)| *sum += a * b);
                }
            }
        }
        Self { values, atoms, channels, taps, gram }
    }

    /// Number of atoms.
    pub fn atoms(&self) -> usize {
        self.atoms
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of an atom.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// All numbers, `[p, C, k]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Atom `j`, `[C, k]`.
    pub fn atom(&self, j: usize) -> &[f32] {
        let size = self.channels * self.taps;
        &self.values[j * size..][..size]
    }

    /// The correlations of atoms `i` and `j`, from lag `−(k − 1)` to `k − 1`.
    pub(super) fn correlations(&self, i: usize, j: usize) -> &[f32] {
        let reach = 2 * self.taps - 1;
        &self.gram[(i * self.atoms + j) * reach..][..reach]
    }

    /// The inner product of atoms `i` at 0 and `j` at `lag`; 0 where they do not overlap.
    pub(super) fn overlap(&self, i: usize, j: usize, lag: isize) -> f32 {
        // Atom j at `lag` has its sample s − lag where atom i has s.
        let place = self.taps as isize - 1 - lag;
        usize::try_from(place)
            .ok()
            .and_then(|k| self.correlations(i, j).get(k))
            .copied()
            .unwrap_or(0.0)
    }

    /// Two events of atom `j` that are closer than so many samples are one.
    pub(super) fn radius(&self, j: usize) -> usize {
        let own = self.overlap(j, j, 0);
        let below = (1..self.taps).find(|lag| self.overlap(j, j, *lag as isize) < ONE * own);
        below.unwrap_or(self.taps).max(2)
    }

    /// The autocorrelation of atom `j` at a lag of one sample, for a norm of 1.
    pub(super) fn smoothness(&self, j: usize) -> f32 {
        self.overlap(j, j, 1) / self.overlap(j, j, 0).max(f32::MIN_POSITIVE)
    }

    /// The atoms in units of the recording, where each channel was divided by `scale`.
    pub fn unscaled(&self, scale: &[f32]) -> Waveforms {
        let size = self.channels * self.taps;
        let channel = |k: usize| k % size / self.taps;
        let values = self.values.iter().enumerate().map(|(k, v)| v * scale[channel(k)]).collect();
        Waveforms { values, shape: [self.atoms, self.channels, self.taps] }
    }

    /// Adds atom `j`, times `factor`, to a signal `[C, n]` from sample `start` on.
    pub(super) fn add(&self, signal: &mut [f32], j: usize, start: usize, factor: f32) {
        let samples = signal.len() / self.channels;
        let rows = signal.chunks_exact_mut(samples).zip(self.atom(j).chunks_exact(self.taps));
        for (row, atom) in rows {
            let row = row[start..start + self.taps].iter_mut().zip(atom);
            row.for_each(|(sample, value)| *sample += factor * value);
        }
    }

    /// The inner product of a signal `[C, n]`, from sample `start` on, with atom `j`.
    pub(super) fn product(&self, signal: &[f32], j: usize, start: usize) -> f32 {
        let samples = signal.len() / self.channels;
        let rows = signal.chunks_exact(samples).zip(self.atom(j).chunks_exact(self.taps));
        rows.map(|(row, atom)| inner(&row[start..start + self.taps], atom)).sum()
    }

    /// The inner products of a signal `[C, n]` with every atom at every position, `[p, n − k + 1]`.
    pub(super) fn analysis(&self, signal: &[f32]) -> Vec<f32> {
        let samples = signal.len() / self.channels;
        let positions = samples + 1 - self.taps;
        let mut products = vec![0.0; self.atoms * positions];
        for (j, products) in products.chunks_exact_mut(positions).enumerate() {
            for (row, atom) in
                signal.chunks_exact(samples).zip(self.atom(j).chunks_exact(self.taps))
            {
                // Blocks that stay in the cache for all samples of the atom.
                for (k, products) in products.chunks_mut(2048).enumerate() {
                    for (s, value) in atom.iter().enumerate() {
                        let row = &row[k * 2048 + s..][..products.len()];
                        products.iter_mut().zip(row).for_each(|(sum, x)| *sum += value * x);
                    }
                }
            }
        }
        products
    }
}

/// `⟨a, b⟩`, in eight sums side by side.
fn inner(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.0.iter().zip(b.0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
