//! Data drawn from a known dictionary.

use pudle_core::{ConvConfig, DictionaryConfig, RangeError};
use serde::{Deserialize, Serialize};

use super::fit;
use super::settings::{OpenOptions, Opened, SourceSettings};
use crate::amplitude::{Amplitude, AmplitudeFields};
use crate::error::{Result, check_count, check_real};
use crate::sparse_coding::{SparseCoding, SparseCodingConfig};
use crate::sparse_signals::{SparseSignals, SparseSignalsConfig};

/// Draws `x = D* z* + noise` from a dictionary of the model's shape: vectors for a `dense` dictionary, signals for a
/// `conv1d` dictionary.
///
/// | name | default | purpose | range |
/// | --- | --- | --- | --- |
/// | `sparsity` | — | non-zeros of a code, `s` | 1 to the entries of a code |
/// | `count` | — | number of different data | 1 to 10⁷, at least `training.batch` |
/// | `length` | none | samples of a signal | required for `conv1d`: size of the filters plus a multiple of the stride; not allowed for `dense` |
/// | `amplitude` | — | distribution of the non-zeros | see [`Amplitude`] |
/// | `noise` | — | standard deviation of the noise, on the scale of `x` | 0 to 10⁶ |
///
/// The code of a vector has an entry per atom; that of a signal has one per filter and position, so that `s` is the
/// number of occurrences of filters in a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseCodingSettings {
    /// Non-zeros of a code, `s`.
    pub sparsity: usize,
    /// Number of different data.
    pub count: usize,
    /// Samples of a signal in each channel; for a `conv1d` dictionary only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Distribution of the non-zeros.
    pub amplitude: Amplitude,
    /// Standard deviation of the noise in `x`.
    pub noise: f32,
}

impl SparseCodingSettings {
    fn signals_fit(&self, filters: &ConvConfig) -> Result<(), RangeError> {
        let Some(length) = self.length else {
            let range = "given, as a number of samples, for signals";
            return Err(RangeError::new("data.length", "missing", range));
        };
        check_count("data.length", length, filters.size, 1 << 24)?;
        let positions = (length - filters.size) / filters.stride + 1;
        if let rest @ 1.. = (length - filters.size) % filters.stride {
            let (below, above) = (length - rest, length - rest + filters.stride);
            let range = format!(
                "`size` plus a multiple of `stride`, {below} or {above}, or no filter reaches the last samples"
            );
            return Err(RangeError::new("data.length", length, range));
        }
        let entries = filters.atoms.saturating_mul(positions);
        check_count("data.sparsity", self.sparsity, 1, entries)
    }
}

impl SourceSettings for SparseCodingSettings {
    fn validate(&self) -> Result<(), RangeError> {
        check_count("data.sparsity", self.sparsity, 1, usize::MAX)?;
        fit::check_data_count(self.count)?;
        check_real("data.noise", self.noise, 0.0, 1e6)?;
        self.amplitude.check(&AmplitudeFields {
            low: "data.amplitude.low",
            high: "data.amplitude.high",
            mean: "data.amplitude.mean",
            sd: "data.amplitude.sd",
        })
    }

    fn fits(&self, dictionary: &DictionaryConfig) -> Result<(), RangeError> {
        match (dictionary, self.length) {
            (DictionaryConfig::Dense(_), Some(length)) => {
                Err(RangeError::new("data.length", length, "left out for a dense dictionary"))
            }
            (DictionaryConfig::Dense(dense), None) => {
                check_count("data.sparsity", self.sparsity, 1, dense.atoms)
            }
            (DictionaryConfig::Conv1d(filters), _) => self.signals_fit(filters),
            (other, _) => Err(fit::other_kind(other, "dense or conv1d for sparse-coding draws")),
        }
    }

    fn values_per_datum(&self, dictionary: &DictionaryConfig) -> usize {
        match dictionary {
            DictionaryConfig::Dense(dense) => dense.dim,
            DictionaryConfig::Conv1d(filters) => {
                filters.channels.saturating_mul(self.length.unwrap_or(1))
            }
            _ => 1,
        }
    }

    fn open(&self, options: &OpenOptions<'_>) -> Result<Opened> {
        let OpenOptions { batch, seed, ref dictionary, .. } = *options;
        let Self { sparsity, count, amplitude, noise: noise_sd, .. } = *self;
        let (opened, known) = match (dictionary, self.length) {
            (DictionaryConfig::Conv1d(filters), Some(length)) => {
                let filters = *filters;
                let draws = SparseSignals::new(SparseSignalsConfig {
                    filters,
                    length,
                    sparsity,
                    count,
                    batch,
                    amplitude,
                    noise_sd,
                    seed,
                })?;
                let known = draws.known_dictionary().clone();
                (Opened::new(draws), known)
            }
            _ => {
                let dense = fit::dense(dictionary, "sparse-coding draws")?;
                let draws = SparseCoding::new(SparseCodingConfig {
                    dim: dense.dim,
                    atoms: dense.atoms,
                    sparsity,
                    count,
                    batch,
                    amplitude,
                    noise_sd,
                    seed,
                })?;
                let known = draws.known_dictionary().clone();
                (Opened::new(draws), known)
            }
        };
        Ok(Opened { dictionary: Some(known), ..opened })
    }

    fn has_dictionary(&self) -> bool {
        true
    }
}
