//! Recordings in arrays.

use std::path::Path;

use super::signal::Signal;
use crate::error::{DataError, Result};
use crate::matrix::array::{Array, shown};

/// An array `[trials, channels, time]`, or `[trials, time, channels]`.
#[derive(Debug)]
pub(super) struct ArraySignal {
    array: Array,
    channels: usize,
    samples: usize,
    time_first: bool,
}

impl ArraySignal {
    /// A recording of one to three axes, and its shape: trials, channels and samples. With `time_first`, time comes before
    /// channels.
    pub fn new(array: Array, time_first: bool) -> Result<(Self, [usize; 3])> {
        let wrong = |what: &str| {
            let reason = format!("holds an array of {}, {what}", shown(&array.shape));
            Err(DataError::format(&array.path, reason))
        };
        if array.shape.contains(&0) {
            return wrong("which is empty");
        }
        // A matrix in Fortran order is its transpose in C order.
        let mut time_first = time_first;
        let (trials, [first, second]) = match array.shape[..] {
            [samples] => (1, if time_first { [samples, 1] } else { [1, samples] }),
            [a, b] if array.fortran => {
                time_first = !time_first;
                (1, [b, a])
            }
            [a, b] => (1, [a, b]),
            [_, _, _] if array.fortran => {
                return wrong("in Fortran order, which only matrices can have here");
            }
            [trials, a, b] => (trials, [a, b]),
            _ => {
                return wrong(
                    "but a recording has the axes time, or channels and time, or trials, channels and time",
                );
            }
        };
        let [channels, samples] = if time_first { [second, first] } else { [first, second] };
        Ok((Self { array, channels, samples, time_first }, [trials, channels, samples]))
    }
}

impl Signal for ArraySignal {
    fn read(&self, trial: usize, first: usize, out: &mut [f32]) -> Result<()> {
        let (channels, samples) = (self.channels, self.samples);
        let count = out.len() / channels;
        if self.time_first {
            let mut frames = vec![0.0; out.len()];
            let start = (trial * samples + first) * channels;
            self.array.read_numbers(start as u64, &mut frames)?;
            deinterleave(&frames, channels, out);
            return Ok(());
        }
        for (channel, row) in out.chunks_exact_mut(count).enumerate() {
            let start = (trial * channels + channel) * samples + first;
            self.array.read_numbers(start as u64, row)?;
        }
        Ok(())
    }

    fn path(&self) -> &Path {
        &self.array.path
    }
}

/// Turns frames `[time, channels]` into `[channels, time]`.
pub(super) fn deinterleave(frames: &[f32], channels: usize, out: &mut [f32]) {
    let count = frames.len() / channels;
    for (channel, row) in out.chunks_exact_mut(count.max(1)).enumerate() {
        let values = frames[channel..].iter().step_by(channels);
        row.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
    }
}
