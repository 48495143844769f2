//! The settings of a network, for a page that runs it.

use serde::Serialize;

/// A dense network. The names are those of the model's configuration; a page that does not know one of them refuses to
/// run the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Number of layers.
    pub layers: usize,
    /// The algorithm that is unrolled: `ista` or `fista`.
    pub algorithm: String,
    /// The proximal operator: `soft`, `relu`, `hard`, or another one with its parameter, as `top-k:5`.
    pub prox: String,
    /// The threshold schedule: `constant`, `decaying`, `learned`.
    pub schedule: String,
    /// How encoder and decoder share the dictionary: `tied`, `gain` and others.
    pub tying: String,
    /// Step size.
    pub step: f64,
    /// What is subtracted from data before they are encoded.
    pub offset: f64,
    /// The level of the proximal operator in each layer, one for all atoms or one for each.
    pub levels: Vec<Vec<f64>>,
}
