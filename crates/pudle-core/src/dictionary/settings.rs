//! What the settings of a kind of dictionary must tell.

use burn::tensor::Tensor;

use super::operator::Dictionary;
use crate::error::RangeError;

/// The settings of one kind of dictionary, over data of rank `D`.
pub trait KindConfig<const D: usize> {
    /// The dictionary that they describe.
    type Dictionary: Dictionary<D>;

    /// Number of atoms `p`.
    fn atoms(&self) -> usize;

    /// Samples between positions of an atom; `None` if atoms have one position only.
    fn stride(&self) -> Option<usize>;

    /// Shape of the tensor of atoms.
    fn shape(&self) -> Vec<usize>;

    /// Returns an error for the first field that is out of its range, other than the number of atoms.
    fn validate(&self) -> Result<(), RangeError>;

    /// A dictionary of these atoms, which have this [`shape`](Self::shape).
    fn dictionary(&self, atoms: Tensor<D>) -> Self::Dictionary;
}
