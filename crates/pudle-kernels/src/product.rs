//! Small dense products with sums in registers.

use pulp::Simd;

use crate::real::Real;

/// How many rows of a product are summed at a time.
pub(crate) const AT_ONCE: usize = 6;

/// How many vectors of a row are summed at a time: as many as fit the registers together with the sums of
/// [`AT_ONCE`] rows.
pub(crate) const fn panel<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// The number at `index`, which must be below the length of the slice. A check would cost as much as the
/// arithmetic of the innermost loop.
#[inline(always)]
#[expect(unsafe_code, reason = "checked before the innermost loop, see `sums`")]
fn at<T: Real>(numbers: &[T], index: usize) -> T {
    debug_assert!(index < numbers.len());
    // SAFETY: the only caller, `sums`, has slices longer than the largest index that it asks for.
    unsafe { *numbers.get_unchecked(index) }
}

/// `Σ_k a_i[offset_k] b[k]` for `N` rows `a_i` and `V` vectors of each row `b[k]`, summed from the first `k`
/// to the last. `b` starts at the first of these vectors, and rows are `stride` vectors apart. Every offset
/// is below `reach`.
#[inline(always)]
pub(crate) fn sums<T: Real, S: Simd, const V: usize, const N: usize>(
    simd: S,
    a: [&[T]; N],
    (offsets, reach): (impl Iterator<Item = usize>, usize),
    b: &[T::Lanes<S>],
    stride: usize,
) -> [[T::Lanes<S>; V]; N] {
    let mut rows = a;
    for row in &mut rows {
        *row = &row[..reach];
    }
    let mut sums = [[T::splat(simd, T::ZERO); V]; N];
    for (b, offset) in b.chunks(stride).zip(offsets) {
        let b = &b[..V];
        for i in 0..N {
            let factor = T::splat(simd, at(rows[i], offset));
            for v in 0..V {
                sums[i][v] = T::mul_add(simd, b[v], factor, sums[i][v]);
            }
        }
    }
    sums
}

/// Factors of [`product`].
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a, T> {
    /// Rows `a_i`.
    pub a: &'a [T],
    /// Numbers from one row to the next, and from one number of a row to the next.
    pub a_strides: [usize; 2],
    /// How many rows `a_i`.
    pub rows: usize,
    /// How many numbers a row `a_i` has, and how many rows `b[k]`.
    pub depth: usize,
    /// Rows `b[k]`.
    pub b: &'a [T],
    /// Numbers from one row to the next.
    pub b_stride: usize,
    /// Numbers in a row, a whole number of vectors.
    pub width: usize,
}

/// Writes `a b` to rows that are `stride` numbers apart, or adds it if `add`.
#[inline(always)]
pub(crate) fn product<T: Real, S: Simd>(
    simd: S,
    factors: Factors<'_, T>,
    out: &mut [T],
    stride: usize,
    add: bool,
) {
    let vectors = factors.width / T::lanes::<S>();
    let mut start = 0;
    while start < vectors {
        start += match (vectors - start).min(panel::<S>()) {
            4 => columns::<T, S, 4>(simd, factors, start, out, stride, add),
            3 => columns::<T, S, 3>(simd, factors, start, out, stride, add),
            2 => columns::<T, S, 2>(simd, factors, start, out, stride, add),
            _ => columns::<T, S, 1>(simd, factors, start, out, stride, add),
        };
    }
}

/// `V` vectors of columns, from vector `start` on, of all rows. Returns `V`.
#[inline(always)]
fn columns<T: Real, S: Simd, const V: usize>(
    simd: S,
    factors: Factors<'_, T>,
    start: usize,
    out: &mut [T],
    stride: usize,
    add: bool,
) -> usize {
    let mut row = 0;
    while row < factors.rows {
        row += match factors.rows - row {
            AT_ONCE.. => block::<T, S, V, AT_ONCE>(simd, factors, start, row, out, stride, add),
            3.. => block::<T, S, V, 3>(simd, factors, start, row, out, stride, add),
            _ => block::<T, S, V, 1>(simd, factors, start, row, out, stride, add),
        };
    }
    V
}

/// `V` vectors of columns, from vector `start` on, of `N` rows from `row` on. Returns `N`.
#[inline(always)]
fn block<T: Real, S: Simd, const V: usize, const N: usize>(
    simd: S,
    factors: Factors<'_, T>,
    start: usize,
    row: usize,
    out: &mut [T],
    stride: usize,
    add: bool,
) -> usize {
    let lanes = T::lanes::<S>();
    let [down, across] = factors.a_strides;
    let mut a = [factors.a; N];
    for (i, a) in a.iter_mut().enumerate() {
        *a = &factors.a[(row + i) * down..];
    }
    let b = &T::vectors::<S>(factors.b)[start..];
    let offsets = (
        (0..factors.depth).map(|k| k * across),
        factors.depth.saturating_sub(1) * across + usize::from(factors.depth > 0),
    );
    let sums = sums::<T, S, V, N>(simd, a, offsets, b, factors.b_stride / lanes);
    for (i, sums) in sums.iter().enumerate() {
        let out = &mut out[(row + i) * stride + start * lanes..][..V * lanes];
        let out = T::vectors_mut::<S>(out);
        for v in 0..V {
            out[v] = if add { T::plus(simd, out[v], sums[v]) } else { sums[v] };
        }
    }
    N
}
