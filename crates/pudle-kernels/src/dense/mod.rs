//! The pass through a dictionary that is a matrix.
//!
//! It has two [forms](Form). `gram` multiplies out `DᵀD` and adds up rows of it, so that a layer costs little.
//! `residual` multiplies by `D` and `Dᵀ`, so that nothing has to be prepared. [`Form::with_less_work`] chooses.
//! Both share the course of a pass (`forward.rs`), its tape, and the state of a datum in the backward pass.

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
