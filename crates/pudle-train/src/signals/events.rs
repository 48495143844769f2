//! Events of a recording.

use super::filters::Filters;
use crate::error::{Result, TrainError};

/// An atom at a time of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Number of the trial, from 0.
    pub trial: usize,
    /// First sample of the atom.
    pub start: usize,
    /// Number of the atom, from 0.
    pub atom: usize,
    /// The code at this place without the bias of λ: the factor of the atom, which has unit norm, in standard deviations of
    /// the noise.
    pub size: f32,
    /// One minus the share of noise among the events of this atom of about this size, from 0 to 1.
    pub confidence: f32,
    /// Factor of the atom in each channel alone, if it was asked for.
    pub channels: Vec<f32>,
}

/// The events of a recording, with what is needed to say what they are.
#[derive(Clone, Debug)]
pub struct Events {
    /// The events, by trial and time.
    pub list: Vec<Event>,
    /// The atoms.
    pub filters: Filters,
    /// Level of each channel, which was subtracted.
    pub offset: Vec<f32>,
    /// Standard deviation of the noise of each channel, by which the recording was divided.
    pub scale: Vec<f32>,
    /// Sampling rate in Hz, if it is known.
    pub rate: Option<f64>,
    /// Samples of all trials together.
    pub samples: usize,
}

impl Events {
    /// The channel and the sample at which an atom is largest, in units of the recording, and its value there.
    pub fn peak(&self, atom: usize) -> (usize, usize, f32) {
        let taps = self.filters.taps();
        let mut peak = (0, 0, 0.0f32);
        for (channel, row) in self.filters.atom(atom).chunks_exact(taps).enumerate() {
            for (sample, value) in row.iter().enumerate() {
                let value = value * self.scale[channel];
                if value.abs() > peak.2.abs() {
                    peak = (channel, sample, value);
                }
            }
        }
        peak
    }

    /// The height of an event at its largest sample, in units of the recording.
    pub fn amplitude(&self, event: &Event) -> f32 {
        event.size * self.peak(event.atom).2.abs()
    }

    /// Seconds of all trials together, if the rate is known.
    pub fn seconds(&self) -> Option<f64> {
        Some(self.samples as f64 / self.rate?)
    }

    /// Without events that are smaller than this share, from 0 to 1, of what is usual for their atom: the upper quartile of its
    /// sizes. They may be of another waveform, which has no atom.
    ///
    /// # Errors
    /// Returns an error if the share is out of its range.
    pub fn of_usual_size(mut self, share: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(TrainError::range("least size", share, "from 0 to 1"));
        }
        for atom in 0..self.filters.atoms() {
            let own = self.list.iter().filter(|event| event.atom == atom);
            let mut sizes: Vec<f32> = own.map(|event| event.size.abs()).collect();
            sizes.sort_by(f32::total_cmp);
            let usual = sizes.get(sizes.len() * 3 / 4).copied().unwrap_or(0.0);
            self.list.retain(|event| event.atom != atom || event.size.abs() >= share * usual);
        }
        Ok(self)
    }

    /// Number of events of each atom.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.filters.atoms()];
        self.list.iter().for_each(|event| counts[event.atom] += 1);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_far_below_the_usual_size_are_left_out() {
        let event = |atom: usize, size: f32| Event {
            trial: 0,
            start: 0,
            atom,
            size,
            confidence: 1.0,
            channels: Vec::new(),
        };
        let list = [10.0, 11.0, 4.0, 9.0, -12.0].map(|size| event(0, size));
        let events = Events {
            list: [&list[..], &[event(1, 2.0)]].concat(),
            filters: Filters::new(vec![0.6, 0.8, 1.0, 0.0], 1, 2),
            offset: vec![0.0],
            scale: vec![1.0],
            rate: None,
            samples: 100,
        };
        assert_eq!(events.clone().of_usual_size(0.0).unwrap().counts(), [5, 1]);
        assert_eq!(events.clone().of_usual_size(0.5).unwrap().counts(), [4, 1]);
        assert!(events.of_usual_size(1.5).unwrap_err().to_string().contains("1.5"));
    }
}
