//! What the forward pass stores for the backward pass, on the device.

use std::fmt;

use burn_cubecl::tensor::CubeTensor;

use crate::op::cube::pass::Pass;

/// The tape of a pass through filters.
pub(super) struct Tape {
    pub(super) pass: Pass,
    /// `z_T`.
    pub(super) code: CubeTensor,
    /// The codes before each segment of layers.
    pub(super) starts: Vec<State>,
    /// The recorded layers, unless they are computed again.
    pub(super) layers: Option<Layers>,
}

/// The codes between two layers.
#[derive(Clone, Default)]
pub(super) struct State {
    /// `z_t`; `None` before layer 0, where it is zero.
    pub code: Option<CubeTensor>,
    /// `z_{t−1}`, if layers extrapolate and it is not zero.
    pub previous: Option<CubeTensor>,
}

/// What the backward pass needs of the layers `a … b`.
#[derive(Default)]
pub(super) struct Layers {
    /// `z_{a+1} … z_{b+1}`.
    pub codes: Vec<CubeTensor>,
    /// `D y_t − x` of the layers; `None` for layer 0, where it is `−x`.
    pub residuals: Vec<Option<CubeTensor>>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorded = self.pass.schedule.recorded;
        let stored = self.layers.as_ref().map_or(0, |layers| layers.codes.len());
        write!(f, "Tape({recorded} layers, {stored} stored)")
    }
}
