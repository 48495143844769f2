//! The pass as one operation of Burn.
//!
//! Models use [`Network`]. It returns `None` if the backend of the data has no fused pass. A backend has one
//! if it implements [`UnrolledBackend`] and [`TapedBackend`], in a file of its own here, and is named in
//! `border.rs`: in the list of the extension, and in [`supports`].

mod adapter;
mod autodiff;
mod border;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;
mod launches;
mod network;
#[cfg(feature = "remote")]
mod remote;
mod shifted;

pub use adapter::{Adapter, adapter};
pub use border::{
    NetworkGradients, TapedBackend, UnrolledBackend, is_flex, supports, supports_half,
};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub use cube::CubeTape;
#[cfg(feature = "flex")]
pub use flex::FlexTape;
pub use launches::count_launches;
pub use network::Network;
#[cfg(feature = "remote")]
pub use remote::{RemoteTape, serve_passes};
