use burn::tensor::{IndexingUpdateOp, Tensor};
use pudle_kernels::Shrinkage;

use super::operator::Operator;
use crate::error::RangeError;
use crate::level::Level;
use crate::step::StepSize;

/// The `k` codes of largest magnitude of a datum, or of each position of a filter bank; the others are 0. It is the
/// projection onto the codes with at most `k` non-zeros (iterative hard thresholding, Blumensath & Davies, 2008). There
/// is no `λ`: the penalty is 0 on those codes and infinite elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    /// Number of non-zeros `k`, 1 to the number of atoms.
    pub k: usize,
}

impl Operator for TopK {
    fn name(&self) -> String {
        format!("top-k:{}", self.k)
    }

    fn parse(name: &str) -> Option<Self> {
        let k = name.strip_prefix("top-k:")?.parse().ok()?;
        (k > 0).then_some(Self { k })
    }

    fn apply<const D: usize>(&self, v: Tensor<D>, _: &Level) -> Tensor<D> {
        let magnitude = v.clone().detach().abs();
        let (_, largest) = magnitude.clone().topk_with_indices(self.k, 1);
        // Indices, not a threshold, so that equal magnitudes leave k codes, too.
        let ones = Tensor::ones(largest.dims(), (&v.device(), v.dtype()));
        let support = magnitude.zeros_like().scatter(1, largest, ones, IndexingUpdateOp::Add);
        v * support
    }

    fn penalty<const D: usize>(&self, code: Tensor<D>, _: &Level, _: &StepSize) -> Tensor<1> {
        Tensor::zeros([1], (&code.device(), code.dtype()))
    }

    fn penalty_gradient<const D: usize>(&self, code: Tensor<D>, _: &Level) -> Tensor<D> {
        code.zeros_like()
    }

    fn level_is_lambda(&self) -> bool {
        true
    }

    fn level_name(&self) -> Option<&'static str> {
        None
    }

    fn learns_level(&self) -> bool {
        false
    }

    fn kernel(&self) -> Option<Shrinkage> {
        None
    }

    fn validate(&self, atoms: usize) -> Result<(), RangeError> {
        match self.k <= atoms {
            true => Ok(()),
            false => {
                let range = format!("top-k with k between 1 and {atoms}, the number of atoms");
                Err(RangeError::new("model.prox", self.name(), range))
            }
        }
    }
}
