//! A batch of vectors in residual form, forward.

use rayon::prelude::*;

use crate::dense::pass::{DatumTape, Pass};
use crate::dense::residual::matrix::{Residual, width};
use crate::encoder::{Encoder, Output};
use crate::real::Real;
use crate::settings::Unrolling;

/// What the backward pass of a batch needs.
pub(crate) struct ResidualTape<T> {
    pub(super) pass: Pass<T, Residual<T>>,
    pub(super) groups: Vec<Vec<DatumTape<T>>>,
}

/// [`dense_forward`](crate::dense_forward) in residual form.
pub(crate) fn forward<T: Real>(
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<ResidualTape<T>>) {
    let form = Residual::new(dim, x, encoder.banks.synthesis);
    let pass = Pass::new(dim, encoder, unrolling, width::<T>(), form);
    let (atoms, group) = (pass.atoms, pass.form.group);
    let codes = x.len() / dim * atoms;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let groups: Vec<Vec<DatumTape<T>>> = code
        .par_chunks_mut(group * atoms)
        .zip(reconstruction.par_chunks_mut(group * dim))
        .enumerate()
        .map(|(k, (code, reconstruction))| {
            let tapes = pass.forward(k * group, code, record);
            pass.decode(code, reconstruction);
            tapes
        })
        .collect();
    let tape = record.then(|| ResidualTape { pass, groups });
    (Output { numbers, codes }, tape)
}

impl<T: Real> ResidualTape<T> {
    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        let codes: usize = self.groups.iter().flatten().map(DatumTape::bytes).sum();
        let Residual { analysis, synthesis, x, .. } = &self.pass.form;
        let numbers: usize = analysis.iter().chain(synthesis).map(|panel| panel.len()).sum();
        codes + (numbers + x.len()) * size_of::<T>()
    }
}
