//! The pass through a convolutional dictionary.

mod backward;
mod filters;
mod forward;
mod micro;
mod pass;

pub use pass::{ConvTape, ShiftWindows, conv_forward, conv_shifts};
