//! The pass through filters along a signal, at every sample.
//!
//! The pass runs in Gram form: `Aᵀx` is computed once, and a layer adds up correlations of atoms at the support of the code,
//! so that its cost depends on the support and not on the channels. Codes are mostly zero, and most of a recording is far from
//! any support: a tile of positions is left alone as long as it holds no code and no atom nearby has one.

mod analysis;
mod backward;
mod batch;
mod forward;
mod gram;
mod layer;
mod layout;
mod support;

pub use batch::{SignalTape, signal_forward};
pub use layout::takes_signals;
