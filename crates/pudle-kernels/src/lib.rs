//! The unrolled pass as one operation.
mod conv;
mod product;
mod real;
mod settings;
mod support;

pub use conv::{ConvTape, Encoder, Geometry, Gradients, Output, Wanted, conv_forward, conv_shifts};
pub use real::Real;
pub use settings::{Schedule, Shrinkage};
