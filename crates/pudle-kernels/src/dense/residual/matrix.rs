//! A matrix that is cut into panels.

use rayon::prelude::*;

use crate::aligned::{Aligned, zeros};
use crate::real::Real;

/// How many data are worked on together at most, so that their residuals and a panel fit the cache of a
/// core.
const GROUP: usize = 64;

/// Multiplications that are worth a task.
const TASK: usize = 50_000;

/// Numbers in a row of a panel.
pub(super) const fn width<T: Real>() -> usize {
    4 * T::BLOCK
}

/// A matrix in panels, for a batch of data.
pub(super) struct Residual<T> {
    /// Panels of some atoms, `[m, width]` each.
    pub analysis: Vec<Aligned<T>>,
    /// Panels of some dimensions, `[p, width]` each.
    pub synthesis: Vec<Aligned<T>>,
    /// The data, `[b, m]`.
    pub x: Vec<T>,
    /// How many data are worked on together.
    pub group: usize,
}

impl<T: Real> Residual<T> {
    /// Cuts the matrix `bank`, `[m, p]`, for the data `x`, `[b, m]`.
    pub fn new(dim: usize, x: &[T], bank: &[T]) -> Self {
        let batch = x.len() / dim;
        let atoms = bank.len() / dim;
        let groups = batch.div_ceil(GROUP).max(1);
        Self {
            analysis: columns(bank, atoms),
            synthesis: rows(bank, atoms),
            x: x.to_vec(),
            group: batch.div_ceil(groups).max(1),
        }
    }
}

/// How many panels of `rows` rows a task takes for `count` data.
pub(super) fn panels_of_task<T: Real>(rows: usize, count: usize) -> usize {
    (TASK / (rows * count * width::<T>()).max(1)).max(1)
}

/// How many rows of `length` numbers a task takes, where a number takes few operations.
pub(super) fn rows_of_task(length: usize) -> usize {
    (2 * TASK / length.max(1)).max(1)
}

/// Panels of some columns of a matrix, `[rows, columns]`, padded with zeros.
fn columns<T: Real>(matrix: &[T], columns: usize) -> Vec<Aligned<T>> {
    let (rows, width) = (matrix.len() / columns, width::<T>());
    (0..columns.div_ceil(width))
        .into_par_iter()
        .with_min_len(panels_of_task::<T>(rows, 1))
        .map(|k| {
            let mut panel = zeros(rows * width);
            let some = k * width..columns.min((k + 1) * width);
            for (to, row) in panel.chunks_exact_mut(width).zip(matrix.chunks_exact(columns)) {
                to[..some.len()].copy_from_slice(&row[some.clone()]);
            }
            panel
        })
        .collect()
}

/// Panels of some rows of a matrix, `[rows, columns]`: transposed, and padded with zeros.
fn rows<T: Real>(matrix: &[T], columns: usize) -> Vec<Aligned<T>> {
    let width = width::<T>();
    matrix
        .par_chunks(width * columns)
        .with_min_len(panels_of_task::<T>(columns, 1))
        .map(|rows| {
            let mut panel = zeros(columns * width);
            transpose(rows, columns, &mut panel, width);
            panel
        })
        .collect()
}

/// Rows and columns of a tile of a transpose.
const TILE: usize = 32;

/// Writes the transpose of `rows`, of `length` numbers each, to `out`, whose rows are `stride` numbers apart.
pub(super) fn transpose<T: Real>(rows: &[T], length: usize, out: &mut [T], stride: usize) {
    // A tile is copied from and to memory in pieces of rows, because single numbers of far rows are slow.
    let (mut tile, mut turned) = ([[T::ZERO; TILE]; TILE], [[T::ZERO; TILE]; TILE]);
    for (top, rows) in rows.chunks(TILE * length).enumerate() {
        let height = rows.len() / length;
        for (left, out) in out.chunks_mut(TILE * stride).enumerate() {
            let columns = left * TILE..length.min((left + 1) * TILE);
            for (tile, row) in tile.iter_mut().zip(rows.chunks_exact(length)) {
                tile[..columns.len()].copy_from_slice(&row[columns.clone()]);
            }
            for (i, row) in tile.iter().enumerate() {
                for (turned, number) in turned.iter_mut().zip(row) {
                    turned[i] = *number;
                }
            }
            for (out, turned) in out.chunks_mut(stride).zip(&turned).take(columns.len()) {
                out[top * TILE..][..height].copy_from_slice(&turned[..height]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_equal_plain_loops() {
        for (height, length, stride) in [(1, 1, 1), (3, 70, 5), (64, 33, 64), (40, 32, 41)] {
            let rows: Vec<f64> = (0..height * length).map(|k| k as f64).collect();
            let mut out = vec![-1.0; length * stride];
            transpose(&rows, length, &mut out, stride);
            for (k, number) in out.iter().enumerate() {
                let (column, row) = (k / stride, k % stride);
                let expected = if row < height { (row * length + column) as f64 } else { -1.0 };
                assert_eq!(*number, expected);
            }
        }
    }
}
