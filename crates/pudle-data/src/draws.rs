//! Batches of data that are drawn by number.

use std::sync::OnceLock;

use crate::order::Order;

/// Batches of `batch` of `count` data, in a new random order for every pass over them; or all data, in order, at every
/// step if `batch` equals `count`.
#[derive(Debug)]
pub(crate) struct Draws {
    count: usize,
    batch: usize,
    order: Order,
    /// All data, once a step has asked for all of them: every later step will, too.
    all: OnceLock<Vec<f32>>,
}

impl Draws {
    /// `count` must not be 0.
    pub(crate) fn new(count: usize, batch: usize, seed: u64) -> Self {
        Self { count, batch, order: Order::new(seed, count), all: OnceLock::new() }
    }

    /// The data of step `step`, one after the other; `datum(i)` draws datum `i`.
    pub(crate) fn batch(&self, step: u64, datum: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        if self.batch == self.count {
            return self.all.get_or_init(|| (0..self.count).flat_map(datum).collect()).clone();
        }
        self.order.batch(step, self.batch).into_iter().flat_map(|(_, i)| datum(i)).collect()
    }
}
