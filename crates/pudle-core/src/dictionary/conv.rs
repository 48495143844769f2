//! A bank of filters, along signals or over images.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose1d, conv_transpose2d, conv1d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use pudle_kernels::{Geometry, Problem};
use serde::{Deserialize, Serialize};

use super::operator::{Dictionary, map_value, power_iteration};
use super::settings::KindConfig;
use super::spectrum;
use crate::error::RangeError;

/// Shape of a bank of filters: along a signal, or square ones over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Number of filters `p`, ≥ 1.
    pub atoms: usize,
    /// Channels `C` of the signal or image, ≥ 1.
    pub channels: usize,
    /// Length `k` of a filter in samples, or its side in pixels, ≥ 1.
    pub size: usize,
    /// Samples or pixels between positions of a filter along each axis, 1 to `size`.
    pub stride: usize,
}

/// Filters that slide along a signal (`D` = 3) or over an image (`D` = 4): `D z` is a transposed convolution with a
/// stride.
#[derive(Module, Debug)]
pub struct ConvDictionary<const D: usize> {
    /// Filters, `[p, C, k]` or `[p, C, k, k]`.
    atoms: Param<Tensor<D>>,
    /// Samples between neighbouring positions of an atom along each axis, ≥ 1.
    #[module(skip)]
    stride: usize,
}

/// A signal of so many times the length of its filters is long: its ends hardly change `‖D‖²`.
const LONG: usize = 8;

/// Filters along a signal.
pub type ConvDictionary1d = ConvDictionary<3>;

/// Filters over an image.
pub type ConvDictionary2d = ConvDictionary<4>;

/// The convolutions of one rank.
pub trait Convolution<const D: usize> {
    /// Convolution with `atoms` at every `stride`-th sample, without padding.
    fn convolve(x: Tensor<D>, atoms: Tensor<D>, stride: usize) -> Tensor<D>;

    /// Its adjoint: the transposed convolution, with `rest` further samples (zeros) at the end of each axis, the axes
    /// after the channels in order.
    fn convolve_transposed(
        code: Tensor<D>,
        atoms: Tensor<D>,
        stride: usize,
        rest: &[usize],
    ) -> Tensor<D>;
}

impl Convolution<3> for ConvDictionary<3> {
    fn convolve(x: Tensor<3>, atoms: Tensor<3>, stride: usize) -> Tensor<3> {
        conv1d(x, atoms, None, ConvOptions::new([stride], [0], [1], 1))
    }

    fn convolve_transposed(
        code: Tensor<3>,
        atoms: Tensor<3>,
        stride: usize,
        rest: &[usize],
    ) -> Tensor<3> {
        let options = ConvTransposeOptions::new([stride], [0], [rest[0]], [1], 1);
        conv_transpose1d(code, atoms, None, options)
    }
}

impl Convolution<4> for ConvDictionary<4> {
    fn convolve(x: Tensor<4>, atoms: Tensor<4>, stride: usize) -> Tensor<4> {
        conv2d(x, atoms, None, ConvOptions::new([stride; 2], [0; 2], [1; 2], 1))
    }

    fn convolve_transposed(
        code: Tensor<4>,
        atoms: Tensor<4>,
        stride: usize,
        rest: &[usize],
    ) -> Tensor<4> {
        let rest = [rest[0], rest[1]];
        let options = ConvTransposeOptions::new([stride; 2], [0; 2], rest, [1; 2], 1);
        conv_transpose2d(code, atoms, None, options)
    }
}

impl<const D: usize> ConvDictionary<D> {
    /// A dictionary of the filters `atoms`, `[p, C, k]` or `[p, C, k, k]`, placed every `stride` ≥ 1 samples.
    pub fn new(atoms: Tensor<D>, stride: usize) -> Self {
        Self { atoms: Param::from_tensor(atoms), stride }
    }

    /// Samples between neighbouring positions of an atom.
    pub fn stride(&self) -> usize {
        self.stride
    }
}

