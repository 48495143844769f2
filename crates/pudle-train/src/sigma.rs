//! The range of noise levels.

use pudle_core::RangeError;

use crate::error::Result;

/// Returns an error if `sigma` is not a noise level between 0.01 and 255.
pub(crate) fn check_sigma(field: &'static str, sigma: f32) -> Result<()> {
    match sigma {
        0.01..=255.0 => Ok(()),
        _ => Err(RangeError::new(field, sigma, "between 0.01 and 255").into()),
    }
}
