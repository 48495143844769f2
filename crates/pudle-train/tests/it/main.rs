//! The integration tests of this crate as one program, so that Burn is linked once.

mod checkpoint;
mod codes;
mod config;
mod foreign;
mod formats;
mod onsets;
mod properties;
mod run;
mod signals;
mod starts;
mod unfinished;
mod update;
