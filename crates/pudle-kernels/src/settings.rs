//! The settings of a pass: plain scalars.

use crate::geometry::Geometry;

/// The dictionary that a pass runs through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A matrix for data of dimension `dim`.
    Dense {
        /// Dimension `m`.
        dim: usize,
    },
    /// Filters over images, or along signals.
    Conv(Geometry),
}

/// The proximal operator of a layer at a level `θ`, ≥ 0 unless the operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shrinkage {
    /// `sign(v) max(|v| − θ, 0)`.
    Soft,
    /// `max(v − θ, 0) − max(−v − θ, 0)` at levels of any sign: `Soft` where `θ ≥ 0`. Only for passes without recorded
    /// layers: the backward pass does not know it.
    SignedSoft,
    /// `max(v − θ, 0)`, at levels of any sign.
    Relu,
    /// `v` where `|v| > θ`, 0 elsewhere. Its level has no gradient.
    Hard,
}

/// The point `y_t = z_t + m_t (z_t − z_{t−1})` that layer `t` starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extrapolation {
    /// `m_t = 0`: ISTA.
    None,
    /// `m_t = (s_t − 1)/s_{t+1}` with `s_1 = 1` and `s_{t+1} = (1 + √(1 + 4 s_t²))/2`
    /// (Beck & Teboulle, 2009). `m_0 = 0`, because nothing precedes `z_0`.
    Fista,
}

impl Extrapolation {
    /// The weights `m_0 … m_{T−1}` of `layers` layers.
    pub fn weights(self, layers: usize) -> Vec<f64> {
        match self {
            Extrapolation::None => vec![0.0; layers],
            Extrapolation::Fista => {
                let mut s = 1.0;
                (0..layers)
                    .map(|t| {
                        let next = if t == 0 { s } else { next_s(s) };
                        let weight = (s - 1.0) / next;
                        s = next;
                        weight
                    })
                    .collect()
            }
        }
    }
}

fn next_s(s: f64) -> f64 {
    (1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0
}

/// The unrolled layers of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrolling {
    /// Number of layers `T`, at least 1.
    pub layers: usize,
    /// Proximal operator of a layer.
    pub shrinkage: Shrinkage,
    /// Extrapolation before a layer.
    pub extrapolation: Extrapolation,
    /// Number of layers, counted from the last, that the backward pass goes through: 0 … `layers`.
    pub recorded: usize,
    /// Whether the backward pass computes the recorded layers again, from every `√T`-th code. Otherwise
    /// the forward pass stores what the backward pass needs of each layer.
    pub recompute: bool,
    /// Whether codes, residuals and atoms are stored with 16 bits between layers. Sums have 32 bits. Only passes of filters on GPUs
    /// know it, and only where no gradient is wanted: a pass that leaves a tape stores 32 bits.
    pub half: bool,
}

impl Unrolling {
    /// `layers` layers of ISTA, all recorded and stored.
    pub fn ista(layers: usize, shrinkage: Shrinkage) -> Self {
        Self {
            layers,
            shrinkage,
            extrapolation: Extrapolation::None,
            recorded: layers,
            recompute: false,
            half: false,
        }
    }
}
