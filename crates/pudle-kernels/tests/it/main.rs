//! The integration tests of this crate as one program, so that Burn is linked once.

mod common;
mod conv;
mod dense;
mod linear;
#[cfg(feature = "flex")]
mod network;
mod settings;
mod signal;
