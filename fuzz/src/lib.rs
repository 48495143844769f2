//! The functions that the fuzzers call: each takes the bytes of a file, and reads it as Pudle does.
//!
//! An error is a good answer. A panic, a hang, or more memory than the limit of the fuzzer is a finding. The test
//! `regressions` of `pudle-cli` calls the same functions with the inputs that were found.

#[path = "targets.rs"]
mod targets;

pub use targets::*;
