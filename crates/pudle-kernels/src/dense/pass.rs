//! The pass through a dictionary that is a matrix.
//!
//! With the Gram matrix `G = DᵀD` and the correlations `c = Dᵀx`, a layer is
//! `z_{t+1} = Φ(y_t − α (G y_t − c))`, where `G y_t` is a sum over the support of `y_t` alone. Backward,
//! with `u_t` the loss's gradient in `z_{t+1}` on its support,
//!
//! ```text
//! ∂L/∂y_t = u_t − α G u_t         needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂D   = −α (D (P + Pᵀ) − xᵀ Σ u_t),  P = Σ u_t ⊗ y_t
//! ∂L/∂x   = α D Σ u_t             ∂L/∂α = −Σ ⟨G u_t, y_t⟩ − ⟨u_t, c⟩
//! ```
//!
//! so that the atoms' gradient is a sum of sparse outer products and one large product at the end.

use pulp::Arch;
use rayon::prelude::*;

use crate::aligned::zeros;
use crate::dense::backward::Share;
use crate::dense::compact::{FEW, Part};
use crate::dense::network::{Datum, GROUP, Network};
use crate::encoder::{Banks, Encoder, Gradients, Output, Wanted};
use crate::matrix::{Matrix, gram, multiply};
use crate::real::Real;
use crate::settings::{Layers, Levels, Unrolling};
use crate::support::Sparse;

/// Groups whose shares of the atoms' gradient are held at a time.
const CHUNK: usize = 128;

/// Groups that share a matrix of outer products where atoms are few.
const PART: usize = 8;

/// What the backward pass of a batch needs.
pub struct DenseTape<T> {
    network: Network<T>,
    groups: Vec<Vec<Datum<T>>>,
    x: Vec<T>,
    atoms: Vec<T>,
}

/// Runs a batch of vectors, `x` of shape `[b, m]`, and keeps what the backward pass needs if `record`
/// is set. `dim` is `m`.
///
/// # Panics
/// Panics if slices are not as long as the shapes say, or if the banks are not tied.
pub fn dense_forward<T: Real>(
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<DenseTape<T>>) {
    assert!(encoder.banks.are_tied(), "the Gram form needs one dictionary");
    let matrix = encoder.banks.synthesis;
    let (batch, atoms) = (x.len() / dim, matrix.len() / dim);
    let padded = atoms.next_multiple_of(T::BLOCK);
    let d = Matrix::rows(matrix, atoms);
    let mut network = Network {
        dim,
        atoms,
        padded,
        gram: zeros(atoms * padded),
        correlations: zeros(batch * padded),
        step: encoder.step,
        levels: Levels::new(encoder.levels, encoder.level_shape, atoms, padded),
        layers: Layers::new(unrolling),
        arch: Arch::new(),
    };
    multiply(&mut network.correlations, padded, Matrix::rows(x, dim), d, T::ONE, false, true);
    gram(d, &mut network.gram, padded);
    let codes = batch * atoms;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let groups: Vec<Vec<Datum<T>>> = code
        .par_chunks_mut(GROUP * atoms)
        .enumerate()
        .map(|(group, code)| network.forward(group * GROUP, code, record))
        .collect();
    multiply(reconstruction, dim, Matrix::rows(code, atoms), d.transposed(), T::ONE, false, true);
    let tape = record.then(|| DenseTape { network, groups, x: x.to_vec(), atoms: matrix.to_vec() });
    (Output { numbers, codes }, tape)
}

