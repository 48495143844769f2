//! What every dictionary can do.

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::{Device, Tensor, TensorData};
use pudle_kernels::Problem;

/// Norms below this count as zero when atoms are projected. An atom that is zero stays zero, instead of turning
/// into NaN.
const TINY_NORM: f64 = 1e-12;

/// A dictionary of `p` atoms that acts on data of rank `D`. The leading axis is the batch.
///
/// | rank | data | code | atoms |
/// | --- | --- | --- | --- |
/// | 2, dense | `[b, m]` | `[b, p]` | `[m, p]` |
/// | 3, convolutional | `[b, C, n]` | `[b, p, n']` | `[p, C, k]` |
/// | 4, convolutional | `[b, C, H, W]` | `[b, p, H', W']` | `[p, C, k, k]` |
///
/// with `n' = ⌊(n − k)/stride⌋ + 1`. Synthesis and analysis are adjoint for every extent, also if
/// the strided atoms leave samples at the end uncovered (these are then zero in `D z`, and `Dᵀ r` ignores them).
pub trait Dictionary<const D: usize>: Module + ModuleDisplay + Sync + 'static {
    /// The axis of [`atoms`](Self::atoms) that counts the atoms.
    const ATOM_AXIS: usize;

    /// The atoms, shaped as in the table above.
    fn atoms(&self) -> Tensor<D>;

    /// The dictionary with other atoms, outside any graph. The parameter keeps its id and whether
    /// it requires a gradient, so that the state of an optimiser still belongs to it.
    fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self;

    /// Analysis `Dᵀ r`: from data shape to code shape.
    ///
    /// # Panics
    /// Panics if `residual` is smaller than an atom or has another number of channels.
    fn analyze(&self, residual: Tensor<D>) -> Tensor<D>;

    /// Synthesis `D z`, in the shape `extent` of the data (the batch size in it is that of `code`).
    fn synthesize(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D>;

    /// Shape of the code of data of shape `extent`; `None` if the data do not fit the atoms
    /// (smaller than an atom, other channels or another dimension).
    fn code_shape(&self, extent: [usize; D]) -> Option<[usize; D]>;

    /// The smallest shape, not below `extent`, that the atoms cover to the last sample.
    fn covering(&self, extent: [usize; D]) -> [usize; D];

    /// The description of this dictionary for the fused pass, on data of shape `extent` that fit the atoms. `None` if
    /// the fused pass does not support this dictionary.
    fn problem(&self, extent: [usize; D]) -> Option<Problem> {
        let _ = extent;
        None
    }

    /// Number of atoms `p`.
    fn count(&self) -> usize {
        self.atoms().dims()[Self::ATOM_AXIS]
    }

    /// Projection of every atom onto the unit sphere. An atom of norm zero stays as it is.
    fn project(self) -> Self {
        self.map_atoms(|atoms| unit_norm(atoms, Self::ATOM_AXIS))
    }

    /// `‖D‖²`, the largest eigenvalue of `DᵀD` on data of shape `extent` (its batch size does not
    /// matter), by power iteration from a fixed start.
    ///
    /// The iteration stops when a step changes the estimate by less than `1e-6` of it, or after 300 steps. The
    /// estimate is a Rayleigh quotient and so never above the true value. If the largest
    /// eigenvalues lie close together, it may be some tenths of a percent below. Filters at every sample of a long signal have a
    /// bound from their spectra instead, which is at most some percent above.
    fn squared_norm(&self, extent: [usize; D]) -> f64 {
        power_iteration(self, extent)
    }
}

