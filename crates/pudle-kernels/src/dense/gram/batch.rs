//! A batch of vectors in Gram form, forward and backward.

use rayon::prelude::*;

use crate::banks::Banks;
use crate::dense::gram::compact::MAX_ATOMS;
use crate::dense::gram::matrix::{GROUP, Gram};
use crate::dense::gram::outer::{Pairs, add_outer, symmetrized};
use crate::dense::pass::{DatumTape, Pass};
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::matrix::{Matrix, multiply};
use crate::real::Real;
use crate::settings::Unrolling;

/// Groups whose gradients are held in memory at a time.
const CHUNK: usize = 128;

/// Groups that share a matrix of outer products if atoms are few.
const BLOCK: usize = 8;

/// What the backward pass of a batch needs.
pub(crate) struct GramTape<T> {
    pass: Pass<T, Gram<T>>,
    groups: Vec<Vec<DatumTape<T>>>,
    x: Vec<T>,
    atoms: Vec<T>,
}

/// [`dense_forward`](crate::dense_forward) in Gram form.
pub(crate) fn forward<T: Real>(
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<GramTape<T>>) {
    let bank = encoder.banks.synthesis;
    let pass = Pass::new(dim, encoder, unrolling, T::BLOCK, Gram::new(dim, x, bank));
    let atoms = pass.atoms;
    let codes = x.len() / dim * atoms;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let groups: Vec<Vec<DatumTape<T>>> = code
        .par_chunks_mut(GROUP * atoms)
        .enumerate()
        .map(|(group, code)| pass.forward(group * GROUP, code, record))
        .collect();
    let (code, d) = (Matrix::rows(code, atoms), Matrix::rows(bank, atoms));
    multiply(reconstruction, dim, code, d.transposed(), T::ONE, false, true);
    let tape = record.then(|| GramTape { pass, groups, x: x.to_vec(), atoms: bank.to_vec() });
    (Output { numbers, codes }, tape)
}

/// Sums over the layers and, but for the codes, over the batch.
struct LayerSums<T> {
    /// `Σ u_t` of each datum, `[b, p]`.
    codes: Vec<T>,
    /// `P = Σ u_t ⊗ y_t`, `[p, p]`.
    outer: Vec<T>,
    /// The gradient of the levels, in their shape.
    levels: Vec<T>,
    /// The gradient of the step size.
    step: f64,
}

impl<T: Real> GramTape<T> {
    /// [`DenseTape::backward`](crate::DenseTape::backward).
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let Pass { dim, atoms, step, .. } = self.pass;
        let batch = self.x.len() / dim;
        let d = Matrix::rows(&self.atoms, atoms);
        let errors = Matrix::rows(error, dim);
        let mut code = vec![T::ZERO; batch * atoms];
        for (tape, row) in self.groups.iter().flatten().zip(code.chunks_exact_mut(atoms)) {
            tape.code.expand(row, atoms);
        }
        // The decoder's part.
        let mut gradient = vec![T::ZERO; dim * atoms];
        let codes = Matrix::rows(&code, atoms);
        multiply(&mut gradient, atoms, errors.transposed(), codes, T::ONE, false, true);
        let mut data = wanted.data.then(|| vec![T::ZERO; batch * dim]);
        let mut sums = LayerSums {
            codes: Vec::new(),
            outer: Vec::new(),
            levels: vec![T::ZERO; self.pass.levels.len()],
            step: 0.0,
        };
        if self.pass.schedule.recorded > 0 {
            let mut delta = code_error.map_or_else(|| vec![T::ZERO; batch * atoms], <[T]>::to_vec);
            multiply(&mut delta, atoms, errors, d, T::ONE, true, true);
            self.through_layers(&delta, wanted, &mut sums);
            let outer = symmetrized(&sums.outer, atoms);
            let codes = Matrix::rows(&sums.codes, atoms);
            let x = Matrix::rows(&self.x, dim).transposed();
            multiply(&mut gradient, atoms, d, Matrix::rows(&outer, atoms), -step, true, true);
            multiply(&mut gradient, atoms, x, codes, step, true, true);
            if let Some(data) = &mut data {
                multiply(data, dim, codes, d.transposed(), step, false, true);
            }
        }
        Gradients {
            banks: Banks::tied(gradient),
            data,
            levels: wanted.encoder.then_some(sums.levels),
            step: wanted.encoder.then(|| T::from_f64(sums.step)),
        }
    }

    /// Takes the gradients `delta` in the codes, `[b, p]`, back through the layers.
    fn through_layers(&self, delta: &[T], wanted: Wanted, sums: &mut LayerSums<T>) {
        let pass = &self.pass;
        let atoms = pass.atoms;
        sums.codes = vec![T::ZERO; delta.len()];
        sums.outer = vec![T::ZERO; atoms * atoms];
        for (chunk, groups) in self.groups.chunks(CHUNK).enumerate() {
            let first = chunk * CHUNK * GROUP;
            let delta = &delta[first * atoms..];
            if atoms <= MAX_ATOMS {
                self.through_few_atoms(first, groups, delta, wanted, sums);
                continue;
            }
            let data: Vec<_> = groups
                .par_iter()
                .enumerate()
                .map(|(group, tapes)| {
                    let delta = &delta[group * GROUP * atoms..][..tapes.len() * atoms];
                    pass.backward(first + group * GROUP, tapes, delta, wanted)
                })
                .collect();
            for (i, datum) in data.iter().flatten().enumerate() {
                sums.add(pass, first + i, &datum.sum, &datum.levels, datum.step);
            }
            let pairs: Vec<&Pairs<T>> = data.iter().flatten().map(|datum| &datum.pairs).collect();
            add_outer(pass.arch, atoms, &pairs, &mut sums.outer);
        }
    }

    /// [`through_layers`](Self::through_layers) for a chunk of the data, from number `first` on, if atoms
    /// are few.
    fn through_few_atoms(
        &self,
        first: usize,
        groups: &[Vec<DatumTape<T>>],
        delta: &[T],
        wanted: Wanted,
        sums: &mut LayerSums<T>,
    ) {
        let pass = &self.pass;
        let blocks: Vec<_> = groups
            .par_chunks(BLOCK)
            .enumerate()
            .map(|(block, groups)| {
                let start = block * BLOCK * GROUP;
                let delta = &delta[start * pass.atoms..];
                pass.backward_compact(first + start, groups, delta, wanted)
            })
            .collect();
        for (i, datum) in blocks.iter().flat_map(|block| &block.data).enumerate() {
            sums.add(pass, first + i, &datum.sum, &datum.levels, datum.step);
        }
        for block in &blocks {
            let rows = block.outer.chunks_exact(pass.padded);
            for (sum, row) in sums.outer.chunks_exact_mut(pass.atoms).zip(rows) {
                sum.iter_mut().zip(row).for_each(|(sum, part)| *sum += *part);
            }
        }
    }

    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        let codes: usize = self.groups.iter().flatten().map(DatumTape::bytes).sum();
        let numbers = self.pass.form.products.len() + self.pass.form.correlations.len();
        codes + (numbers + self.x.len() + self.atoms.len()) * size_of::<T>()
    }
}

impl<T: Real> LayerSums<T> {
    /// Adds the sums of datum `i`.
    fn add<F>(&mut self, pass: &Pass<T, F>, i: usize, codes: &[T], levels: &[T], step: f64) {
        self.codes[i * pass.atoms..][..pass.atoms].copy_from_slice(&codes[..pass.atoms]);
        pass.levels.reduce(levels, i, &mut self.levels);
        self.step += step;
    }
}
