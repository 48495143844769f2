//! How large the non-zeros of a code are.

use pudle_core::RangeError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::error::check_real;

/// Largest magnitude that is accepted.
const LARGEST: f32 = 1e6;

/// Which non-zeros of a code share their sign. In a file: whether the sign is one per datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum SignRule {
    /// One random sign for all non-zeros of a datum.
    PerDatum,
    /// A random sign for every non-zero.
    PerEntry,
}

impl From<bool> for SignRule {
    fn from(per_datum: bool) -> Self {
        if per_datum { Self::PerDatum } else { Self::PerEntry }
    }
}

impl From<SignRule> for bool {
    fn from(rule: SignRule) -> Self {
        rule == SignRule::PerDatum
    }
}

/// Distribution of the non-zeros of a code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Amplitude {
    /// Uniform on `[low, high]`, times a random sign.
    Uniform {
        /// Smallest magnitude, 0 to `high`.
        low: f32,
        /// Largest magnitude, positive, up to 10⁶.
        high: f32,
        /// How signs are drawn.
        #[serde(rename = "sign_per_datum")]
        sign: SignRule,
    },
    /// Normal, times a random sign for every non-zero.
    Gaussian {
        /// Mean before the sign, -10⁶ to 10⁶.
        mean: f32,
        /// Standard deviation, 0 to 10⁶; positive for a mean of 0.
        sd: f32,
    },
}

/// What errors call the numbers of an [`Amplitude`].
pub(crate) struct AmplitudeFields {
    pub low: &'static str,
    pub high: &'static str,
    pub mean: &'static str,
    pub sd: &'static str,
}

impl Amplitude {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Returns an error for the first number that is out of its range.
    pub(crate) fn check(self, fields: &AmplitudeFields) -> Result<(), RangeError> {
        match self {
            Amplitude::Uniform { low, high, .. } => {
                // With both bounds 0, a code would have no non-zeros.
                check_real(fields.high, high, f32::MIN_POSITIVE, LARGEST)?;
                check_real(fields.low, low, 0.0, high)
            }
            Amplitude::Gaussian { mean, sd } => {
                check_real(fields.mean, mean, -LARGEST, LARGEST)?;
                check_real(fields.sd, sd, 0.0, LARGEST)?;
                if mean == 0.0 && sd == 0.0 {
                    return Err(RangeError::new(fields.sd, sd, "positive for a mean of 0"));
                }
                Ok(())
            }
        }
    }

    /// A non-zero. `common` is the sign that all non-zeros of the datum may share.
    pub(crate) fn draw(self, common: f32, rng: &mut ChaCha8Rng) -> f32 {
        match self {
            Amplitude::Uniform { low, high, sign: rule } => {
                let magnitude = rng.random_range(low..=high);
                match rule {
                    SignRule::PerDatum => common * magnitude,
                    SignRule::PerEntry => sign(rng) * magnitude,
                }
            }
            Amplitude::Gaussian { mean, sd } => {
                let draw: f32 = StandardNormal.sample(rng);
                sign(rng) * (mean + sd * draw)
            }
        }
    }
}

/// 1 or -1.
pub(crate) fn sign(rng: &mut ChaCha8Rng) -> f32 {
    if rng.random() { 1.0 } else { -1.0 }
}
