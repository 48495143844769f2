//! The dictionary `D` as a linear operator, over the rank of its data.

mod conv1d;
mod conv2d;
mod dense;

pub use conv1d::ConvDictionary1d;
pub use conv2d::ConvDictionary2d;
pub use dense::DenseDictionary;

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::{Device, Tensor, TensorData};
use pudle_kernels::Problem;

/// Norms below this count as zero when atoms are projected: a dead atom stays where it is instead
/// of turning into NaN.
const TINY_NORM: f64 = 1e-12;

/// A dictionary of `p` atoms acting on data of rank `D`, the leading axis being the batch.
///
/// | rank | data | code | atoms |
/// | --- | --- | --- | --- |
/// | 2, dense | `[b, m]` | `[b, p]` | `[m, p]` |
/// | 3, convolutional | `[b, C, n]` | `[b, p, n']` | `[p, C, k]` |
/// | 4, convolutional | `[b, C, H, W]` | `[b, p, H', W']` | `[p, C, k, k]` |
///
/// with `n' = ⌊(n − k)/stride⌋ + 1`. Synthesis and analysis are adjoint for every extent, also where
/// the strided atoms leave samples at the end uncovered (these are then zero in `D z` and ignored
/// by `Dᵀ r`).
pub trait Dictionary<const D: usize>: Module + ModuleDisplay + Sync + 'static {
    /// The axis of [`atoms`](Self::atoms) that counts the atoms.
    const ATOM_AXIS: usize;

    /// The atoms, shaped as in the table above.
    fn atoms(&self) -> Tensor<D>;

    /// The dictionary with other atoms, outside any graph; keeps the parameter's identity and whether
    /// it is trained, so that an optimiser's state still belongs to it.
    fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self;

    /// Analysis `Dᵀ r`: from data to code shape.
    ///
    /// # Panics
    /// Where `residual` is smaller than an atom or has other channels.
    fn analyze(&self, residual: Tensor<D>) -> Tensor<D>;

    /// Synthesis `D z`, in the shape `extent` of the data (the batch size in it is that of `code`).
    fn synthesize(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D>;

    /// Shape of the code of data of shape `extent`, or `None` where the data do not fit the atoms
    /// (smaller than an atom, other channels or dimension).
    fn code_shape(&self, extent: [usize; D]) -> Option<[usize; D]>;

    /// The smallest shape not below `extent` that the atoms cover to the last sample.
    fn covering(&self, extent: [usize; D]) -> [usize; D];

    /// What the fused pass needs to know to run through this dictionary on data of shape `extent`,
    /// which fit the atoms; `None` where only composed operations will do.
    fn problem(&self, extent: [usize; D]) -> Option<Problem> {
        let _ = extent;
        None
    }

    /// Number of atoms `p`.
    fn count(&self) -> usize {
        self.atoms().dims()[Self::ATOM_AXIS]
    }

    /// The Euclidean norm of each atom; every axis but the atoms' is 1.
    fn norms(&self) -> Tensor<D> {
        let mut squares = self.atoms().square();
        for axis in (0..D).filter(|axis| *axis != Self::ATOM_AXIS) {
            squares = squares.sum_dim(axis);
        }
        squares.sqrt()
    }

    /// Projection of every atom onto the unit sphere. An atom of norm zero is left as it is.
    fn project(self) -> Self {
        let norms = self.norms().inner().clamp_min(TINY_NORM);
        self.map_atoms(|atoms| atoms / norms)
    }

    /// `‖D‖²`, the largest eigenvalue of `DᵀD` on data of shape `extent` (its batch size does not
    /// matter), by power iteration from a fixed start.
    ///
    /// Stops once an iteration changes the estimate by less than `1e-6` of it, or after 300. The
    /// estimate is a Rayleigh quotient and so never above the true value; where the largest
    /// eigenvalues lie close together it may stay some tenths of a percent below.
    fn squared_norm(&self, extent: [usize; D]) -> f64 {
        let mut extent = extent;
        extent[0] = 1;
        let Some(shape) = self.code_shape(extent) else {
            return 0.0;
        };
        let atoms = self.atoms();
        let mut code = quasi_random(shape, &atoms);
        let mut estimate = 0.0;
        for _ in 0..300 {
            code = code.clone() / norm(&code).max(f64::MIN_POSITIVE);
            let data = self.synthesize(code, extent);
            let next = norm(&data).powi(2);
            code = self.analyze(data);
            if (next - estimate).abs() <= 1e-6 * next {
                return next;
            }
            estimate = next;
        }
        estimate
    }
}

/// Replaces a parameter's value by a function of it that no graph records, as an optimiser does.
pub(crate) fn map_value<const D: usize>(
    param: Param<Tensor<D>>,
    f: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    param.map(|value| {
        if !value.is_autodiff() {
            return f(value);
        }
        let trained = value.is_require_grad();
        f(value.inner()).autodiff().set_require_grad(trained)
    })
}

fn norm<const D: usize>(tensor: &Tensor<D>) -> f64 {
    tensor.clone().square().sum().into_scalar::<f64>().sqrt()
}

/// A start for power iteration that is the same on every backend and has no symmetry an
/// eigenvector could be orthogonal to: the fractional parts of multiples of the golden ratio.
fn quasi_random<const D: usize>(shape: [usize; D], like: &Tensor<D>) -> Tensor<D> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let values: Vec<f64> =
        (1..=shape.iter().product()).map(|i| (i as f64 * GOLDEN).fract() - 0.4).collect();
    let device: Device = like.device();
    Tensor::from_data(TensorData::new(values, shape), (&device, like.dtype()))
}

/// Shape of a convolutional code along one axis.
fn strided(extent: usize, size: usize, stride: usize) -> Option<usize> {
    (extent >= size).then(|| (extent - size) / stride + 1)
}

/// The smallest length not below `extent` that atoms of length `size` cover with `stride`.
fn covered(extent: usize, size: usize, stride: usize) -> usize {
    size + extent.saturating_sub(size).div_ceil(stride) * stride
}
