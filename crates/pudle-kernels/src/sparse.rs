//! Sparse codes: a support as bits, and the values on it.

use std::ops::Range;

use pulp::Arch;

use crate::packing::{ROOM, pack_row, unpack_row};
use crate::real::Real;

/// Rows of codes. A row is stored as one bit per entry, and its entries that are not zero, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse<T> {
    /// Words per row.
    words: usize,
    bits: Vec<u64>,
    /// The entries on the support.
    pub values: Vec<T>,
}

impl<T: Real> Sparse<T> {
    /// No rows yet, of `length` entries each.
    pub fn new(length: usize) -> Self {
        Self { words: length.div_ceil(64), bits: Vec::new(), values: Vec::new() }
    }

    /// `rows` rows of `length` zeros.
    pub fn zeros(rows: usize, length: usize) -> Self {
        let words = length.div_ceil(64);
        Self { words, bits: vec![0; rows * words], values: Vec::new() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bits.len() / self.words
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.bits.clear();
        self.values.clear();
    }

    /// Reserves memory for as many rows and values as another code has.
    pub fn reserve(&mut self, like: &Self) {
        self.bits.reserve(like.bits.len());
        self.values.reserve(like.values.len() + like.values.len() / 8);
    }

    /// Appends the support of `row`, and returns its size. [`push_values`](Self::push_values) appends the
    /// values.
    #[inline(always)]
    pub fn push_support(&mut self, row: &[T]) -> usize {
        let mut count = 0;
        for chunk in row.chunks(64) {
            let bits = match chunk.first_chunk::<64>() {
                Some(chunk) => nonzero(chunk),
                None => chunk
                    .iter()
                    .enumerate()
                    .fold(0, |bits, (k, v)| bits | (u64::from(*v != T::ZERO) << k)),
            };
            self.bits.push(bits);
            count += bits.count_ones() as usize;
        }
        count
    }

    /// Appends the values of row `i`, the first one without values. `buffer` is memory for them, see
    /// [`value_buffer`](Self::value_buffer).
    #[inline(always)]
    pub fn push_values(&mut self, arch: Arch, i: usize, row: &[T], buffer: &mut [T]) {
        let count = pack_row(arch, self.words_of(i), row, buffer);
        self.values.extend_from_slice(&buffer[..count]);
    }

    /// Writes row `i`, whose values start at `start`, to `row`, and returns the size of its support.
    #[inline(always)]
    pub fn unpack_row(&self, arch: Arch, i: usize, start: usize, row: &mut [T]) -> usize {
        unpack_row(arch, self.words_of(i), &self.values[start..], row)
    }

    /// The words of row `i`.
    #[inline(always)]
    fn words_of(&self, i: usize) -> &[u64] {
        &self.bits[i * self.words..][..self.words]
    }

    /// Adds the supports of all rows to these words.
    #[inline(always)]
    pub fn add_support(&self, words: &mut [u64]) {
        for row in self.bits.chunks_exact(self.words) {
            for (word, bits) in words.iter_mut().zip(row) {
                *word |= bits;
            }
        }
    }

    /// Writes the support of row `i` to `index`, and returns its size.
    #[inline(always)]
    pub fn row(&self, i: usize, index: &mut [u32]) -> usize {
        let mut count = 0;
        for (word, bits) in self.words_of(i).iter().enumerate() {
            count += decode(*bits, word, &mut index[count..]);
        }
        count
    }

    /// Writes the union of the supports of some rows to `index`, and returns its size.
    #[inline(always)]
    pub fn union(&self, rows: Range<usize>, index: &mut [u32]) -> usize {
        let mut count = 0;
        for word in 0..self.words {
            count += decode(self.word(rows.clone(), word), word, &mut index[count..]);
        }
        count
    }

    /// Size of the union of the supports of some rows.
    #[inline(always)]
    pub fn union_size(&self, rows: Range<usize>) -> usize {
        (0..self.words).map(|word| self.word(rows.clone(), word).count_ones() as usize).sum()
    }

    /// A word of the union of the supports of some rows.
    #[inline(always)]
    fn word(&self, rows: Range<usize>, word: usize) -> u64 {
        rows.fold(0, |bits, row| bits | self.bits[row * self.words + word])
    }

    /// The place where the values of row `i` start.
    #[inline(always)]
    pub fn start(&self, i: usize) -> usize {
        self.bits[..i * self.words].iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Writes the first `N` rows to rows of zeros.
    pub fn expand_rows<const N: usize>(&self, rows: [&mut [T]; N]) {
        let (mut index, mut values) = (self.index_buffer(), self.values.iter());
        for (i, row) in rows.into_iter().enumerate() {
            let count = self.row(i, &mut index);
            for (k, value) in index[..count].iter().zip(&mut values) {
                row[*k as usize] = *value;
            }
        }
    }

    /// Size of the support of row `i`.
    #[inline(always)]
    pub fn size(&self, i: usize) -> usize {
        self.words_of(i).iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Memory for the support of any row.
    pub fn index_buffer(&self) -> Vec<u32> {
        vec![0; self.words * 64]
    }

    /// Memory for the values of any row.
    pub fn value_buffer(&self) -> Vec<T> {
        vec![T::ZERO; self.words * 64 + ROOM]
    }

    /// Writes the rows, padded to `length`, to zeros `[rows, length]`.
    pub fn expand(&self, dense: &mut [T], length: usize) {
        let (mut index, mut values) = (self.index_buffer(), self.values.iter());
        for (i, row) in dense.chunks_exact_mut(length).enumerate() {
            let count = self.row(i, &mut index);
            for (k, value) in index[..count].iter().zip(&mut values) {
                row[*k as usize] = *value;
            }
        }
    }

    /// How many bytes this holds.
    pub fn bytes(&self) -> usize {
        size_of_val(self.bits.as_slice()) + size_of_val(self.values.as_slice())
    }
}

/// Writes the places of the bits that are set in word number `word`, and returns how many there are.
#[inline(always)]
fn decode(mut bits: u64, word: usize, index: &mut [u32]) -> usize {
    let count = bits.count_ones() as usize;
    for place in &mut index[..count] {
        *place = word as u32 * 64 + bits.trailing_zeros();
        bits &= bits - 1;
    }
    count
}

/// A bit per number that is not zero.
#[inline(always)]
fn nonzero<T: Real>(chunk: &[T; 64]) -> u64 {
    let mut bits = 0;
    for (k, v) in chunk.iter().enumerate() {
        bits |= u64::from(*v != T::ZERO) << k;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        for length in [1, 63, 64, 65, 130] {
            let row: Vec<f64> =
                (0..length).map(|k| if k % 3 == 0 { k as f64 - 1.5 } else { 0.0 }).collect();
            let mut sparse = Sparse::new(length);
            let (arch, mut buffer) = (Arch::new(), sparse.value_buffer());
            let mut index = sparse.index_buffer();
            assert_eq!(sparse.push_support(&vec![0.0; length]), 0);
            let count = sparse.push_support(&row);
            sparse.push_values(arch, 0, &row, &mut buffer);
            sparse.push_values(arch, 1, &row, &mut buffer);
            assert_eq!((sparse.size(0), sparse.size(1)), (0, count));
            assert_eq!(sparse.row(1, &mut index), count);
            let mut dense = vec![0.0; length];
            for (k, v) in index[..count].iter().zip(&sparse.values) {
                dense[*k as usize] = *v;
            }
            assert_eq!(dense, row);
            dense.fill(1.0);
            assert_eq!(sparse.unpack_row(arch, 1, 0, &mut dense), count);
            assert_eq!(dense, row);
        }
    }

    #[test]
    fn unions_hold_every_place_once() {
        let rows = [[0.0, 1.0, 0.0, 0.0], [0.0, 2.0, 0.0, -1.0], [3.0, 0.0, 0.0, 0.0]];
        let mut sparse = Sparse::<f64>::new(4);
        for row in &rows {
            sparse.push_support(row);
        }
        let mut index = sparse.index_buffer();
        for (range, expected) in [(0..0, vec![]), (0..2, vec![1, 3]), (0..3, vec![0, 1, 3])] {
            assert_eq!(sparse.union_size(range.clone()), expected.len());
            let count = sparse.union(range, &mut index);
            assert_eq!(index[..count], expected);
        }
    }
}
