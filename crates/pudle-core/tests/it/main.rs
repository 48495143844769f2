//! The integration tests of this crate as one program, so that Burn is linked once.

mod adjoint;
mod common;
mod fused;
mod gpu;
mod gradients;
mod masks;
mod naive;
mod observations;
mod operators;
mod properties;
