//! Signals that are sparse combinations of known filters.

use pudle_core::ConvConfig;
use rand::seq::index;

use crate::amplitude::{Amplitude, AmplitudeFields, sign};
use crate::draws::Draws;
use crate::error::{DataError, Result, check_count, check_real};
use crate::known_dictionary::KnownDictionary;
use crate::noise::add_noise;
use crate::rng::{Stream, step_rng};
use crate::source::{Batch, Source};

/// The settings of [`SparseSignals`].
#[derive(Clone, Debug, PartialEq)]
pub struct SparseSignalsConfig {
    /// Number `p` of filters, channels `C`, length `k` of a filter and stride, each at least 1; at most 2²⁸ weights.
    pub filters: ConvConfig,
    /// Samples of a signal in each channel: `k` plus a multiple of the stride. C times this is at most 2²⁴.
    pub length: usize,
    /// s, the number of occurrences of filters in each signal, 1 to p times the [positions](Self::positions).
    pub sparsity: usize,
    /// n, the number of distinct signals, at least 1.
    pub count: usize,
    /// Signals per batch, 1 to n; n gives all signals, in order, at every step. A batch has at most 2³¹ values.
    pub batch: usize,
    /// Distribution of the non-zeros of a code.
    pub amplitude: Amplitude,
    /// Standard deviation of Gaussian noise added to the signal, 0 to 10⁶, on the scale of `x`.
    pub noise_sd: f32,
    /// Seed of filters, signals and order.
    pub seed: u64,
}

impl SparseSignalsConfig {
    /// Number of positions at which a filter can occur: every `stride` samples, completely within the signal.
    pub fn positions(&self) -> usize {
        let ConvConfig { size, stride, .. } = self.filters;
        self.length.checked_sub(size).map_or(0, |rest| rest / stride.max(1) + 1)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub fn validate(&self) -> Result<()> {
        let ConvConfig { atoms, channels, size, stride } = self.filters;
        check_count("filters.atoms", atoms, 1, 1 << 16)?;
        check_count("filters.channels", channels, 1, 1 << 16)?;
        check_count("filters.size", size, 1, 1 << 24)?;
        check_count("filters.stride", stride, 1, size)?;
        let weights = atoms.saturating_mul(channels).saturating_mul(size);
        check_count("atoms times channels times size", weights, 1, 1 << 28)?;
        check_count("length", self.length, size, 1 << 24)?;
        if let rest @ 1.. = (self.length - size) % stride {
            let lower = self.length - rest;
            let range = format!("size plus a multiple of stride, {lower} or {}", lower + stride);
            return Err(DataError::range("length", self.length, range));
        }
        let values = self.length.saturating_mul(channels);
        check_count("channels times length", values, 1, 1 << 24)?;
        let entries = atoms.saturating_mul(self.positions());
        check_count("sparsity", self.sparsity, 1, entries)?;
        check_count("count", self.count, 1, usize::MAX)?;
        check_count("batch", self.batch, 1, self.count)?;
        let values = self.batch.saturating_mul(values);
        check_count("batch times channels times length", values, 1, 1 << 31)?;
        check_real("noise_sd", self.noise_sd, 0.0, 1e6)?;
        self.amplitude.check(&AmplitudeFields {
            low: "amplitude.low",
            high: "amplitude.high",
            mean: "amplitude.mean",
            sd: "amplitude.sd",
        })?;
        Ok(())
    }
}

/// Signals `x = D* z + noise` of a known bank of filters and codes `z` with exactly `s` non-zeros.
///
/// `D*` adds filter `j`, times `z[j, t]`, to the samples from `t · stride` on, in all channels. The filters, `[p, C, k]`,
/// are standard normal, scaled to unit norm. The support of a code is uniform among all sets of `s` pairs of filter and
/// position, so that occurrences may overlap. Signal `i` is a function of the settings and `i` alone.
///
/// As a [`Source`] it gives `[batch, C, length]` with the target equal to the input, in a new random order for every pass
/// over the signals, or all signals in order if `batch` equals their number.
#[derive(Debug)]
pub struct SparseSignals {
    config: SparseSignalsConfig,
    filters: KnownDictionary,
    draws: Draws,
}

impl SparseSignals {
    /// Draws the filters. Signals are drawn when they are asked for.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: SparseSignalsConfig) -> Result<Self> {
        config.validate()?;
        let ConvConfig { atoms, channels, size, .. } = config.filters;
        let filters = KnownDictionary::filters(atoms, channels, size, config.seed);
        let draws = Draws::new(config.count, config.batch, config.seed);
        Ok(Self { config, filters, draws })
    }

    /// The settings.
    pub fn config(&self) -> &SparseSignalsConfig {
        &self.config
    }

    /// The filters, `[p, C, k]`.
    pub fn known_dictionary(&self) -> &KnownDictionary {
        &self.filters
    }

    /// Signal `i`, `[C, length]`, and its code, `[p, positions]`, both row-major. `i` may exceed `count`.
    pub fn datum(&self, i: usize) -> (Vec<f32>, Vec<f32>) {
        let SparseSignalsConfig { length, sparsity, amplitude, noise_sd, seed, .. } = self.config;
        let ConvConfig { atoms, channels, size, stride } = self.config.filters;
        let positions = self.config.positions();
        let mut rng = step_rng(seed, Stream::Datum, i as u64);
        let mut x = vec![0.0; channels * length];
        let mut z = vec![0.0; atoms * positions];
        let common = sign(&mut rng);
        for entry in index::sample(&mut rng, atoms * positions, sparsity) {
            z[entry] = amplitude.draw(common, &mut rng);
            let (atom, start) = (entry / positions, entry % positions * stride);
            let filter = &self.filters.values()[atom * channels * size..][..channels * size];
            for (signal, filter) in x.chunks_exact_mut(length).zip(filter.chunks_exact(size)) {
                let reached = &mut signal[start..start + size];
                reached.iter_mut().zip(filter).for_each(|(x, d)| *x += d * z[entry]);
            }
        }
        add_noise(&mut x, noise_sd, &mut rng);
        (x, z)
    }
}

impl Source for SparseSignals {
    fn batch(&self, step: u64) -> Result<Batch> {
        let SparseSignalsConfig { filters, length, batch, .. } = self.config;
        let input = self.draws.batch(step, |i| self.datum(i).0);
        let shape = vec![batch, filters.channels, length];
        Ok(Batch { shape, target: input.clone(), input, noise: vec![], support: None })
    }

    fn describe(&self) -> String {
        let SparseSignalsConfig { filters, length, sparsity, count, noise_sd, .. } = self.config;
        let ConvConfig { atoms, channels, .. } = filters;
        format!(
            "{count} signals of {channels}×{length} samples, {sparsity} occurrences of {atoms} filters each, \
             noise {noise_sd}"
        )
    }
}

#[cfg(test)]
mod tests;