impl<const D: usize> KindConfig<D> for ConvConfig
where
    ConvDictionary<D>: Convolution<D>,
{
    type Dictionary = ConvDictionary<D>;

    fn atoms(&self) -> usize {
        self.atoms
    }

    fn stride(&self) -> Option<usize> {
        Some(self.stride)
    }

    fn shape(&self) -> Vec<usize> {
        let mut shape = vec![self.size; D];
        shape[..2].copy_from_slice(&[self.atoms, self.channels]);
        shape
    }

    fn validate(&self) -> Result<(), RangeError> {
        let at_least_one = |field, value| match value {
            0 => Err(RangeError::new(field, value, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("model.dictionary.channels", self.channels)?;
        at_least_one("model.dictionary.size", self.size)?;
        if !(1..=self.size).contains(&self.stride) {
            return Err(RangeError::new(
                "model.dictionary.stride",
                self.stride,
                "between 1 and `model.dictionary.size`, or atoms leave gaps",
            ));
        }
        Ok(())
    }

    fn dictionary(&self, atoms: Tensor<D>) -> ConvDictionary<D> {
        ConvDictionary::new(atoms, self.stride)
    }
}

impl<const D: usize> Dictionary<D> for ConvDictionary<D>
where
    Self: Convolution<D>,
{
    const ATOM_AXIS: usize = 0;

    fn atoms(&self) -> Tensor<D> {
        self.atoms.val()
    }

    fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        Self { atoms: map_value(self.atoms, f), stride: self.stride }
    }

    fn analyze(&self, residual: Tensor<D>) -> Tensor<D> {
        Self::convolve(residual, self.atoms(), self.stride)
    }

    fn synthesize(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        let atoms = self.atoms();
        let size = atoms.dims();
        let rest: Vec<usize> =
            (2..D).map(|axis| (extent[axis] - size[axis]) % self.stride).collect();
        Self::convolve_transposed(code, atoms, self.stride, &rest)
    }

    fn code_shape(&self, extent: [usize; D]) -> Option<[usize; D]> {
        let size = self.atoms().dims();
        let mut shape = extent;
        shape[1] = size[0];
        for axis in 2..D {
            shape[axis] = positions(extent[axis], size[axis], self.stride)?;
        }
        (extent[1] == size[1]).then_some(shape)
    }

    fn covering(&self, mut extent: [usize; D]) -> [usize; D] {
        let size = self.atoms().dims();
        for axis in 2..D {
            extent[axis] = covered(extent[axis], size[axis], self.stride);
        }
        extent
    }

    fn squared_norm(&self, extent: [usize; D]) -> f64 {
        let size = self.atoms().dims();
        if D != 3 || self.stride != 1 || extent[2] < LONG * size[2] {
            return power_iteration(self, extent);
        }
        let filters: Vec<f64> = self.atoms().into_data().iter::<f64>().collect();
        spectrum::squared_norm(&filters, [size[0], size[1], size[2]])
    }

    /// A signal is an image of width 1, so that the strips of the pass lie along time.
    fn problem(&self, extent: [usize; D]) -> Option<Problem> {
        let size = self.atoms().dims();
        let last = |of: &[usize; D]| of.get(3).copied().unwrap_or(1);
        Some(Problem::Conv(Geometry {
            channels: extent[1],
            height: extent[2],
            width: last(&extent),
            atoms: size[0],
            kernel: [size[2], last(&size)],
            stride: [self.stride, if D > 3 { self.stride } else { 1 }],
        }))
    }
}

/// Positions of an atom of length `size` along an axis.
fn positions(extent: usize, size: usize, stride: usize) -> Option<usize> {
    (extent >= size).then(|| (extent - size) / stride + 1)
}

/// The smallest length not below `extent` that atoms of length `size` cover with `stride`.
fn covered(extent: usize, size: usize, stride: usize) -> usize {
    size + extent.saturating_sub(size).div_ceil(stride) * stride
}
