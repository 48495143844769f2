//! What a backend implements for the fused pass, and which backends have one.

use std::fmt::Debug;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchTensorKind, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::banks::Banks;
use crate::encoder::Wanted;
use crate::plan::Plan;

/// A backend that runs an unrolled network as one operation.
///
/// A bank of atoms that `plan.tying` ties to the synthesis bank is not read. Its argument can be any
/// tensor of the backend; [`Network`](crate::Network) passes the synthesis bank.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Remote: cfg(feature = "remote"),
    Autodiff
)]
pub trait UnrolledBackend: Backend {
    /// The codes and the reconstructions of a batch, one after the other in one tensor of rank 1.
    ///
    /// `x` is `[b, m]`, `[b, C, L]` or `[b, C, H, W]`, a bank `[m, p]`, `[p, C, k]` or `[p, C, k, k]`,
    /// `step` `[1]`, and `levels` `[T or 1, b or 1, p or 1]`.
    #[cfg_attr(
        not(any(feature = "flex", feature = "wgpu", feature = "cuda", feature = "remote")),
        allow(unused_variables, reason = "no backend to route to")
    )]
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

/// A backend that runs an unrolled network forward and backward.
pub trait TapedBackend: UnrolledBackend {
    /// What the forward pass stores for the backward pass. On a backend of tensors, this can be a `Vec`
    /// of them.
    type Tape: Debug + Send + Sync + 'static;

    /// [`unrolled`](UnrolledBackend::unrolled), and the tape of the last `plan.unrolling.recorded` layers.
    fn unrolled_taped(
        x: FloatTensor<Self>,
        analysis: FloatTensor<Self>,
        synthesis: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, Self::Tape);

    /// The gradients of the inputs from `gradient`, that of the output.
    fn unrolled_backward(
        gradient: FloatTensor<Self>,
        tape: &Self::Tape,
        plan: Plan,
        wanted: Wanted,
    ) -> NetworkGradients<Self>;
}

/// Gradients of the inputs of a pass, each in the shape of its input.
#[derive(Clone, Debug)]
pub struct NetworkGradients<B: Backend> {
    /// Of the data, if wanted.
    pub x: Option<FloatTensor<B>>,
    /// Of each bank of atoms. The gradient of a tied bank is part of that of the synthesis bank.
    pub banks: Banks<FloatTensor<B>>,
    /// Of the step size, if wanted.
    pub step: Option<FloatTensor<B>>,
    /// Of the levels, if wanted.
    pub levels: Option<FloatTensor<B>>,
}

/// Whether there is a fused pass for a tensor: by its backend, its dtype, and on a GPU whether the device has the dtype.
pub fn supports<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn has_pass(kind: &DispatchTensorKind, dtype: DType) -> bool {
        match kind {
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => matches!(dtype, DType::F32 | DType::F64),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            DispatchTensorKind::Cube(_) => matches!(dtype, DType::F32 | DType::F64),
            #[cfg(feature = "remote")]
            DispatchTensorKind::Remote(_) => dtype == DType::F32,
            DispatchTensorKind::Autodiff(inner) => has_pass(inner, dtype),
            #[allow(unreachable_patterns, reason = "other backends are features of Cargo")]
            _ => false,
        }
    }
    let dtype = tensor.dtype();
    has_pass(&tensor.clone().into_dispatch().kind, dtype)
        && (dtype != DType::F64 || tensor.device().supports_dtype(dtype))
}

/// Whether the fused pass of filters can store 16 bits between layers for a tensor: see [`Unrolling::half`](crate::Unrolling::half).
pub fn supports_half<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32
        && tensor.device().supports_dtype(DType::F16)
        && is_on(tensor, |kind| match kind {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            DispatchTensorKind::Cube(_) => true,
            #[allow(unreachable_patterns, reason = "other backends are features of Cargo")]
            _ => false,
        })
}

/// Whether a tensor is on Burn's CPU backend.
pub fn is_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_on(tensor, |kind| match kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => true,
        #[allow(unreachable_patterns, reason = "other backends are features of Cargo")]
        _ => false,
    })
}

/// Whether `test` holds for a tensor below autodiff.
fn is_on<const D: usize>(tensor: &Tensor<D>, test: fn(&DispatchTensorKind) -> bool) -> bool {
    let tensor = tensor.clone().into_dispatch();
    let mut kind = &tensor.kind;
    while let DispatchTensorKind::Autodiff(inner) = kind {
        kind = inner;
    }
    test(kind)
}
