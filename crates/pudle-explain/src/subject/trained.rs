//! Codes of the samples that a model of filters along signals was trained on.

use pudle_train::Filters;

use crate::codes::SparseCodes;
use crate::data::Source;

/// The codes of the training data, by trial and place.
#[derive(Debug)]
pub(crate) struct TrainedCodes {
    pub codes: SparseCodes,
    pub sources: Vec<Source>,
}

impl TrainedCodes {
    /// `D z` over `length` samples of a trial from `first` on, `[C, length]`.
    pub fn explained(
        &self,
        filters: &Filters,
        trial: u32,
        first: isize,
        length: usize,
    ) -> Vec<f32> {
        let place = |source: &Source| (source.item, source.column as isize);
        let from = (trial, first - filters.taps() as isize);
        let to = (trial, first + length as isize);
        let from = self.sources.partition_point(|source| place(source) <= from);
        let to = self.sources.partition_point(|source| place(source) < to);
        let mut out = vec![0.0; filters.channels() * length];
        for k in from..to {
            let shift = self.sources[k].column as isize - first;
            self.add(filters, k, &mut out, shift, &vec![1.0; filters.channels()]);
        }
        out
    }

    /// Adds `D z_k`, times a factor for each channel, to a signal `[C, n]` from sample `shift` on. What is beyond its ends is left
    /// out.
    pub fn add(
        &self,
        filters: &Filters,
        k: usize,
        signal: &mut [f32],
        shift: isize,
        factors: &[f32],
    ) {
        let samples = signal.len() / filters.channels();
        for (j, value) in self.codes.row(k).iter() {
            let atoms = filters.atom(j).chunks_exact(filters.taps()).zip(factors);
            for (row, (atom, factor)) in signal.chunks_exact_mut(samples).zip(atoms) {
                for (s, d) in atom.iter().enumerate() {
                    let sample = usize::try_from(shift + s as isize).ok();
                    if let Some(sample) = sample.and_then(|sample| row.get_mut(sample)) {
                        *sample += factor * value * d;
                    }
                }
            }
        }
    }
}
