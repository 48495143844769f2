//! Reconstructions averaged over shifts of the grid of atoms.

use burn::module::Module;
use burn::tensor::Tensor;
use pudle_kernels::ShiftWindows;

use crate::dictionary::{ConvDictionary2d, Dictionary};
use crate::model::Pudle;
use crate::noise::Noise;
use crate::padding::reflect_around;

impl Pudle<4, ConvDictionary2d> {
    /// The mean of `D z_T` over `count` shifts of the grid of atoms, `[b, C, H, W]`, without a graph. With a
    /// stride, every pixel has a fixed position relative to the atoms. The mean over shifts removes this dependence and
    /// improves denoising by some tenths of a decibel to one decibel. `noise` is that of the data.
    ///
    /// There are `stride²` shifts. A smaller `count` uses shifts that are as far apart as possible. With `count` 1 the
    /// result is that of [`reconstruct`](Self::reconstruct), up to rounding. The data are reflected at their edges.
    ///
    /// # Panics
    /// Panics if `count` is not between 1 and `stride²`, or if `x` has other channels than the atoms.
    pub fn reconstruct_shifted(&self, x: Tensor<4>, noise: &Noise, count: usize) -> Tensor<4> {
        let stride = self.dictionary().stride();
        assert!((1..=stride * stride).contains(&count), "{count} shifts of {stride}² there are");
        let model = self.valid();
        let x = x.inner();
        let [batch, channels, height, width] = x.dims();
        // The window of every shift has this size. It contains the data, and the atoms cover it.
        let margin = if count == 1 { 0 } else { stride - 1 };
        let part = self.dictionary().covering([batch, channels, height + margin, width + margin]);
        let x = reflect_around(x, [margin; 2], [part[2] + margin, part[3] + margin]);
        let starts = spread(stride, count)
            .into_iter()
            .map(|[down, across]| [margin - down, margin - across])
            .collect();
        let windows = ShiftWindows { starts, origin: [margin; 2], size: [height, width] };
        if let Some(mean) = model.fused_shifts(&x, part, &windows, noise) {
            return mean;
        }
        let mut sum = Tensor::zeros([batch, channels, height, width], (&x.device(), x.dtype()));
        for [top, left] in windows.starts {
            let window =
                x.clone().slice([0..batch, 0..channels, top..top + part[2], left..left + part[3]]);
            let estimate = model.autoencode(window, noise);
            let (top, left) = (margin - top, margin - left);
            sum = sum
                + estimate.slice([0..batch, 0..channels, top..top + height, left..left + width]);
        }
        sum / count as f64
    }
}

/// `count` of the `stride²` shifts. The first is zero. Each next shift has the largest distance from the previous ones
/// on the torus of shifts.
fn spread(stride: usize, count: usize) -> Vec<[usize; 2]> {
    let apart = |a: usize, b: usize| {
        let d = a.abs_diff(b);
        d.min(stride - d).pow(2)
    };
    let distance = |a: [usize; 2], b: [usize; 2]| apart(a[0], b[0]) + apart(a[1], b[1]);
    let mut left: Vec<[usize; 2]> =
        (0..stride * stride).map(|k| [k / stride, k % stride]).collect();
    let mut chosen = vec![left.remove(0)];
    while chosen.len() < count {
        let nearest = |shift: [usize; 2]| {
            chosen.iter().map(|other| distance(shift, *other)).min().unwrap_or(0)
        };
        // Of several shifts with the largest distance, the first is used.
        let best = (0..left.len())
            .max_by_key(|k| (nearest(left[*k]), std::cmp::Reverse(*k)))
            .expect("fewer shifts were chosen than there are");
        chosen.push(left.remove(best));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_spread_and_different() {
        for stride in 1..6 {
            let mut all = spread(stride, stride * stride);
            assert_eq!(all[0], [0, 0]);
            all.sort();
            all.dedup();
            assert_eq!(all.len(), stride * stride);
        }
        assert_eq!(spread(4, 2), [[0, 0], [2, 2]]);
        assert_eq!(spread(4, 4), [[0, 0], [2, 2], [0, 2], [2, 0]]);
    }
}
