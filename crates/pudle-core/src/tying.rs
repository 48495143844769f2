//! Which parts of the network share the dictionary.

use serde::{Deserialize, Serialize};

/// Which parts of the network have atoms of their own.
///
/// All banks start from the same atoms. Only those of the dictionary are kept at unit norm.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WeightTying {
    /// One dictionary for the layers and the decoder: the method's own setting.
    #[default]
    Tied,
    /// One dictionary for the layers and the decoder. The decoder multiplies each atom by a learned gain, which starts
    /// at 1: `x̂ = D diag(g) z`. The gains make up for what a soft threshold takes off every code.
    Gain,
    /// The layers share the dictionary. The decoder has atoms of its own.
    Decoder,
    /// Three banks of atoms: one for the layers' analysis, the dictionary for their synthesis, and one for the decoder.
    /// This leaves the method, to measure what tying costs: the code solves no lasso of any one dictionary.
    Untied,
}
