//! The mean over shifts of the grid of atoms.

use burn::tensor::Tensor;

use crate::conv::ShiftWindows;
use crate::op::border::is_flex;
use crate::op::network::Network;
use crate::settings::Problem;

impl Network<4> {
    /// The mean of the reconstructions of the shifted parts of the images `x`, `[b, C, H, W]`, each moved
    /// back to its place, in the wanted window of `shifts`, `[b, C, h, w]`. `problem` is that of a part.
    /// The result has no graph.
    ///
    /// Only the CPU backend has this pass. Returns `None` on others, if there is no fused pass, if the dictionary is a
    /// matrix, or if the levels differ between the images.
    ///
    /// # Panics
    /// Panics if a part does not lie in the images, or if the wanted window does not lie in each part.
    pub fn run_shifted(&self, x: Tensor<4>, shifts: &ShiftWindows) -> Option<Tensor<4>> {
        let Problem::Conv(geometry) = self.problem else { return None };
        // The images run one by one, with the same levels for each.
        if !self.is_fused(&x) || !is_flex(&x) || self.levels.dims()[1] > 1 {
            return None;
        }
        #[cfg(feature = "flex")]
        return Some(crate::op::flex::shifted(self, geometry, x, shifts));
        #[cfg(not(feature = "flex"))]
        {
            let _ = (geometry, shifts);
            None
        }
    }
}
