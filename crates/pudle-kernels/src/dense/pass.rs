//! A pass in either form, without its codes.

use pulp::Arch;

use crate::dense::state::State;
use crate::encoder::Encoder;
use crate::levels::Levels;
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::Unrolling;
use crate::sparse::Sparse;

/// How a pass multiplies by its dictionary.
pub(super) trait Products<T: Real>: Sized + Sync {
    /// Numbers of a residual as this form lays it out, or 0 if it has none.
    fn residual_length(pass: &Pass<T, Self>) -> usize;

    /// Takes the data of a group, from number `first` on, from layer `t` to the next.
    fn layer(pass: &Pass<T, Self>, state: &mut State<T>, first: usize, t: usize);
}

/// A matrix in the form `F`, for a batch of data, and the settings of the layers.
pub(super) struct Pass<T, F> {
    /// Dimension `m` of the data.
    pub dim: usize,
    /// Number of atoms `p`.
    pub atoms: usize,
    /// Number of atoms, padded to whole blocks.
    pub padded: usize,
    /// Step size `α`.
    pub step: T,
    pub levels: Levels<T>,
    pub schedule: Schedule,
    pub arch: Arch,
    pub form: F,
}

/// What the forward pass of a datum stores for its backward pass.
pub(super) struct DatumTape<T> {
    /// `z_T`.
    pub code: Sparse<T>,
    /// For each segment of layers `a … b`, rows of codes: `z_{a−1}` and `z_a` and, if layers are
    /// stored, all codes after these.
    pub segments: Vec<Sparse<T>>,
}

impl<T: Real> DatumTape<T> {
    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        self.code.bytes() + self.segments.iter().map(Sparse::bytes).sum::<usize>()
    }
}

impl<T: Real, F> Pass<T, F> {
    /// A pass for data of dimension `dim`, with rows of codes padded to whole multiples of `block`.
    pub fn new(
        dim: usize,
        encoder: Encoder<'_, T>,
        unrolling: Unrolling,
        block: usize,
        form: F,
    ) -> Self {
        let atoms = encoder.banks.synthesis.len() / dim;
        let padded = atoms.next_multiple_of(block);
        Self {
            dim,
            atoms,
            padded,
            step: encoder.step,
            levels: Levels::new(encoder.levels, encoder.level_shape, atoms, padded),
            schedule: Schedule::new(unrolling),
            arch: Arch::new(),
            form,
        }
    }
}
