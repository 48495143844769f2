//! A matrix of atoms.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use pudle_kernels::Problem;
use serde::{Deserialize, Serialize};

use super::operator::{Dictionary, map_value};
use super::settings::KindConfig;
use crate::error::RangeError;

/// Shape of a matrix of `atoms` columns of `dim` entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Dimension `m` of a datum, ≥ 1.
    pub dim: usize,
    /// Number of atoms `p`, ≥ 1.
    pub atoms: usize,
}

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

impl KindConfig<2> for DenseConfig {
    type Dictionary = DenseDictionary;

    fn atoms(&self) -> usize {
        self.atoms
    }

    fn stride(&self) -> Option<usize> {
        None
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.dim, self.atoms]
    }

    fn validate(&self) -> Result<(), RangeError> {
        match self.dim {
            0 => Err(RangeError::new("model.dictionary.dim", 0, "at least 1")),
            _ => Ok(()),
        }
    }

    fn dictionary(&self, atoms: Tensor<2>) -> DenseDictionary {
        DenseDictionary::new(atoms)
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
