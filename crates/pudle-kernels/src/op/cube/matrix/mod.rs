//! The pass through a matrix on GPUs: products by the kernels of Burn, and one kernel for the rest of a layer.
//!
//! A layer is `z ← Φ(y − α (y DᵀD − x D))`, data and codes in rows. Its product `y DᵀD` is one with the Gram matrix, or two with
//! the dictionary, whichever is less work. Backward, a layer is a product of the same kind, a kernel that moves the
//! gradient, and one that stores `u_t` and `y_t` as rows of two tall matrices. The gradient of the dictionary is a
//! product of these.

mod backward;
mod forward;
mod kernels;
mod pass;
mod tape;

pub(super) use pass::MatrixPass;
pub(super) use tape::MatrixTape;
