//! What the forward pass stores for the backward pass, on the device.

use std::fmt;

use burn_cubecl::tensor::CubeTensor;

use crate::op::cube::matrix::pass::MatrixPass;

/// The tape of a pass through a matrix.
pub struct MatrixTape {
    pub pass: MatrixPass,
    /// `z_T`.
    pub code: CubeTensor,
    /// The codes before each segment of layers.
    pub starts: Vec<State>,
    /// The codes `z_{t+1}` of the recorded layers, unless they are computed again.
    pub codes: Option<Vec<CubeTensor>>,
}

/// The codes between two layers. All are zero before layer 0.
#[derive(Clone, Default)]
pub struct State {
    /// `z_t`.
    pub code: Option<CubeTensor>,
    /// `y_t`, if it is not `z_t`.
    pub point: Option<CubeTensor>,
    /// `z_{t−1}`, if layers extrapolate.
    pub previous: Option<CubeTensor>,
}

impl fmt::Debug for MatrixTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.codes.as_ref().map_or(0, Vec::len);
        write!(f, "MatrixTape({} layers, {stored} stored)", self.pass.schedule.recorded)
    }
}
