//! A network that the fused pass runs.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::banks::{Banks, Tying};
use crate::op::border::{UnrolledBackend, supports, supports_half};
use crate::plan::Plan;
use crate::settings::{Problem, Unrolling};

/// An unrolled network: the tensors of its encoder and decoder, and how to run them.
#[derive(Clone, Debug)]
pub struct Network<const D: usize> {
    /// The dictionary, for data of one shape.
    pub problem: Problem,
    /// The layers.
    pub unrolling: Unrolling,
    /// Banks of atoms, each `[m, p]`, `[p, C, k]` or `[p, C, k, k]`.
    pub banks: Banks<Tensor<D>>,
    /// Step size `α`, `[1]`.
    pub step: Tensor<1>,
    /// Levels `θ ≥ 0`, `[T or 1, b or 1, p or 1]`.
    pub levels: Tensor<3>,
}

impl<const D: usize> Network<D> {
    /// The codes of the data `x`, of shape `code`, and the reconstructions, in the shape of the data.
    /// Returns `None` if there is no fused pass: on a backend or for a dtype that [`supports`] or [`supports_half`] denies,
    /// for tensors of different dtypes, or for a matrix with an analysis or a decoder of its own.
    ///
    /// Gradients reach the data, the banks, the step size and the levels, through the last
    /// `unrolling.recorded` layers and the decoder. There are no gradients of gradients.
    ///
    /// # Panics
    /// Panics if the shapes do not fit.
    pub fn run(&self, x: Tensor<D>, code: [usize; D]) -> Option<(Tensor<D>, Tensor<D>)> {
        let Self { problem, unrolling, banks, step, levels } = self.clone();
        let tying = banks.tying();
        let dense = matches!(problem, Problem::Dense { .. });
        if !self.is_fused(&x) || (dense && tying != Tying::Tied) {
            return None;
        }
        let extent = x.dims();
        let codes: usize = code.iter().product();
        let Banks { analysis, synthesis, decoder } = banks;
        // A tied bank is passed as a constant, so that its gradient counts in that of the synthesis bank
        // alone. This copies no numbers.
        let constant = || synthesis.clone().set_require_grad(false);
        let analysis = analysis.unwrap_or_else(constant);
        let decoder = match tying {
            Tying::Untied => decoder.unwrap_or_else(|| synthesis.clone()),
            _ => decoder.unwrap_or_else(constant),
        };
        let output = Tensor::<1>::from_dispatch(Dispatch::unrolled(
            x.into_dispatch(),
            analysis.into_dispatch(),
            synthesis.into_dispatch(),
            decoder.into_dispatch(),
            step.into_dispatch(),
            levels.into_dispatch(),
            Plan { problem, unrolling, tying },
        ));
        let end = output.dims()[0];
        let reconstruction = output.clone().narrow(0, codes, end - codes).reshape(extent);
        Some((output.narrow(0, 0, codes).reshape(code), reconstruction))
    }

    /// Whether all tensors of a pass over `x` are of one dtype, on backends that have the pass.
    pub(super) fn is_fused(&self, x: &Tensor<D>) -> bool {
        let dtype = x.dtype();
        supports(x)
            && (!self.unrolling.half || supports_half(x))
            && self.banks.iter().all(|bank| supports(bank) && bank.dtype() == dtype)
            && self.step.dtype() == dtype
            && self.levels.dtype() == dtype
    }
}
