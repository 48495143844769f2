//! What an observation model must tell of itself.

use burn::tensor::Tensor;

/// How data are distributed around `u = D z + offset`: a link, and a loss that is the negative log-likelihood without what does
/// not depend on `u`. The gradient of the loss in `u` is `mean(u) − x`.
pub(super) trait Model: Sized {
    /// The name in a file.
    fn name(&self) -> String;

    /// Reads a name.
    fn parse(text: &str) -> Option<Self>;

    /// The mean of the data at `u`.
    fn mean<const D: usize>(&self, u: Tensor<D>) -> Tensor<D>;

    /// The `u` of a mean: the inverse of [`mean`](Self::mean).
    fn link<const D: usize>(&self, mean: Tensor<D>) -> Tensor<D>;

    /// A mean that is at least `least` away from those that no finite `u` has.
    fn within<const D: usize>(&self, mean: Tensor<D>, least: f64) -> Tensor<D>;

    /// The loss of every entry.
    fn loss<const D: usize>(&self, u: Tensor<D>, x: Tensor<D>) -> Tensor<D>;

    /// The largest second derivative of the loss in `u`.
    fn curvature(&self) -> f64;
}
