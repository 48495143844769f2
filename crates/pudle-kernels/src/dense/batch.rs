//! A batch of vectors, forward and backward.

use crate::banks::Tying;
use crate::dense::form::Form;
use crate::dense::gram::{self, GramTape};
use crate::dense::residual::{self, ResidualTape};
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::real::Real;
use crate::settings::Unrolling;

/// What the backward pass of a batch of vectors needs.
pub struct DenseTape<T>(Tape<T>);

enum Tape<T> {
    Gram(GramTape<T>),
    Residual(ResidualTape<T>),
}

/// Runs a batch of vectors, `x` of shape `[b, m]`, and returns a tape for the backward pass if `record`
/// is set. `dim` is `m`.
///
/// # Panics
/// Panics if a slice is not as long as the shapes say, or if the banks are not tied.
pub fn dense_forward<T: Real>(
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<DenseTape<T>>) {
    let atoms = encoder.banks.synthesis.len() / dim;
    let form = Form::with_less_work(atoms, x.len() / dim, unrolling.layers);
    dense_forward_in(form, dim, x, encoder, unrolling, record)
}

/// [`dense_forward`] in a given form, for tests.
#[doc(hidden)]
pub fn dense_forward_in<T: Real>(
    form: Form,
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<DenseTape<T>>) {
    assert_eq!(encoder.banks.tying(), Tying::Tied, "the Gram form needs one dictionary");
    match form {
        Form::Gram => {
            let (output, tape) = gram::forward(dim, x, encoder, unrolling, record);
            (output, tape.map(|tape| DenseTape(Tape::Gram(tape))))
        }
        Form::Residual => {
            let (output, tape) = residual::forward(dim, x, encoder, unrolling, record);
            (output, tape.map(|tape| DenseTape(Tape::Residual(tape))))
        }
    }
}

impl<T: Real> DenseTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, m]`, and `code_error`
    /// in the code, `[b, p]`.
    ///
    /// # Panics
    /// Panics if a slice is not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        match &self.0 {
            Tape::Gram(tape) => tape.backward(error, code_error, wanted),
            Tape::Residual(tape) => tape.backward(error, code_error, wanted),
        }
    }

    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Tape::Gram(tape) => tape.bytes(),
            Tape::Residual(tape) => tape.bytes(),
        }
    }
}
