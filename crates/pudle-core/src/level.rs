//! Sparsity weights `λ` and levels `θ`, one for all atoms or one for each atom.

use burn::tensor::Tensor;

/// A sparsity weight `λ`, or the level `θ` of a proximal operator.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, per layer")]
pub enum Level {
    /// One number for every atom.
    Scalar(f64),
    /// One number per atom, for each datum or for all, `[b or 1, p or 1]`.
    PerAtom(Tensor<2>),
}

impl Level {
    /// The same number, outside any graph. On an autodiff device it stays a tensor of that device.
    pub(crate) fn detach(self) -> Self {
        match self {
            Level::Scalar(value) => Level::Scalar(value),
            Level::PerAtom(values) => Level::PerAtom(values.detach()),
        }
    }

    /// The same number without autodiff.
    pub(crate) fn inner(self) -> Self {
        match self {
            Level::Scalar(value) => Level::Scalar(value),
            Level::PerAtom(values) => Level::PerAtom(values.inner()),
        }
    }

    /// The product with a tensor of code shape, `[b, p, …]`.
    pub(crate) fn times<const D: usize>(&self, code: Tensor<D>) -> Tensor<D> {
        match self {
            Level::Scalar(value) => code * *value,
            Level::PerAtom(values) => code * along_atoms(values),
        }
    }
}

/// `[b, p]` as `[b, p, 1, …]`.
pub(crate) fn along_atoms<const D: usize>(values: &Tensor<2>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[..2].copy_from_slice(&values.dims());
    values.clone().reshape(shape)
}
