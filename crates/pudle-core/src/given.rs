//! What is known of data and codes beside the data.

use burn::tensor::Tensor;

/// What is known of data and codes beside the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a, const D: usize> {
    /// 1 where an entry of the data is known, and 0 where it is missing and has no residual; `None` if all are known.
    pub mask: Option<&'a Tensor<D>>,
    /// 1 where a code may be other than zero, and 0 elsewhere; `None` if everywhere.
    pub support: Option<&'a Tensor<D>>,
}

impl<const D: usize> Given<'_, D> {
    /// All data are known, and codes may be anywhere.
    pub fn nothing() -> Self {
        Self { mask: None, support: None }
    }

    /// Whether nothing is known.
    pub fn is_nothing(&self) -> bool {
        self.mask.is_none() && self.support.is_none()
    }
}

/// `values` where `mask` is 1, and zero where it is 0.
pub(crate) fn masked<const D: usize>(values: Tensor<D>, mask: Option<&Tensor<D>>) -> Tensor<D> {
    match mask {
        Some(mask) => values * mask.clone(),
        None => values,
    }
}

/// The nearest code whose entries on the support are one number for each atom of the whole batch: the mean of each atom's
/// entries there. Other entries are zero.
pub(crate) fn shared<const D: usize>(code: Tensor<D>, support: Option<&Tensor<D>>) -> Tensor<D> {
    let all = code.ones_like();
    let support = support.unwrap_or(&all);
    // Axis 1 of a code counts the atoms.
    let over = |values: Tensor<D>| {
        (0..D).filter(|axis| *axis != 1).fold(values, |sum, axis| sum.sum_dim(axis))
    };
    let count = over(support.clone()).clamp_min(1.0);
    support.clone() * (over(code * support.clone()) / count)
}
