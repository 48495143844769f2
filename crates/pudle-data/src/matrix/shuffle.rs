//! Permutations that need no memory.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

const ROUNDS: usize = 6;

/// A permutation of `0..len`, computed place by place: a Feistel network over the next power of four, applied again until the
/// result is below `len` (Black & Rogaway, *Ciphers with arbitrary finite domains*, 2002).
///
/// The permutation of a matrix with a thousand million rows would need gigabytes as a list.
#[derive(Clone, Debug)]
pub(super) struct Shuffle {
    len: u64,
    /// Bits of half a number.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Shuffle {
    /// The permutation of `0..len` that `rng` draws.
    pub fn new(len: usize, rng: &mut ChaCha8Rng) -> Self {
        let bits = usize::BITS - len.saturating_sub(1).leading_zeros();
        let mut keys = [0; ROUNDS];
        keys.fill_with(|| rng.next_u64());
        Self { len: len as u64, half: bits.div_ceil(2).max(1), keys }
    }

    /// The number at a place, which must be below the length.
    pub fn at(&self, place: usize) -> usize {
        let mut value = place as u64;
        loop {
            value = self.network(value);
            if value < self.len {
                return value as usize;
            }
        }
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half) | right
    }
}

/// The output function of SplitMix64 (Steele, Lea & Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, step_rng};

    fn all(len: usize, seed: u64) -> Vec<usize> {
        let shuffle = Shuffle::new(len, &mut step_rng(seed, Stream::Order, 0));
        (0..len).map(|place| shuffle.at(place)).collect()
    }

    #[test]
    fn it_is_a_permutation_for_every_length() {
        for len in (1..70).chain([1000, 4096, 4097]) {
            let mut numbers = all(len, 3);
            numbers.sort();
            assert_eq!(numbers, (0..len).collect::<Vec<_>>());
        }
        assert_ne!(all(100, 1), all(100, 2));
    }

    #[test]
    fn places_and_numbers_are_uncorrelated() {
        let len = 10_000;
        let mean = (len - 1) as f64 / 2.0;
        let product: f64 = all(len, 5)
            .iter()
            .enumerate()
            .map(|(i, j)| (i as f64 - mean) * (*j as f64 - mean))
            .sum();
        let variance = (len as f64).powi(2) / 12.0;
        // Six standard errors of a correlation.
        assert!((product / len as f64 / variance).abs() < 6.0 / (len as f64).sqrt());
    }
}
