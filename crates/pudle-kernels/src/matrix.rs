//! Large dense products, by the `gemm` crate.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::real::Real;

/// A matrix in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    pub numbers: &'a [T],
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Numbers from one row to the next, and from one column to the next.
    pub strides: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// A matrix stored row by row without gaps.
    pub fn rows(numbers: &'a [T], columns: usize) -> Self {
        Self::padded(numbers, columns, columns)
    }

    /// A matrix of rows of `stride` numbers, the first `columns` of which count.
    pub fn padded(numbers: &'a [T], columns: usize, stride: usize) -> Self {
        Self { numbers, shape: [numbers.len() / stride.max(1), columns], strides: [stride, 1] }
    }

    /// The transpose.
    pub fn transposed(self) -> Self {
        let ([rows, columns], [down, across]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [across, down], ..self }
    }

    /// Some of the columns.
    pub fn columns(self, first: usize, count: usize) -> Self {
        let numbers = self.numbers.get(first * self.strides[1]..).unwrap_or_default();
        Self { numbers, shape: [self.shape[0], count], ..self }
    }

    /// Numbers from the first to the last.
    fn reach(&self) -> usize {
        let [rows, columns] = self.shape;
        match rows.min(columns) {
            0 => 0,
            _ => (rows - 1) * self.strides[0] + (columns - 1) * self.strides[1] + 1,
        }
    }
}

/// `out ← scale · a b`, or `out += scale · a b` if `add`, where rows of `out` are `stride` numbers apart.
/// The sums are the same for any number of threads: one thread takes each sum, in an order that depends on
/// the shapes alone.
pub(crate) fn multiply<T: Real>(
    out: &mut [T],
    stride: usize,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    scale: T,
    add: bool,
    parallel: bool,
) {
    let ([m, depth], [inner, n]) = (a.shape, b.shape);
    assert_eq!(depth, inner, "the factors' shapes");
    assert!(n <= stride && out.len() >= m.saturating_sub(1) * stride + n, "length of the product");
    assert!(a.reach() <= a.numbers.len() && b.reach() <= b.numbers.len(), "the factors' numbers");
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    let old_scale = if add { T::ONE } else { T::ZERO };
    #[expect(unsafe_code, reason = "the interface of the crate takes pointers")]
    // SAFETY: the assertions above bound every index that the shapes and strides allow; `out` is
    // borrowed mutably, and so apart from both factors.
    unsafe {
        gemm::gemm(
            m,
            n,
            depth,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.numbers.as_ptr(),
            a.strides[1] as isize,
            a.strides[0] as isize,
            b.numbers.as_ptr(),
            b.strides[1] as isize,
            b.strides[0] as isize,
            old_scale,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Rows and columns of a block of a Gram matrix. Miri, which is some thousand times slower, sees small ones.
const BLOCK: usize = if cfg!(miri) { 4 } else { 192 };

/// Writes `DᵀD` of `D`, `[m, p]`, to rows of zeros that are `stride` numbers apart. Only blocks on and above
/// the diagonal are computed; the others are copies of them.
pub(crate) fn gram<T: Real>(d: Matrix<'_, T>, out: &mut [T], stride: usize) {
    let p = d.shape[1];
    let starts: Vec<usize> = (0..p).step_by(BLOCK).collect();
    let width = |start: usize| BLOCK.min(p - start);
    let pairs: Vec<(usize, usize)> = (0..starts.len())
        .flat_map(|row| (row..starts.len()).map(move |column| (row, column)))
        .collect();
    let blocks: Vec<Vec<T>> = pairs
        .par_iter()
        .map(|(row, column)| {
            let (row, column) = (starts[*row], starts[*column]);
            let mut block = vec![T::ZERO; width(row) * width(column)];
            let a = d.columns(row, width(row)).transposed();
            let b = d.columns(column, width(column));
            multiply(&mut block, width(column), a, b, T::ONE, false, false);
            block
        })
        .collect();
    let block = |row: usize, column: usize| {
        // Rows before `row` hold one block fewer each.
        let first = row * starts.len() - row * row.saturating_sub(1) / 2;
        &blocks[first + column - row]
    };
    out.par_chunks_mut(stride * BLOCK).enumerate().for_each(|(row, rows)| {
        for (i, out) in rows.chunks_exact_mut(stride).enumerate() {
            for (column, start) in starts.iter().enumerate() {
                let out = &mut out[*start..][..width(*start)];
                if column >= row {
                    out.copy_from_slice(&block(row, column)[i * out.len()..][..out.len()]);
                } else {
                    let (mirrored, across) = (block(column, row), width(starts[row]));
                    for (k, out) in out.iter_mut().enumerate() {
                        *out = mirrored[k * across + i];
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|k| (k as f64 * 0.618).fract() - 0.5).collect()
    }

    #[test]
    fn products_equal_plain_loops() {
        for (m, n, k) in [(1, 1, 1), (5, 7, 3), (3, 0, 2), (40, 33, 21)] {
            let (a, b) = (numbers(m * k), numbers(n * k));
            let mut out = vec![1.0; m * (n + 2)];
            let b_t = Matrix { numbers: &b, shape: [k, n], strides: [1, k] };
            multiply(&mut out, n + 2, Matrix::rows(&a, k), b_t, 2.0, true, true);
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k).map(|l| a[i * k + l] * b[j * k + l]).sum();
                    assert!((out[i * (n + 2) + j] - 1.0 - 2.0 * sum).abs() < 1e-12);
                }
                assert_eq!(out[i * (n + 2) + n..][..2], [1.0, 1.0]);
            }
        }
    }

    #[test]
    fn gram_matrices_equal_plain_loops() {
        for p in [1, 5, BLOCK, 2 * BLOCK + 7] {
            let (m, stride) = (3, p + 1);
            let d = numbers(m * p);
            let mut out = vec![0.0; p * stride];
            gram(Matrix::rows(&d, p), &mut out, stride);
            for i in 0..p {
                for j in 0..p {
                    let sum: f64 = (0..m).map(|k| d[k * p + i] * d[k * p + j]).sum();
                    assert!((out[i * stride + j] - sum).abs() < 1e-12, "{p}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn products_do_not_depend_on_the_number_of_threads() {
        // Miri is some thousand times slower.
        let (m, n, k) = if cfg!(miri) { (9, 10, 40) } else { (150, 170, 600) };
        let (a, b) = (numbers(m * k), numbers(n * k));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut out = vec![0.0; m * n];
                multiply(&mut out, n, Matrix::rows(&a, k), Matrix::rows(&b, n), 1.0, false, true);
                let mut square = vec![0.0; k * k];
                gram(Matrix::rows(&a, k), &mut square, k);
                (out, square)
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3) && one == run(4));
    }
}
