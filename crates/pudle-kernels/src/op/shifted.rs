//! The mean over shifts of the grid of atoms.

use burn::tensor::Tensor;

use crate::conv::ShiftWindows;
use crate::op::border::supports;
use crate::op::network::Network;
use crate::settings::Problem;

impl Network<4> {
    /// The mean of the reconstructions of windows of the images `x`, `[b, C, H, W]`, each moved back to its place, for
    /// the part of the images that `windows` names, `[b, C, h, w]`. The problem is that of a window. Without a graph.
    ///
    /// `None` if the backend has no such pass, or if the data of the batch have levels of their own.
    ///
    /// # Panics
    /// Panics if a window does not lie in the images, or if the part does not lie in each window.
    pub fn run_shifted(&self, x: Tensor<4>, windows: &ShiftWindows) -> Option<Tensor<4>> {
        let Problem::Conv(geometry) = self.problem else { return None };
        if !supports(&x) || self.levels.dims()[1] > 1 {
            return None;
        }
        #[cfg(feature = "flex")]
        return Some(crate::op::flex::shifted(self, geometry, x, windows));
        #[cfg(not(feature = "flex"))]
        {
            let _ = (geometry, windows);
            None
        }
    }
}
