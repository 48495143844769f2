//! The pass in Gram form.
//!
//! With the Gram matrix `G = DᵀD` and the correlations `c = Dᵀx`, a layer is
//! `z_{t+1} = Φ(y_t − α (G y_t − c))`, where `G y_t` is a sum over the support of `y_t` alone. In the
//! backward pass, with `u_t` the loss's gradient in `z_{t+1}` on its support,
//!
//! ```text
//! ∂L/∂y_t = u_t − α G u_t         needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂D   = −α (D (P + Pᵀ) − xᵀ Σ u_t),  P = Σ u_t ⊗ y_t
//! ∂L/∂x   = α D Σ u_t             ∂L/∂α = −Σ ⟨G u_t, y_t⟩ − ⟨u_t, c⟩
//! ```
//!
//! so that the atoms' gradient is a sum of sparse outer products and one large product at the end.

mod backward;
mod batch;
mod compact;
mod layer;
mod matrix;
mod outer;

pub(super) use batch::{GramTape, forward};
pub(super) use compact::MAX_ATOMS;
