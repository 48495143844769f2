//! The order of the data.

use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;

use crate::rng::{Stream, step_rng};

/// A new seeded permutation for every pass over `len` data.
#[derive(Debug)]
pub(crate) struct Order {
    seed: u64,
    len: usize,
    /// The latest pass and its permutation. Steps mostly follow one another, so that this is
    /// computed once per pass.
    latest: Mutex<Option<(u64, Arc<[usize]>)>>,
}

impl Order {
    /// `len` must not be 0.
    pub(crate) fn new(seed: u64, len: usize) -> Self {
        Self { seed, len, latest: Mutex::default() }
    }

    /// Number of data.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// For every sample of step `step`: its number over all steps, and the number of its datum.
    pub(crate) fn batch(&self, step: u64, batch: usize) -> Vec<(u64, usize)> {
        // This wraps after 2^64 samples only.
        let first = step.wrapping_mul(batch as u64);
        let numbers = (0..batch as u64).map(|i| first.wrapping_add(i));
        numbers.map(|number| (number, self.datum(number))).collect()
    }

    fn datum(&self, number: u64) -> usize {
        let pass = number / self.len as u64;
        let place = (number % self.len as u64) as usize;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, order)) = &*latest
            && *known == pass
        {
            return order[place];
        }
        let mut order: Vec<usize> = (0..self.len).collect();
        order.shuffle(&mut step_rng(self.seed, Stream::Order, pass));
        let datum = order[place];
        *latest = Some((pass, order.into()));
        datum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_is_a_permutation_of_its_own() {
        let order = Order::new(3, 10);
        let data = |steps: std::ops::Range<u64>| -> Vec<usize> {
            steps.flat_map(|k| order.batch(k, 5)).map(|(_, i)| i).collect()
        };
        let (first, second) = (data(0..2), data(2..4));
        for pass in [&first, &second] {
            let mut sorted = pass.clone();
            sorted.sort();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(first, second);
        // Entered directly, or with batches that straddle passes, it is the same order.
        assert_eq!(Order::new(3, 10).batch(1, 15)[..5], order.batch(3, 5));
        assert_ne!(Order::new(4, 10).batch(0, 10), order.batch(0, 10));
    }
}
