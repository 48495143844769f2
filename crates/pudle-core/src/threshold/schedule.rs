//! What a schedule must tell of itself.

use burn::tensor::Tensor;

use crate::error::RangeError;
use crate::level::Level;
use crate::noise::Noise;
use crate::weight::Constraint;

/// The learned weights of one layer, `[1, p]` each; none if the schedule learns none.
pub(super) struct LearnedWeights {
    pub lambda: Option<Tensor<2>>,
    pub slope: Option<Tensor<2>>,
}

/// Initial values of the learned weights; `None` for weights that are not learned.
#[derive(Default)]
pub(super) struct LearnedStart {
    pub lambda: Option<f64>,
    pub slope: Option<f64>,
}

/// A schedule of `λ` over the layers.
pub(super) trait Schedule {
    /// The sparsity weight `λ` of the settings; where learned weights start.
    fn start(&self) -> f64;

    /// Mutable access to [`start`](Self::start).
    fn start_mut(&mut self) -> &mut f64;

    /// Returns an error for the first setting out of its range, other than [`start`](Self::start).
    fn validate(&self) -> Result<(), RangeError>;

    /// `λ` of layer `t = 0, 1, …`.
    fn lambda(&self, layer: usize, learned: LearnedWeights, noise: &Noise) -> Level;

    /// Whether `λ` changes from layer to layer. If not, the fused pass uses the levels of one layer for all layers.
    fn varies_over_layers(&self) -> bool;

    /// A description of the schedule.
    fn describe(&self) -> String;

    /// Initial values of the learned weights.
    fn learned_start(&self) -> LearnedStart {
        LearnedStart::default()
    }

    /// Whether weights are learned.
    fn is_learned(&self) -> bool {
        self.learned_start().lambda.is_some()
    }

    /// Whether `λ` depends on the noise of the data.
    fn depends_on_noise(&self) -> bool {
        false
    }

    /// What the learned `λ` is projected onto.
    fn constraint(&self) -> Constraint {
        Constraint::NonNegative
    }
}
