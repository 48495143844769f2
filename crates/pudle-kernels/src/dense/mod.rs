//! The pass through a dictionary that is a matrix.

mod adjoint;
mod batch;
mod form;
mod forward;
mod gram;
mod pass;
mod residual;
mod state;

pub use batch::{DenseTape, dense_forward, dense_forward_in};
pub use form::Form;