impl<T: Real> DenseTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, m]`, and `code_error`
    /// in the code, `[b, p]`.
    ///
    /// # Panics
    /// Where slices are not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let network = &self.network;
        let Network { dim, atoms, step, .. } = *network;
        let batch = self.x.len() / dim;
        let d = Matrix::rows(&self.atoms, atoms);
        let errors = Matrix::rows(error, dim);
        let mut code = vec![T::ZERO; batch * atoms];
        let data = self.groups.iter().flatten();
        for (datum, row) in data.zip(code.chunks_exact_mut(atoms)) {
            datum.code.expand(row, atoms);
        }
        // The decoder's share.
        let mut gradient = vec![T::ZERO; dim * atoms];
        let codes = Matrix::rows(&code, atoms);
        multiply(&mut gradient, atoms, errors.transposed(), codes, T::ONE, false, true);
        let mut levels = vec![T::ZERO; network.levels.len()];
        let (mut step_gradient, mut data_gradient) = (0.0, wanted.data.then(Vec::new));
        if network.layers.recorded > 0 {
            let mut delta = code_error.map_or_else(|| vec![T::ZERO; batch * atoms], <[T]>::to_vec);
            multiply(&mut delta, atoms, errors, d, T::ONE, true, true);
            let mut sums = vec![T::ZERO; batch * atoms];
            let mut outer = vec![T::ZERO; atoms * atoms];
            let mut take = |i: usize, codes: &[T], of_levels: &[T], of_step: f64| {
                sums[i * atoms..][..atoms].copy_from_slice(&codes[..atoms]);
                network.levels.reduce(of_levels, i, &mut levels);
                step_gradient += of_step;
            };
            for (chunk, groups) in self.groups.chunks(CHUNK).enumerate() {
                let first = chunk * CHUNK * GROUP;
                let delta = &delta[first * atoms..];
                if atoms <= FEW {
                    let parts: Vec<Part<T>> = groups
                        .par_chunks(PART)
                        .enumerate()
                        .map(|(part, groups)| {
                            let start = part * PART * GROUP;
                            let delta = &delta[start * atoms..];
                            network.backward_compact(first + start, groups, delta, wanted)
                        })
                        .collect();
                    let data = parts.iter().flat_map(|part| &part.data);
                    for (i, datum) in data.enumerate() {
                        take(first + i, &datum.codes, &datum.levels, datum.step);
                    }
                    for part in &parts {
                        let rows = part.outer.chunks_exact(network.padded);
                        for (sum, row) in outer.chunks_exact_mut(atoms).zip(rows) {
                            sum.iter_mut().zip(row).for_each(|(sum, part)| *sum += *part);
                        }
                    }
                    continue;
                }
                let shares: Vec<Vec<Share<T>>> = groups
                    .par_iter()
                    .enumerate()
                    .map(|(group, data)| {
                        let delta = &delta[group * GROUP * atoms..][..data.len() * atoms];
                        network.backward(first + group * GROUP, data, delta, wanted)
                    })
                    .collect();
                let shares: Vec<Share<T>> = shares.into_iter().flatten().collect();
                for (i, share) in shares.iter().enumerate() {
                    take(first + i, &share.sum, &share.levels, share.step);
                }
                network.add_outer(&shares, &mut outer);
            }
            let outer = symmetrized(&outer, atoms);
            let sums = Matrix::rows(&sums, atoms);
            let x = Matrix::rows(&self.x, dim).transposed();
            multiply(&mut gradient, atoms, d, Matrix::rows(&outer, atoms), -step, true, true);
            multiply(&mut gradient, atoms, x, sums, step, true, true);
            if let Some(data) = &mut data_gradient {
                data.resize(batch * dim, T::ZERO);
                multiply(data, dim, sums, d.transposed(), step, false, true);
            }
        }
        Gradients {
            banks: Banks::tied(gradient),
            data: data_gradient.map(|mut data| {
                data.resize(batch * dim, T::ZERO);
                data
            }),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step_gradient)),
        }
    }

    /// Bytes that the backward pass is kept in.
    pub fn bytes(&self) -> usize {
        let data = self.groups.iter().flatten();
        let codes: usize = data
            .map(|d| d.code.bytes() + d.segments.iter().map(Sparse::bytes).sum::<usize>())
            .sum();
        let numbers = self.network.gram.len() + self.network.correlations.len();
        codes + (numbers + self.x.len() + self.atoms.len()) * size_of::<T>()
    }
}

/// `P + Pᵀ`.
fn symmetrized<T: Real>(matrix: &[T], p: usize) -> Vec<T> {
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
