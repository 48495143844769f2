//! The pass through a convolutional dictionary.
//!
//! An image is cut into strips of positions that run side by side and exchange their borders once per
//! layer.

mod backward;
mod batch;
mod filters;
mod forward;
mod image;
mod kernels;
mod linear;
mod parallel;
mod pass;
mod shifts;
mod state;
mod tape;

pub use batch::{ConvTape, conv_forward};
pub(crate) use parallel::map_groups;
pub use shifts::{ShiftWindows, conv_shifts};
