//! Versions that a run was made with.

use serde::{Deserialize, Serialize};

/// Burn exports no version. The workspace pins this one, and a test compares the two.
const BURN_VERSION: &str = "0.22.1";

/// Versions that a run was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Of this project.
    pub pudle: String,
    /// Of Burn.
    pub burn: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { pudle: env!("CARGO_PKG_VERSION").into(), burn: BURN_VERSION.into() }
    }
}
