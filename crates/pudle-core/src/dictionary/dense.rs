use burn::module::{Module, Param};
use burn::tensor::Tensor;
use pudle_kernels::Problem;

use super::{Dictionary, map_value};

/// A matrix of atoms for vectors: `D z` is a matrix product.
#[derive(Module, Debug)]
pub struct DenseDictionary {
    /// Atoms as columns, `[m, p]`.
    atoms: Param<Tensor<2>>,
}

impl DenseDictionary {
    /// A dictionary of the columns of `atoms`, `[m, p]`, taken as they are (see
    /// [`Dictionary::project`]).
    pub fn new(atoms: Tensor<2>) -> Self {
        Self { atoms: Param::from_tensor(atoms) }
    }
}

impl Dictionary<2> for DenseDictionary {
    const ATOM_AXIS: usize = 1;

    fn atoms(&self) -> Tensor<2> {
        self.atoms.val()
    }

    fn map_atoms(self, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        Self { atoms: map_value(self.atoms, f) }
    }

    fn analyze(&self, residual: Tensor<2>) -> Tensor<2> {
        residual.matmul(self.atoms())
    }

    fn synthesize(&self, code: Tensor<2>, _extent: [usize; 2]) -> Tensor<2> {
        code.matmul(self.atoms().transpose())
    }

    fn code_shape(&self, [batch, dim]: [usize; 2]) -> Option<[usize; 2]> {
        let [m, p] = self.atoms().dims();
        (dim == m).then_some([batch, p])
    }

    fn covering(&self, extent: [usize; 2]) -> [usize; 2] {
        extent
    }

    fn problem(&self, [_, dim]: [usize; 2]) -> Option<Problem> {
        Some(Problem::Dense { dim })
    }
}
