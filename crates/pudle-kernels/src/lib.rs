//! The unrolled pass as one operation.
mod combine;
mod conv;
mod dense;
mod matrix;
#[cfg(feature = "burn")]
mod op;
mod product;
mod real;
mod settings;
mod support;

pub use conv::{ConvTape, Encoder, Geometry, Gradients, Output, Wanted, conv_forward, conv_shifts};
pub use dense::{DenseTape, dense_forward};
#[cfg(feature = "burn")]
pub use op::{Pass, UnrolledBackend, shifted, supports, unrolled};
pub use real::Real;
pub use settings::{Problem, Schedule, Shrinkage};
