//! What is added to the diagonal of `Z Zᵀ`.

use std::fmt;
use std::str::FromStr;

/// The ridge: what is added to the diagonal of `Z Zᵀ` before it is inverted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Ridge {
    /// The multipliers of the constraint that each atom has unit norm.
    #[default]
    Sphere,
    /// `ρ ≥ 0`, the same for each atom: weight decay.
    Decay(f64),
}

impl FromStr for Ridge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("sphere", _) => Ok(Self::Sphere),
            (_, Ok(rho)) if rho >= 0.0 && f64::is_finite(rho) => Ok(Self::Decay(rho)),
            _ => Err(format!("\"{text}\" is neither a number of at least 0 nor \"sphere\"")),
        }
    }
}

impl fmt::Display for Ridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sphere => f.write_str("sphere"),
            Self::Decay(rho) => write!(f, "{rho}"),
        }
    }
}
