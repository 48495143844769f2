//! A network for the fused pass.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::encoder::Banks;
use crate::op::border::{UnrolledBackend, supports};
use crate::plan::{OwnBanks, Plan};
use crate::settings::{Problem, Unrolling};

/// An unrolled network with its weights.
#[derive(Clone, Debug)]
pub struct Network<const D: usize> {
    /// The dictionary, for the shape of the data.
    pub problem: Problem,
    /// The layers.
    pub unrolling: Unrolling,
    /// The banks of atoms.
    pub banks: Banks<Tensor<D>>,
    /// Step size, `[1]`.
    pub step: Tensor<1>,
    /// Levels `θ ≥ 0`, `[T or 1, batch or 1, p or 1]`.
    pub levels: Tensor<3>,
}

impl<const D: usize> Network<D> {
    /// The codes of `x`, of shape `code`, and the reconstructions, in the shape of the data. `None` if the backend has no
    /// fused pass for these data, or for this network: a matrix works in Gram form, which needs one dictionary.
    ///
    /// The gradient reaches atoms, data, step and levels through the last `recorded` layers and the decoder, wherever it
    /// is asked for. All tensors are of one dtype and on one device.
    ///
    /// # Panics
    /// Panics if shapes do not fit.
    pub fn run(&self, x: Tensor<D>, code: [usize; D]) -> Option<(Tensor<D>, Tensor<D>)> {
        let dense = matches!(self.problem, Problem::Dense { .. });
        if !supports(&x) || dense && !self.banks.are_tied() {
            return None;
        }
        let extent = x.dims();
        let codes: usize = code.iter().product();
        let Banks { analysis, synthesis, decoder } = self.banks.clone();
        let own = OwnBanks { analysis: analysis.is_some(), decoder: decoder.is_some() };
        // A bank that is not its own needs no gradient: the one of the synthesis counts for it.
        let shared = || synthesis.clone().detach();
        let plan = Plan { problem: self.problem, unrolling: self.unrolling, own, codes };
        let output = Tensor::<1>::from_dispatch(Dispatch::unrolled(
            x.into_dispatch(),
            analysis.unwrap_or_else(shared).into_dispatch(),
            synthesis.clone().into_dispatch(),
            decoder.unwrap_or_else(shared).into_dispatch(),
            self.step.clone().into_dispatch(),
            self.levels.clone().into_dispatch(),
            plan,
        ));
        let end = output.dims()[0];
        let reconstruction = output.clone().narrow(0, codes, end - codes).reshape(extent);
        Some((output.narrow(0, 0, codes).reshape(code), reconstruction))
    }
}
