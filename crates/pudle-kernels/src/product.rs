//! Small dense products with sums in registers.

use pulp::{Simd, WithSimd};

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

/// `Σ_k a_i[offset_k] b_k` for `N` rows `a_i` and the first `V` vectors of each row `b_k`, summed from the
/// first term to the last. A term is an offset and a row. Every offset is below `reach`.
#[inline(always)]
pub(crate) fn sums<'b, T: Real, S: Simd, const V: usize, const N: usize>(
    simd: S,
    a: [&[T]; N],
    terms: impl Iterator<Item = (usize, &'b [T::Lanes<S>])>,
    reach: usize,
) -> [[T::Lanes<S>; V]; N]
where
    T::Lanes<S>: 'b,
{
    let mut rows = a;
    for row in &mut rows {
        *row = &row[..reach];
    }
    let mut sums = [[T::splat(simd, T::ZERO); V]; N];
    for (offset, b) in terms {
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

/// Some of the rows, or of the terms, of a product.
#[derive(Clone, Copy)]
pub(crate) enum Places<'a> {
    /// The first ones.
    First(usize),
    /// These. They rise.
    Listed(&'a [u32]),
}

impl Places<'_> {
    /// How many.
    #[inline(always)]
    fn count(self) -> usize {
        match self {
            Places::First(count) => count,
            Places::Listed(places) => places.len(),
        }
    }

    /// Place number `k`.
    #[inline(always)]
    fn get(self, k: usize) -> usize {
        match self {
            Places::First(_) => k,
            Places::Listed(places) => places[k] as usize,
        }
    }

    /// The largest place.
    #[inline(always)]
    fn last(self) -> Option<usize> {
        match self {
            Places::First(count) => count.checked_sub(1),
            Places::Listed(places) => places.iter().max().map(|place| *place as usize),
        }
    }
}

/// Factors of [`product`].
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a, T> {
    /// Rows `a_i`.
    pub a: &'a [T],
    /// Numbers from one row to the next, and from one number of a row to the next.
    pub a_strides: [usize; 2],
    /// The rows `a_i` that count.
    pub rows: Places<'a>,
    /// The numbers of a row `a_i` that count, and the rows `b_k` that they are multiplied by.
    pub terms: Places<'a>,
    /// Rows `b_k`.
    pub b: &'a [T],
    /// Numbers from one row to the next.
    pub b_stride: usize,
    /// Numbers in a row, a whole number of vectors.
    pub width: usize,
}

/// Writes the rows of `a b` to those of `out`, which are `stride` numbers apart, or adds them if `add`.
#[inline(always)]
pub(crate) fn product<T: Real, S: Simd>(
    simd: S,
    factors: Factors<'_, T>,
    out: &mut [T],
    stride: usize,
    add: bool,
) {
    simd.vectorize(Product { factors, out, stride, add });
}

/// A call of [`product`]. It is a function of its own, so that its loops are compiled once.
struct Product<'a, T> {
    factors: Factors<'a, T>,
    out: &'a mut [T],
    stride: usize,
    add: bool,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { factors, out, stride, add } = self;
        let vectors = factors.width / T::lanes::<S>();
        let mut start = 0;
        while start < vectors {
            start += match (vectors - start).min(panel::<S>()) {
                4 => columns::<T, S, 4>(simd, factors, start, out, stride, add),
                2.. => columns::<T, S, 2>(simd, factors, start, out, stride, add),
                _ => columns::<T, S, 1>(simd, factors, start, out, stride, add),
            };
        }
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
    let rows = factors.rows.count();
    while row < rows {
        row += match rows - row {
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
    let Factors { rows, terms, b_stride, .. } = factors;
    let [down, across] = factors.a_strides;
    let mut a = [factors.a; N];
    for (i, a) in a.iter_mut().enumerate() {
        *a = &factors.a[rows.get(row + i) * down..];
    }
    let b = &T::vectors::<S>(factors.b)[start..];
    let apart = b_stride / lanes;
    let reach = terms.last().map_or(0, |last| last * across + 1);
    let sums = match terms {
        Places::First(count) => {
            let terms = b.chunks(apart).take(count).enumerate();
            sums::<T, S, V, N>(simd, a, terms.map(|(k, b)| (k * across, b)), reach)
        }
        Places::Listed(places) => {
            let terms = places.iter().map(|k| *k as usize);
            sums::<T, S, V, N>(simd, a, terms.map(|k| (k * across, &b[k * apart..])), reach)
        }
    };
    for (i, sums) in sums.iter().enumerate() {
        let out = &mut out[rows.get(row + i) * stride + start * lanes..][..V * lanes];
        let out = T::vectors_mut::<S>(out);
        for v in 0..V {
            out[v] = if add { T::plus(simd, out[v], sums[v]) } else { sums[v] };
        }
    }
    N
}
