//! The integration tests of this crate as one program, so that Burn is linked once.

mod adapt;
mod bad_inputs;
mod cli;
mod codes;
mod devices;
mod experiment;
mod explain;
mod formats;
mod gpu;
mod matrix;
mod pictures;
mod recordings;
mod regressions;
mod runs;
mod sharing;
mod starts;
mod train;
mod workers;
