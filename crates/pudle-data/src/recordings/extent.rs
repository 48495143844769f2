//! Lengths along time, in samples or seconds.

use std::fmt;
use std::str::FromStr;

use pudle_core::RangeError;

/// A length along time: a number of samples, or a time that a sampling rate turns into samples.
///
/// ```
/// use pudle_data::Extent;
/// let length: Extent = "2ms".parse()?;
/// assert_eq!(length.samples(Some(30_000.0)).unwrap(), 60);
/// assert_eq!("60".parse::<Extent>()?.samples(None).unwrap(), 60);
/// assert!(length.samples(None).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// A number of samples, at least 1.
    Samples(usize),
    /// Seconds, above 0.
    Seconds(f64),
}

/// Units of time, and seconds in one. Longer names come first.
const UNITS: [(&str, f64); 5] =
    [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("min", 60.0), ("s", 1.0)];

impl Extent {
    /// The number of samples at a sampling rate in Hz, rounded, at least 1.
    ///
    /// # Errors
    /// Returns an error if it is a time and the rate is not known.
    pub fn samples(self, rate: Option<f64>) -> Result<usize, RangeError> {
        match (self, rate) {
            (Self::Samples(count), _) => Ok(count),
            (Self::Seconds(time), Some(rate)) => Ok(((time * rate).round() as usize).max(1)),
            (Self::Seconds(_), None) => {
                let range = "a number of samples where the sampling rate is not known";
                Err(RangeError::new("length", self, range))
            }
        }
    }
}

/// Checks a sampling rate in Hz.
pub(crate) fn check_rate(field: &'static str, rate: f64) -> Result<(), RangeError> {
    match rate > 0.0 && rate.is_finite() {
        true => Ok(()),
        false => Err(RangeError::new(field, rate, "a number above 0, in Hz")),
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(count) => write!(f, "{count} samples"),
            Self::Seconds(time) if *time < 0.5 => write!(f, "{} ms", time * 1e3),
            Self::Seconds(time) => write!(f, "{time} s"),
        }
    }
}

impl FromStr for Extent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a length such as 2ms, 0.5s or 60 (samples)");
        let trimmed = text.trim();
        let unit = UNITS.iter().find_map(|(name, unit)| Some((trimmed.strip_suffix(name)?, *unit)));
        match unit {
            Some((number, unit)) => {
                let time: f64 = number.trim().parse().map_err(|_| wrong())?;
                let time = time * unit;
                (time > 0.0 && time.is_finite()).then_some(Self::Seconds(time)).ok_or_else(wrong)
            }
            None => {
                let count = trimmed.parse().ok().filter(|count| *count > 0);
                count.map(Self::Samples).ok_or_else(wrong)
            }
        }
    }
}