/// [`Dictionary::squared_norm`] of any dictionary.
pub(super) fn power_iteration<const D: usize>(
    dictionary: &impl Dictionary<D>,
    extent: [usize; D],
) -> f64 {
    let mut extent = extent;
    extent[0] = 1;
    let Some(shape) = dictionary.code_shape(extent) else {
        return 0.0;
    };
    let atoms = dictionary.atoms();
    let mut code = quasi_random(shape, &atoms);
    let mut estimate = 0.0;
    for _ in 0..300 {
        code = code.clone() / norm(&code).max(f64::MIN_POSITIVE);
        let data = dictionary.synthesize(code, extent);
        let next = norm(&data).powi(2);
        code = dictionary.analyze(data);
        if (next - estimate).abs() <= 1e-6 * next {
            return next;
        }
        estimate = next;
    }
    estimate
}

/// Atoms divided by their Euclidean norms; `axis` counts the atoms.
pub(crate) fn unit_norm<const D: usize>(atoms: Tensor<D>, axis: usize) -> Tensor<D> {
    let mut squares = atoms.clone().square();
    for other in (0..D).filter(|other| *other != axis) {
        squares = squares.sum_dim(other);
    }
    atoms / squares.sqrt().clamp_min(TINY_NORM)
}

/// Atoms projected onto the part of the unit sphere that has no numbers below zero; `axis` counts the atoms. If no number of
/// an atom is above zero, the nearest point is where its largest number is 1.
pub(crate) fn nonnegative_unit_norm<const D: usize>(atoms: Tensor<D>, axis: usize) -> Tensor<D> {
    let over_atom = |values: Tensor<D>, fold: fn(Tensor<D>, usize) -> Tensor<D>| {
        (0..D).filter(|other| *other != axis).fold(values, fold)
    };
    let largest = over_atom(atoms.clone(), |values, other| values.max_dim(other));
    let none_above = largest.clone().lower_equal_elem(0.0).expand(atoms.dims());
    // An atom of norm zero stays as it is.
    let some = over_atom(atoms.clone().abs(), |values, other| values.max_dim(other)).sign();
    let at_largest = atoms.clone().greater_equal(largest.expand(atoms.dims())).float();
    let at_largest = at_largest.cast(atoms.dtype()) * some;
    unit_norm(atoms.clamp_min(0.0).mask_where(none_above, at_largest), axis)
}

/// Rounds of the power iteration for the nearest atoms of rank one.
const RANK_ONE_ROUNDS: usize = 30;

/// The nearest filters, `[p, C, k]`, that are a waveform times a weight for each channel: the first singular vectors of each
/// filter with their singular value (Eckart & Young, 1936), by power iteration from the weights' norms.
pub(crate) fn rank_one<const D: usize>(atoms: Tensor<D>) -> Tensor<D> {
    let unit = |values: Tensor<D>, axis: usize| {
        let norm = values.clone().square().sum_dim(axis).sqrt();
        values / norm.clamp_min(TINY_NORM)
    };
    // The channel of the largest norm has a part of the first singular vector, but for atoms that are zero. Of equal ones the
    // first: their sum could be zero.
    let largest = atoms.clone().square().sum_dim(2).argmax(1);
    let row = largest.expand(atoms.clone().narrow(1, 0, 1).dims());
    let mut waveform = unit(atoms.clone().gather(1, row), 2);
    let weights_of = |waveform: &Tensor<D>| unit((atoms.clone() * waveform.clone()).sum_dim(2), 1);
    for _ in 0..RANK_ONE_ROUNDS {
        waveform = unit((atoms.clone() * weights_of(&waveform)).sum_dim(1), 2);
    }
    let weights = weights_of(&waveform);
    let value = (atoms * weights.clone() * waveform.clone()).sum_dim(1).sum_dim(2);
    weights * waveform * value
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

/// A start for power iteration: the fractional parts of multiples of the golden ratio. It is the same on every backend
/// and has no symmetry to which an eigenvector could be orthogonal.
fn quasi_random<const D: usize>(shape: [usize; D], like: &Tensor<D>) -> Tensor<D> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let values: Vec<f64> =
        (1..=shape.iter().product()).map(|i| (i as f64 * GOLDEN).fract() - 0.4).collect();
    let device: Device = like.device();
    Tensor::from_data(TensorData::new(values, shape), (&device, like.dtype()))
}
