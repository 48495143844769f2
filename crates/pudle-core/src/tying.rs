//! Which parts of the network share the dictionary.

use serde::{Deserialize, Serialize};

/// Which parts of the network have separate atoms.
///
/// All banks of atoms start from the same values. Only the dictionary is projected onto unit norm.
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
    /// One dictionary for the layers and the decoder, as in the method.
    #[default]
    Tied,
    /// One dictionary for the layers and the decoder. The decoder multiplies each atom by a learned gain, which starts
    /// at 1: `x̂ = D diag(g) z`. The gains compensate the bias of soft thresholding.
    Gain,
    /// The layers share the dictionary. The decoder has separate atoms.
    Decoder,
    /// Three banks of atoms: one for the layers' analysis, the dictionary for their synthesis, and one for the decoder.
    /// This setting is not part of the method. It measures the cost of tying. The code is not the solution of a lasso.
    Untied,
}
