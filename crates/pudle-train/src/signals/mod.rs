//! Recordings: the waveforms in a signal, and when they occur.

mod confidence;
mod detect;
mod differences;
mod events;
pub(crate) mod filters;
mod finder;
mod held_out;
mod link;
pub(crate) mod onset_fit;
mod onset_run;
mod onset_sizes;
mod onset_trials;
pub(crate) mod pilot;
mod placing;
pub(crate) mod refine;
pub(crate) mod refit;
mod score;
mod select;
pub(crate) mod shape;
pub(crate) mod snippets;
mod table;

pub use events::{Event, Events};
pub use filters::Filters;
pub use finder::EventFinder;
pub use onset_run::OnsetResults;
pub use score::{EventScore, WaveformMatch};
pub use select::{Candidate, Selection};
