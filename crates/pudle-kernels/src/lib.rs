//! The unrolled pass, forward and backward, as one operation on the CPU.
//!
//! A pass takes data `x` through `T` layers `z_{t+1} = Φ(y_t − α Dᵀ(D y_t − x))` and decodes the last code,
//! `D z_T`. The point is `y_t = z_t + m_t (z_t − z_{t−1})`, with `m_t = 0` in ISTA. The pass is fast because
//! most entries of a code are zero: a synthesis is a sum over the support, and the backward pass needs
//! gradients on supports alone.
//!
//! * [`conv_forward`] runs filters over images, or along signals. It cuts an image into strips of positions,
//!   which run side by side and exchange their borders once per layer. It reads patches from the image, a
//!   tile of positions at a time.
//! * [`dense_forward`] runs a matrix in the form with less work. In Gram form, it computes `DᵀD` once, and a layer
//!   adds up rows of it. In residual form, for few layers, a layer multiplies a residual by `Dᵀ`.
//! * [`signal_forward`] runs filters along signals at every sample ([`takes_signals`]) in Gram form: a layer adds up correlations
//!   of atoms at the support of the code, whatever the number of channels, and leaves alone what is far from any support.
//! * [`conv_shifts`] averages over shifts of the grid of atoms, on one copy of the image. Atoms whose soft threshold is zero in
//!   the first layers are linear there: one product with patches stands for all of them.
//!
//! A tape stores, for each recorded layer, the support as bits, the values on it and, for filters, the
//! residual image. If layers are [computed again](Unrolling::recompute), it stores the codes of every
//! `√T`-th layer only.
//!
//! A result does not depend on the number of threads: work is divided by shape, and every sum has one order.
//! Neighbouring positions are worked on together, over the union of their supports, where that takes less
//! time. An atom that is active nearly everywhere in a tile of positions is multiplied as if all its codes were
//! active, and so is a group of data with many codes. The limits for this are constants, so that a result does
//! not depend on measured times either.
//!
//! With the feature `burn`, `Network` is the pass as an operation of Burn with its backward pass, in `f32`
//! and `f64`, on the backends that have one. With the feature `flex`, this is the `flex` backend. With `wgpu` and `cuda`,
//! these are GPUs, in `f64` where they have it.
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
mod packing;
mod plan;
mod product;
mod real;
mod schedule;
mod settings;
mod signal;
mod sparse;
mod vector;

pub use banks::{Banks, Tying};
pub use conv::{ConvTape, ShiftWindows, conv_forward, conv_shifts};
pub use dense::{DenseTape, dense_forward};
#[doc(hidden)]
pub use dense::{Form as DenseForm, dense_forward_in};
pub use encoder::{Encoder, Gradients, Output, Wanted};
pub use geometry::Geometry;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub use op::CubeTape;
#[cfg(feature = "flex")]
pub use op::FlexTape;
#[cfg(feature = "burn")]
pub use op::{
    Adapter, Network, NetworkGradients, TapedBackend, UnrolledBackend, adapter, count_launches,
    is_flex, supports, supports_half,
};
#[cfg(feature = "remote")]
pub use op::{RemoteTape, serve_passes};
pub use plan::Plan;
pub use real::Real;
pub use settings::{Extrapolation, Problem, Shrinkage, Unrolling};
pub use signal::{SignalTape, signal_forward, takes_signals};
