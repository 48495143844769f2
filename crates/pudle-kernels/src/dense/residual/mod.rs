//! The pass in residual form.
//!
//! A layer is `z_{t+1} = Φ(y_t + α Dᵀ r_t)` with `r_t = x − D y_t`, where `D y_t` is a sum over the support
//! of `y_t` alone. In the backward pass, with `u_t` the loss's gradient in `z_{t+1}` on its support, and
//! `h_t = D u_t`,
//!
//! ```text
//! ∂L/∂y_t = u_t − α Dᵀ h_t        needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂D   = α Σ r_t ⊗ u_t − h_t ⊗ y_t
//! ∂L/∂x   = α Σ h_t               ∂L/∂α = Σ ⟨h_t, r_t⟩
//! ```
//!
//! so that every product of the backward pass is over supports. It computes `r_t` again from the codes: this is
//! one of five such products, and a tape needs no residuals, whether layers are stored or computed again.
//!
//! The matrix is cut into panels: of some atoms for `Dᵀ r`, and of some dimensions for all other products. A
//! panel fits the cache of a core, and all data of a group are worked on while it is there. Panels are worked
//! on side by side. Each holds the gradient of its own dimensions, so that there is one gradient in all.

mod backward;
mod batch;
mod gradients;
mod layer;
mod lists;
mod matrix;
mod panel;

pub(super) use batch::{ResidualTape, forward};
