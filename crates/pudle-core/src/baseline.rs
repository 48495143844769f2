//! Baselines: a number for each channel of a datum that is added to `D z` at every sample, and inferred with the code.

use burn::tensor::Tensor;

use crate::given::masked;
use crate::observation::Observation;

/// The axes of the samples of a channel. Vectors have one channel.
fn samples<const D: usize>() -> std::ops::Range<usize> {
    D.min(3) - 1..D
}

/// The mean over the samples of a channel that are known, with 1 in place of the axes of samples. `values` are zero where they
/// are missing.
pub(crate) fn mean<const D: usize>(values: Tensor<D>, mask: Option<&Tensor<D>>) -> Tensor<D> {
    let over = |values: Tensor<D>| samples::<D>().fold(values, |sum, axis| sum.sum_dim(axis));
    match mask {
        Some(mask) => over(values) / over(mask.clone()).clamp_min(1.0),
        None => {
            let count: usize = samples::<D>().map(|axis| values.dims()[axis]).product();
            over(values) / count as f64
        }
    }
}

/// The baseline that is best without any event: that of the mean of the data. It has no graph.
///
/// A mean of counts is moved by half a count from those that no finite baseline has.
pub(crate) fn first<const D: usize>(
    x: &Tensor<D>,
    mask: Option<&Tensor<D>>,
    observation: Observation,
    offset: f64,
) -> Tensor<D> {
    let samples: usize = samples::<D>().map(|axis| x.dims()[axis]).product();
    let x = masked(x.clone().detach(), mask);
    let mean = observation.within(mean(x, mask), 0.5 / samples as f64);
    match observation.is_gaussian() {
        true => mean,
        false => observation.link(mean) - offset,
    }
}
