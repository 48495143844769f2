//! The pass through a matrix.

mod backward;
mod compact;
mod network;
mod pass;

pub use pass::{DenseTape, dense_forward};
