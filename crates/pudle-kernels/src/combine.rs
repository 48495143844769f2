//! Sums of a matrix's rows over a support.

use pulp::Simd;

use crate::real::Real;

/// `Σ_j code_j rows_j` over the entries `index` of `code`, for rows as long as `out`, a whole number of
/// vectors.
#[inline(always)]
pub(crate) fn combine<T: Real, S: Simd>(
    simd: S,
    rows: &[T],
    index: &[u32],
    code: &[T],
    out: &mut [T],
) {
    let length = out.len();
    let out = T::vectors_mut::<S>(out);
    let sum = Sum { simd, rows, length, index, code };
    let mut start = 0;
    while start < out.len() {
        start += match out.len() - start {
            1 => sum.part::<1>(start, out),
            2 => sum.part::<2>(start, out),
            3 => sum.part::<3>(start, out),
            4 => sum.part::<4>(start, out),
            5 => sum.part::<5>(start, out),
            6 => sum.part::<6>(start, out),
            7 => sum.part::<7>(start, out),
            _ => sum.part::<8>(start, out),
        }
    }
}

struct Sum<'a, S, T> {
    simd: S,
    rows: &'a [T],
    length: usize,
    index: &'a [u32],
    code: &'a [T],
}

impl<S: Simd, T: Real> Sum<'_, S, T> {
    /// The vectors from `start` on, in registers.
    #[inline(always)]
    fn part<const V: usize>(&self, start: usize, out: &mut [T::Lanes<S>]) -> usize {
        let (simd, lanes) = (self.simd, T::lanes::<S>());
        let mut sums = [T::splat(simd, T::ZERO); V];
        for j in self.index {
            let j = *j as usize;
            let row = &self.rows[j * self.length + start * lanes..][..V * lanes];
            let factor = T::splat(simd, self.code[j]);
            for (sum, entry) in sums.iter_mut().zip(T::vectors::<S>(row)) {
                *sum = T::mul_add(simd, *entry, factor, *sum);
            }
        }
        out[start..][..V].copy_from_slice(&sums);
        V
    }
}
