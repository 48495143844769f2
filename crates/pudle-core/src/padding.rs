//! Reflection at the end of each axis, so that strided atoms cover data of any extent.

use burn::tensor::{Int, Tensor, TensorData};

/// Grows `x` to `extent` at the end of every axis but the batch's and the channels', by reflection
/// that does not repeat the edge. It is repeated as often as needed, also from a single sample.
pub(crate) fn reflect_to<const D: usize>(x: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
    (2..D).fold(x, |x, axis| {
        let length = x.dims()[axis];
        if extent[axis] <= length {
            return x;
        }
        let indices: Vec<i64> = (0..extent[axis]).map(|i| reflected(i, length) as i64).collect();
        let shape = [indices.len()];
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, shape), &x.device());
        x.select(axis, indices)
    })
}

/// Grows both axes of images to `extent` by reflection, `before` pixels of it at the top and the left.
pub(crate) fn reflect_around(x: Tensor<4>, before: [usize; 2], extent: [usize; 2]) -> Tensor<4> {
    (0..2).fold(x, |x, k| {
        let length = x.dims()[2 + k];
        let period = (2 * (length - 1)).max(1);
        // Start a whole number of periods earlier, so that the index is not negative.
        let first = before[k].div_ceil(period) * period - before[k];
        let indices: Vec<i64> =
            (first..first + extent[k]).map(|i| reflected(i, length) as i64).collect();
        let shape = [indices.len()];
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, shape), &x.device());
        x.select(2 + k, indices)
    })
}

/// The position on an axis of `length` samples that position `i` of the grown axis shows.
fn reflected(i: usize, length: usize) -> usize {
    let period = (2 * (length - 1)).max(1);
    let i = i % period;
    if i < length { i } else { period - i }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let reflect = |n, length| (0..n).map(|i| reflected(i, length)).collect::<Vec<_>>();
        assert_eq!(reflect(8, 3), [0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(reflect(4, 1), [0, 0, 0, 0]);
        assert_eq!(reflect(5, 2), [0, 1, 0, 1, 0]);
    }
}
