//! The integration tests of this crate as one program, so that Burn is linked once.

mod identity;
mod patches;
mod recordings;
mod report;
