use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use pudle_kernels::{Geometry, Problem};

use super::{Dictionary, covered, map_value, strided};

/// Filters that slide over an image: `D z` is a transposed convolution with a stride.
#[derive(Module, Debug)]
pub struct ConvDictionary2d {
    /// Filters, `[p, C, k, k]`.
    atoms: Param<Tensor<4>>,
    /// Pixels between neighbouring positions of an atom along both axes, at least 1.
    #[module(skip)]
    stride: usize,
}

impl ConvDictionary2d {
    /// A dictionary of the filters `atoms`, `[p, C, k, k]`, placed every `stride` ≥ 1 pixels.
    pub fn new(atoms: Tensor<4>, stride: usize) -> Self {
        Self { atoms: Param::from_tensor(atoms), stride }
    }

    /// Pixels between neighbouring positions of an atom.
    pub fn stride(&self) -> usize {
        self.stride
    }
}

impl Dictionary<4> for ConvDictionary2d {
    const ATOM_AXIS: usize = 0;

    fn atoms(&self) -> Tensor<4> {
        self.atoms.val()
    }

    fn map_atoms(self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        Self { atoms: map_value(self.atoms, f), stride: self.stride }
    }

    fn analyze(&self, residual: Tensor<4>) -> Tensor<4> {
        conv2d(residual, self.atoms(), None, ConvOptions::new([self.stride; 2], [0; 2], [1; 2], 1))
    }

    fn synthesize(&self, code: Tensor<4>, extent: [usize; 4]) -> Tensor<4> {
        let atoms = self.atoms();
        let [_, _, rows, columns] = atoms.dims();
        let rest = [(extent[2] - rows) % self.stride, (extent[3] - columns) % self.stride];
        conv_transpose2d(
            code,
            atoms,
            None,
            ConvTransposeOptions::new([self.stride; 2], [0; 2], rest, [1; 2], 1),
        )
    }

    fn code_shape(&self, [batch, channels, height, width]: [usize; 4]) -> Option<[usize; 4]> {
        let [p, c, rows, columns] = self.atoms().dims();
        let (height, width) =
            (strided(height, rows, self.stride)?, strided(width, columns, self.stride)?);
        (channels == c).then_some([batch, p, height, width])
    }

    fn covering(&self, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        let [_, _, rows, columns] = self.atoms().dims();
        [batch, channels, covered(height, rows, self.stride), covered(width, columns, self.stride)]
    }

    fn problem(&self, [_, channels, height, width]: [usize; 4]) -> Option<Problem> {
        let [atoms, _, rows, columns] = self.atoms().dims();
        let (kernel, stride) = ([rows, columns], [self.stride; 2]);
        Some(Problem::Conv(Geometry { channels, height, width, atoms, kernel, stride }))
    }
}
