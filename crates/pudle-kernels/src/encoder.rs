//! What a pass reads and returns, as numbers in slices.

use crate::banks::Banks;

/// The encoder of a pass: its numbers, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Encoder<'a, T> {
    /// Banks of atoms, each `[p, C, k, k]`, or `[m, p]` of a matrix.
    pub banks: Banks<&'a [T]>,
    /// Step size `α`.
    pub step: T,
    /// Levels `θ ≥ 0`, `[T or 1, batch or 1, p or 1]`.
    pub levels: &'a [T],
    /// Shape of the levels. An axis of 1 stands for all.
    pub level_shape: [usize; 3],
}

/// What a pass computes.
#[derive(Clone, Debug)]
pub struct Output<T> {
    /// The codes `z_T`, `[b, p, h, w]` or `[b, p]`, followed by `D z_T`, in the shape of the data.
    pub numbers: Vec<T>,
    /// How many of the numbers are codes.
    pub codes: usize,
}

impl<T> Output<T> {
    /// The codes.
    pub fn code(&self) -> &[T] {
        &self.numbers[..self.codes]
    }

    /// The reconstructions.
    pub fn reconstruction(&self) -> &[T] {
        &self.numbers[self.codes..]
    }
}

/// Which gradients a backward pass computes besides those of the atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The gradient of the data.
    pub data: bool,
    /// The gradients of the step size and the levels.
    pub encoder: bool,
}

/// Gradients of a pass, each in the shape of what it belongs to.
#[derive(Clone, Debug)]
pub struct Gradients<T> {
    /// Of each bank of atoms. The gradient of a tied bank is part of that of the synthesis bank.
    pub banks: Banks<Vec<T>>,
    /// Of the data, if wanted.
    pub data: Option<Vec<T>>,
    /// Of the levels, if wanted.
    pub levels: Option<Vec<T>>,
    /// Of the step size, if wanted.
    pub step: Option<T>,
}
