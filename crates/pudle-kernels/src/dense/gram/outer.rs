//! Sums of sparse outer products.

use pulp::Arch;
use rayon::prelude::*;

use crate::matrix::{Matrix, multiply};
use crate::real::Real;
use crate::vector::AddScaled;

/// The share of an index set in all atoms from which on a row of an outer product is added as a whole,
/// rather than entry by entry.
const WHOLE_ROWS: f64 = 0.08;

/// The share of both index sets in all atoms from which on outer products are left to one large product.
const LARGE: f64 = 0.5;

/// How many large vectors are gathered before they are multiplied.
const STACK: usize = 256;

/// Sparse vectors, one after the other.
#[derive(Default)]
pub(super) struct SparseVectors<T> {
    /// Where each vector ends.
    ends: Vec<usize>,
    index: Vec<u32>,
    values: Vec<T>,
}

impl<T: Real> SparseVectors<T> {
    /// Appends a vector with these values at the places `index`, which rise.
    pub fn push(&mut self, index: &[u32], values: impl Iterator<Item = T>) {
        self.index.extend_from_slice(index);
        self.values.extend(values);
        self.ends.push(self.index.len());
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    /// Places and values of vector `t`.
    fn get(&self, t: usize) -> (&[u32], &[T]) {
        let start = t.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.index[start..self.ends[t]], &self.values[start..self.ends[t]])
    }
}

/// Pairs of vectors `(u, y)`, as many of each.
#[derive(Default)]
pub(super) struct Pairs<T> {
    pub u: SparseVectors<T>,
    pub y: SparseVectors<T>,
}

impl<T: Real> Pairs<T> {
    /// Whether the outer product of pair `t` is left to the large product.
    fn is_large(&self, t: usize, p: usize) -> bool {
        let size = self.u.get(t).0.len().min(self.y.get(t).0.len());
        is_share(LARGE, size, p)
    }
}

fn is_share(share: f64, size: usize, p: usize) -> bool {
    size as f64 > share * p as f64
}

/// Adds `Σ u ⊗ y` over all pairs to a matrix `[p, p]`.
pub(super) fn add_outer<T: Real>(arch: Arch, p: usize, pairs: &[&Pairs<T>], outer: &mut [T]) {
    // Rows of the matrix are shared out, so that one thread takes every sum, in order.
    let block = p.div_ceil(16).max(1);
    outer.par_chunks_mut(block * p).enumerate().for_each(|(k, rows)| {
        add_small(arch, p, pairs, k * block, rows);
    });
    add_large(p, pairs, outer);
}

/// Adds the pairs that are not large to the rows of the matrix from `first` on.
fn add_small<T: Real>(arch: Arch, p: usize, pairs: &[&Pairs<T>], first: usize, rows: &mut [T]) {
    let (first, end) = (first as u32, (first + rows.len() / p) as u32);
    let mut dense = vec![T::ZERO; p];
    for pairs in pairs {
        for t in 0..pairs.u.len() {
            let ((u_index, u), (y_index, y)) = (pairs.u.get(t), pairs.y.get(t));
            let from = u_index.partition_point(|j| *j < first);
            let to = u_index.partition_point(|j| *j < end);
            if from == to || pairs.is_large(t, p) {
                continue;
            }
            let whole = is_share(WHOLE_ROWS, y_index.len(), p);
            if whole {
                y_index.iter().zip(y).for_each(|(j, y)| dense[*j as usize] = *y);
            }
            for (j, u) in u_index[from..to].iter().zip(&u[from..to]) {
                let row = &mut rows[(*j - first) as usize * p..][..p];
                if whole {
                    arch.dispatch(AddScaled { factor: *u, from: &dense, to: row });
                    continue;
                }
                for (j, y) in y_index.iter().zip(y) {
                    row[*j as usize] += *u * *y;
                }
            }
            if whole {
                y_index.iter().for_each(|j| dense[*j as usize] = T::ZERO);
            }
        }
    }
}

/// Adds the large pairs, a stack of them at a time.
fn add_large<T: Real>(p: usize, pairs: &[&Pairs<T>], outer: &mut [T]) {
    let (mut us, mut ys) = (Vec::new(), Vec::new());
    let mut flush = |us: &mut Vec<T>, ys: &mut Vec<T>| {
        let (u, y) = (Matrix::rows(us, p).transposed(), Matrix::rows(ys, p));
        multiply(outer, p, u, y, T::ONE, true, true);
        us.clear();
        ys.clear();
    };
    for pairs in pairs {
        for t in (0..pairs.u.len()).filter(|t| pairs.is_large(*t, p)) {
            push_dense(pairs.u.get(t), p, &mut us);
            push_dense(pairs.y.get(t), p, &mut ys);
            if us.len() >= STACK * p {
                flush(&mut us, &mut ys);
            }
        }
    }
    if !us.is_empty() {
        flush(&mut us, &mut ys);
    }
}

/// Appends a sparse vector to rows of `p` numbers.
fn push_dense<T: Real>((index, values): (&[u32], &[T]), p: usize, rows: &mut Vec<T>) {
    let start = rows.len();
    rows.resize(start + p, T::ZERO);
    let row = &mut rows[start..];
    index.iter().zip(values).for_each(|(j, value)| row[*j as usize] = *value);
}

/// `P + Pᵀ` of a matrix `[p, p]`.
pub(super) fn symmetrized<T: Real>(matrix: &[T], p: usize) -> Vec<T> {
    const TILE: usize = 32;
    let mut out = vec![T::ZERO; p * p];
    out.par_chunks_mut(TILE * p).enumerate().for_each(|(k, rows)| {
        for first in (0..p).step_by(TILE) {
            for (i, row) in rows.chunks_exact_mut(p).enumerate() {
                let i = k * TILE + i;
                for j in first..(first + TILE).min(p) {
                    row[j] = matrix[i * p + j] + matrix[j * p + i];
                }
            }
        }
    });
    out
}
