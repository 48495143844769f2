//! What a backend must have for the fused pass, and which backends have it.

use std::fmt::Debug;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchTensorKind, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::encoder::Wanted;
use crate::plan::Plan;

/// A backend with the unrolled pass as one operation.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub trait UnrolledBackend: Backend {
    /// Codes and reconstructions of a batch, one after the other in one tensor of rank 1.
    ///
    /// The banks of atoms that are not their own, by `plan.own`, are those of `synthesis` once more, and are not read.
    /// All tensors are of one dtype and on one device.
    fn unrolled(
        x: FloatTensor<Self>,
        analysis: FloatTensor<Self>,
        synthesis: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;
}

/// The tensors that go into a pass, as [`UnrolledBackend::unrolled`] takes them.
pub struct UnrolledInputs<B: Backend> {
    /// The data.
    pub x: FloatTensor<B>,
    /// Atoms of the layers' analysis.
    pub analysis: FloatTensor<B>,
    /// Atoms of the layers' synthesis.
    pub synthesis: FloatTensor<B>,
    /// Atoms of the decoder.
    pub decoder: FloatTensor<B>,
    /// Step size, `[1]`.
    pub step: FloatTensor<B>,
    /// Levels, `[T or 1, batch or 1, p or 1]`.
    pub levels: FloatTensor<B>,
}

/// The gradients of a pass, flat; one that is not wanted is `None`.
pub struct UnrolledGradients<B: Backend> {
    /// Of the data.
    pub x: Option<FloatTensor<B>>,
    /// Of the atoms of the analysis, if these are its own.
    pub analysis: Option<FloatTensor<B>>,
    /// Of the atoms of the synthesis, and of every part of the pass that shares them.
    pub synthesis: FloatTensor<B>,
    /// Of the atoms of the decoder, if these are its own.
    pub decoder: Option<FloatTensor<B>>,
    /// Of the step size.
    pub step: Option<FloatTensor<B>>,
    /// Of the levels.
    pub levels: Option<FloatTensor<B>>,
}

/// A backend that runs the pass and its backward half.
pub trait TapedBackend: UnrolledBackend {
    /// What the forward half leaves for the backward half: tensors of the backend if these are on a device or behind a
    /// wire, any memory of the host otherwise.
    type Tape: Debug + Send + Sync + 'static;

    /// [`UnrolledBackend::unrolled`] with its tape.
    fn unrolled_taped(inputs: UnrolledInputs<Self>, plan: Plan) -> (FloatTensor<Self>, Self::Tape);

    /// The gradients of a loss with this `gradient` in the output of the pass.
    fn unrolled_backward(
        gradient: FloatTensor<Self>,
        tape: &Self::Tape,
        plan: Plan,
        wanted: Wanted,
    ) -> UnrolledGradients<Self>;
}

/// Whether the backend of `tensor` has a fused pass for its dtype.
pub fn supports<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn has_pass(kind: &DispatchTensorKind) -> bool {
        match kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => true,
            #[allow(unreachable_patterns, reason = "present with the feature autodiff alone")]
            DispatchTensorKind::Autodiff(inner) => has_pass(inner),
            #[allow(unreachable_patterns, reason = "other backends are cargo features")]
            _ => false,
        }
    }
    matches!(tensor.dtype(), DType::F32 | DType::F64)
        && has_pass(&tensor.clone().into_dispatch().kind)
}
