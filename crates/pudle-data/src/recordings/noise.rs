//! The level and the noise of channels.

use super::recording::Recording;
use crate::error::{DataError, Result};
use crate::matrix::Missing;

/// Stretches of a recording from which levels are measured, and their samples.
const STRETCHES: usize = 64;
const STRETCH: usize = 4096;
/// Most numbers that are held for it.
const MOST_NUMBERS: usize = 1 << 24;
/// The median of `|x|` of a standard normal x is the inverse of this.
const NORMAL: f32 = 1.4826;

/// The level of a channel between events, and its noise there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelNoise {
    /// The median.
    pub level: f32,
    /// Standard deviation of the noise: 1.4826 times the median distance from the median, which rare events hardly change.
    /// Where more than half of the samples are the same, it is the standard deviation of all.
    pub deviation: f32,
}

impl ChannelNoise {
    /// Measures every channel on 64 stretches of 4,096 samples, which are spread evenly over all trials.
    ///
    /// # Errors
    /// Returns an error if samples cannot be read, or if a channel has the same value everywhere.
    pub fn measure(recording: &Recording) -> Result<Vec<Self>> {
        Self::measure_with(recording, Missing::Error)
    }

    /// Does the same as [`measure`](Self::measure), with this meaning of numbers that are NaN: gaps, which are left out, if it is
    /// [`Missing::Nan`].
    ///
    /// # Errors
    /// Returns the errors of [`measure`](Self::measure), and an error for a channel that is a gap everywhere.
    pub fn measure_with(recording: &Recording, missing: Missing) -> Result<Vec<Self>> {
        let (trials, channels) = (recording.trials(), recording.channels());
        let length = STRETCH.min(recording.samples());
        let room = recording.samples() - length;
        let whole = trials * (recording.samples() / length).max(1);
        let stretches = STRETCHES.min(whole).min((MOST_NUMBERS / (length * channels)).max(1));
        let mut values = vec![Vec::with_capacity(stretches * length); channels];
        let mut stretch = vec![0.0; length * channels];
        for k in 0..stretches {
            // The middle of the k-th part of the time of all trials.
            let place = (k as f64 + 0.5) / stretches as f64 * trials as f64;
            let trial = (place as usize).min(trials - 1);
            let first = ((place - trial as f64) * room as f64) as usize;
            recording.read_with(missing, trial, first.min(room), &mut stretch)?;
            for (values, samples) in values.iter_mut().zip(stretch.chunks_exact(length)) {
                values.extend(samples.iter().filter(|value| !value.is_nan()));
            }
        }
        values.into_iter().enumerate().map(|(k, values)| Self::of(recording, k, values)).collect()
    }

    fn of(recording: &Recording, channel: usize, mut values: Vec<f32>) -> Result<Self> {
        if values.is_empty() {
            let reason = format!("channel {channel} (from 0) is a gap wherever it was looked at");
            return Err(DataError::format(recording.path(), reason));
        }
        let level = median(&mut values);
        let count = values.len() as f64;
        let squares: f64 = values.iter().map(|v| f64::from(*v - level).powi(2)).sum();
        values.iter_mut().for_each(|value| *value = (*value - level).abs());
        let robust = NORMAL * median(&mut values);
        let deviation = if robust > 0.0 { robust } else { (squares / count).sqrt() as f32 };
        match deviation > 0.0 && deviation.is_finite() {
            true => Ok(Self { level, deviation }),
            false => {
                let reason = format!(
                    "channel {channel} (from 0) has the value {level} everywhere, so that it tells nothing; leave it out"
                );
                Err(DataError::format(recording.path(), reason))
            }
        }
    }
}

/// The median of some numbers, whose order changes.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
