//! The pass as one operation of Burn.

mod autodiff;
mod backend;
#[cfg(feature = "flex")]
mod flex;

use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::{DType, Element, Tensor, TensorData};

use crate::banks::{Banks, Tying};
use crate::conv::{ShiftWindows, conv_shifts};
use crate::encoder::Encoder;
use crate::geometry::Geometry;
use crate::plan::Plan;
use crate::real::Real;
use crate::settings::{Problem, Unrolling};

pub use backend::{NetworkGradients, TapedBackend, UnrolledBackend};
#[cfg(feature = "flex")]
pub use flex::FlexTape;

/// Whether the `flex` backend holds a tensor: the tensors that numbers in slices can be read from.
fn is_flex(kind: &DispatchTensorKind) -> bool {
    match kind {
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => is_flex(inner),
        #[allow(unreachable_patterns, reason = "other backends are features of cargo")]
        _ => false,
    }
}

/// Whether there is a fused pass for a tensor: by its backend and its dtype.
pub fn supports<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::F32 | DType::F64)
        && is_flex(&tensor.clone().into_dispatch().kind)
}

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
    /// Returns `None` if there is no fused pass: on a backend or for a dtype that [`supports`] denies,
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
    fn is_fused(&self, x: &Tensor<D>) -> bool {
        let dtype = x.dtype();
        supports(x)
            && self.banks.iter().all(|bank| supports(bank) && bank.dtype() == dtype)
            && self.step.dtype() == dtype
            && self.levels.dtype() == dtype
    }
}

impl Network<4> {
    /// The mean of the reconstructions of parts of the images `x`, `[b, C, H, W]`, each moved back to its
    /// place, in the wanted window, `[b, C, h, w]`: see [`conv_shifts`]. `problem` is that of a part.
    /// Returns `None` if there is no fused pass, as [`run`](Self::run) does, if the dictionary is a
    /// matrix, or if the levels differ between the images. The result has no graph.
    ///
    /// # Panics
    /// As [`conv_shifts`].
    pub fn run_shifted(&self, x: Tensor<4>, shifts: &ShiftWindows) -> Option<Tensor<4>> {
        let Problem::Conv(geometry) = self.problem else { return None };
        if !self.is_fused(&x) || !is_flex(&x.clone().into_dispatch().kind) {
            return None;
        }
        // Images run one by one, with the same levels for each.
        if self.levels.dims()[1] > 1 {
            return None;
        }
        Some(match x.dtype() {
            DType::F64 => self.mean::<f64>(geometry, x, shifts),
            _ => self.mean::<f32>(geometry, x, shifts),
        })
    }

    fn mean<T: Real + Element>(
        &self,
        geometry: Geometry,
        x: Tensor<4>,
        shifts: &ShiftWindows,
    ) -> Tensor<4> {
        let (device, [batch, channels, height, width]) = (x.device(), x.dims());
        let numbers = |data: TensorData| data.try_into_vec::<T>().expect("the dtype was asked for");
        let banks = self.banks.clone().map(|bank| numbers(bank.into_data()));
        let [x, step, levels] =
            [x.into_data(), self.step.to_data(), self.levels.to_data()].map(numbers);
        let encoder = Encoder {
            banks: banks.as_ref().map(Vec::as_slice),
            step: step[0],
            levels: &levels,
            level_shape: self.levels.dims(),
        };
        let means: Vec<T> = x
            .chunks_exact(channels * height * width)
            .flat_map(|x| {
                conv_shifts(geometry, x, [height, width], shifts, encoder, self.unrolling)
            })
            .collect();
        let shape = [batch, channels, shifts.size[0], shifts.size[1]];
        Tensor::from_data(TensorData::new(means, shape), (&device, T::dtype()))
    }
}
