//! Sums of a matrix's rows over a support.

use pulp::Simd;

use crate::real::Real;

/// Writes `Σ_j code_j rows_j` over the places `index` of `code` to `out`. Rows are as long as `out`, a whole
/// number of vectors.
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
            1 => sum.write::<1>(start, out),
            2 => sum.write::<2>(start, out),
            3 => sum.write::<3>(start, out),
            4 => sum.write::<4>(start, out),
            5 => sum.write::<5>(start, out),
            6 => sum.write::<6>(start, out),
            7 => sum.write::<7>(start, out),
            _ => sum.write::<8>(start, out),
        }
    }
}

/// A sum of rows.
struct Sum<'a, S, T> {
    simd: S,
    rows: &'a [T],
    /// Numbers in a row.
    length: usize,
    index: &'a [u32],
    code: &'a [T],
}

impl<S: Simd, T: Real> Sum<'_, S, T> {
    /// Writes `V` vectors of the sum, from `start` on. The sums stay in registers. Returns `V`.
    #[inline(always)]
    fn write<const V: usize>(&self, start: usize, out: &mut [T::Lanes<S>]) -> usize {
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
