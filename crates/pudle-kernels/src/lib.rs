//! The unrolled pass, forward and backward, as one operation on the CPU.
//!
//! A pass takes data `x` through `T` layers `z_{t+1} = Φ(y_t − α Dᵀ(D y_t − x))`, with
//! `y_t = z_t + m_t (z_t − z_{t−1})` where layers extrapolate, and back to data, `D z_T`. Both halves use
//! that codes are mostly zero: a synthesis sums over the support, and so do all parts of the backward
//! pass, whose gradients are needed on supports alone.
//!
//! * [`conv_forward`] runs filters over images, or along signals. An image is cut into strips of
//!   positions that run side by side and meet once per layer; patches are read where they lie, a tile of
//!   them at a time.
//! * [`dense_forward`] runs a matrix in Gram form: `DᵀD` is formed once, and a layer adds up its rows.
//! * [`conv_shifts`] averages over shifts of the grid of atoms, on one copy of the image.
//!
//! Their tapes hold, per recorded layer, the support as bits, the values on it and (for filters) the
//! residual image; or, where layers are [run again](Unrolling::recompute), the codes at every `√T`-th
//! layer. Nothing depends on the number of threads: work is cut up by shape, and every sum is taken in
//! one order. Where codes are not sparse, a tile (a group of data) is worked on as if none were zero; the
//! shares from which on are constants, so that a result does not depend on a stopwatch either.
//!
//! With the `burn` feature, `Network` is this as an operation of Burn's `flex` backend, in `f32` and
//! `f64`, with its backward pass.
//!
//! ```
//! use pudle_kernels::{Banks, Encoder, Shrinkage, Unrolling, Wanted, dense_forward};
//!
//! let encoder = Encoder {
//!     banks: Banks::tied(&[1.0, 0.0, 0.0, 1.0][..]),
//!     step: 1.0,
//!     levels: &[0.5],
//!     level_shape: [1; 3],
//! };
//! let unrolling = Unrolling::ista(3, Shrinkage::Soft);
//! let (output, tape) = dense_forward(2, &[2.0, -0.1], encoder, unrolling, true);
//! assert_eq!(output.code(), [1.5, 0.0]);
//! let gradients = tape.unwrap().backward(&[1.0, 0.0], None, Wanted::default());
//! assert_eq!(gradients.banks.synthesis.len(), 4);
//! ```

mod aligned;
mod banks;
mod combine;
mod conv;
mod dense;
mod encoder;
mod geometry;
mod levels;
mod matrix;
#[cfg(feature = "burn")]
mod op;
mod plan;
mod product;
mod real;
mod schedule;
mod settings;
mod sparse;
mod vector;

pub use banks::{Banks, Tying};
pub use conv::{ConvTape, ShiftWindows, conv_forward, conv_shifts};
pub use dense::{DenseTape, dense_forward};
pub use encoder::{Encoder, Gradients, Output, Wanted};
pub use geometry::Geometry;
#[cfg(feature = "flex")]
pub use op::FlexTape;
#[cfg(feature = "burn")]
pub use op::{Network, NetworkGradients, TapedBackend, UnrolledBackend, supports};
pub use plan::Plan;
pub use real::Real;
pub use settings::{Extrapolation, Problem, Shrinkage, Unrolling};
