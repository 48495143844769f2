//! A pass through a matrix: its sizes, its memory and its products.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::op::cube::numbers::Numbers;
use crate::op::cube::pass::{Inputs, empty, grid, packed_levels};
use crate::plan::Plan;
use crate::schedule::Schedule;

/// Codes in a vector, at most.
const WIDEST: usize = 4;

/// A pass through a matrix `D`, `[m, p]`, for data `[b, m]`.
#[derive(Clone)]
pub struct MatrixPass {
    pub batch: usize,
    pub dim: usize,
    pub atoms: usize,
    /// Codes in a vector: vectors divide the atoms.
    pub width: usize,
    pub schedule: Schedule,
    pub inputs: Inputs,
    /// `x D`, `[b, p]`.
    pub correlations: CubeTensor,
    /// `DᵀD`, if the products of the layers are with it.
    pub gram: Option<CubeTensor>,
    /// `[T or 1, b or 1, p]`.
    pub levels: CubeTensor,
    /// Numbers for arguments that a kernel does not use.
    pub spare: CubeTensor,
    pub numbers: Numbers,
}

impl MatrixPass {
    /// # Panics
    /// Panics if the banks are not tied.
    pub fn new(inputs: Inputs, plan: Plan, record: bool) -> Self {
        assert!(inputs.banks.iter().count() == 1, "the pass through a matrix needs one dictionary");
        let [batch, dim] = inputs.x.shape().dims();
        let [_, atoms] = inputs.banks.synthesis.shape().dims();
        let schedule = Schedule::new(plan.unrolling);
        let d = inputs.banks.synthesis.clone();
        let gram = gram_is_less(batch * schedule.layers, dim, atoms, record)
            .then(|| multiply(transposed(d.clone()), d.clone()));
        let numbers = Numbers::new(inputs.x.dtype, false);
        let spare = empty(&inputs.x.device, WIDEST, numbers.tensors);
        Self {
            batch,
            dim,
            atoms,
            width: (0..=WIDEST.ilog2()).rev().map(|n| 1 << n).find(|w| atoms % w == 0).unwrap_or(1),
            schedule,
            correlations: multiply(inputs.x.clone(), d),
            gram,
            levels: packed_levels(&inputs, atoms, atoms),
            spare,
            numbers,
            inputs,
        }
    }

    pub fn client(&self) -> &cubecl::client::Client {
        &self.inputs.x.client
    }

    /// The dictionary.
    pub fn dictionary(&self) -> CubeTensor {
        self.inputs.banks.synthesis.clone()
    }

    /// Memory of shape `[rows, p]`, not set to anything.
    pub fn rows(&self, rows: usize) -> CubeTensor {
        let numbers = empty(&self.inputs.x.device, rows * self.atoms, self.numbers.tensors);
        reshaped(numbers, [rows, self.atoms])
    }

    /// A grid with a unit for each vector of the codes.
    pub fn grid(&self) -> (CubeCount, CubeDim) {
        grid(self.vectors(), 1)
    }

    /// Vectors of the codes.
    pub fn vectors(&self) -> usize {
        self.batch * self.atoms / self.width
    }

    /// `y DᵀD` of codes `[b, p]`.
    pub fn product(&self, y: CubeTensor) -> CubeTensor {
        match &self.gram {
            Some(gram) => multiply(y, gram.clone()),
            None => multiply(multiply(y, transposed(self.dictionary())), self.dictionary()),
        }
    }

    /// The row of the levels of layer `t`, and how many rows the next datum is further.
    pub fn level_row(&self, t: usize) -> [usize; 2] {
        let [layers, data, _] = self.inputs.levels.shape().dims();
        [t.min(layers - 1) * data, usize::from(data > 1)]
    }
}

/// Whether the products with `DᵀD`, and forming it, are less work than those with `D`, for `rows` codes of all layers and data.
///
/// Forward, a code takes `p²` multiplications in Gram form and `2 m p` with `D`. A recorded code takes `2 p²` and `6 m p` more: for
/// the layer backward, and for the gradient of the dictionary. `DᵀD` takes `m p²`, and its gradient as much.
fn gram_is_less(rows: usize, dim: usize, atoms: usize, record: bool) -> bool {
    match record {
        true => (3 * rows + 2 * dim) * atoms < 8 * rows * dim,
        false => (rows + dim) * atoms < 2 * rows * dim,
    }
}

/// `a b`. On some devices, a product has rows that are longer than they need be: our kernels read it without such gaps.
pub(super) fn multiply(a: CubeTensor, b: CubeTensor) -> CubeTensor {
    into_contiguous(CubeBackend::float_matmul(a, b))
}

pub(super) fn transposed(a: CubeTensor) -> CubeTensor {
    CubeBackend::float_swap_dims(a, 0, 1)
}

pub(super) fn reshaped<const D: usize>(a: CubeTensor, shape: [usize; D]) -> CubeTensor {
    CubeBackend::float_reshape(a, Shape::new(shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_with_less_work() {
        // Forming a large Gram matrix is more than ten layers of a small batch.
        assert!(!gram_is_less(10 * 4, 1000, 1500, false));
        assert!(!gram_is_less(10 * 4, 1000, 1500, true));
        assert!(gram_is_less(100 * 50, 1000, 1500, false));
        assert!(gram_is_less(20 * 50, 1000, 1500, true));
        // With many more atoms than dimensions, it never pays.
        assert!(!gram_is_less(1_000_000, 256, 512, false));
        assert!(!gram_is_less(1_000_000, 256, 768, true));
    }
}
