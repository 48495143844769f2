use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose1d, conv1d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use pudle_kernels::{Geometry, Problem};

use super::{Dictionary, covered, map_value, strided};

/// Filters that slide along a signal: `D z` is a transposed convolution with a stride.
#[derive(Module, Debug)]
pub struct ConvDictionary1d {
    /// Filters, `[p, C, k]`.
    atoms: Param<Tensor<3>>,
    /// Samples between neighbouring positions of an atom, at least 1.
    #[module(skip)]
    stride: usize,
}

impl ConvDictionary1d {
    /// A dictionary of the filters `atoms`, `[p, C, k]`, placed every `stride` ≥ 1 samples.
    pub fn new(atoms: Tensor<3>, stride: usize) -> Self {
        Self { atoms: Param::from_tensor(atoms), stride }
    }

    /// Samples between neighbouring positions of an atom.
    pub fn stride(&self) -> usize {
        self.stride
    }
}

impl Dictionary<3> for ConvDictionary1d {
    const ATOM_AXIS: usize = 0;

    fn atoms(&self) -> Tensor<3> {
        self.atoms.val()
    }

    fn map_atoms(self, f: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Self {
        Self { atoms: map_value(self.atoms, f), stride: self.stride }
    }

    fn analyze(&self, residual: Tensor<3>) -> Tensor<3> {
        conv1d(residual, self.atoms(), None, ConvOptions::new([self.stride], [0], [1], 1))
    }

    fn synthesize(&self, code: Tensor<3>, extent: [usize; 3]) -> Tensor<3> {
        let atoms = self.atoms();
        let [_, _, size] = atoms.dims();
        let rest = (extent[2] - size) % self.stride;
        conv_transpose1d(
            code,
            atoms,
            None,
            ConvTransposeOptions::new([self.stride], [0], [rest], [1], 1),
        )
    }

    fn code_shape(&self, [batch, channels, length]: [usize; 3]) -> Option<[usize; 3]> {
        let [p, c, size] = self.atoms().dims();
        let positions = strided(length, size, self.stride)?;
        (channels == c).then_some([batch, p, positions])
    }

    fn covering(&self, [batch, channels, length]: [usize; 3]) -> [usize; 3] {
        let [_, _, size] = self.atoms().dims();
        [batch, channels, covered(length, size, self.stride)]
    }

    /// A signal is an image of width 1, so that its strips lie along time.
    fn problem(&self, [_, channels, height]: [usize; 3]) -> Option<Problem> {
        let [atoms, _, size] = self.atoms().dims();
        let (kernel, stride) = ([size, 1], [self.stride, 1]);
        Some(Problem::Conv(Geometry { channels, height, width: 1, atoms, kernel, stride }))
    }
}
