//! Recordings: the waveforms in a signal, and when they occur.

mod confidence;
mod detect;
mod events;
pub(crate) mod filters;
mod finder;
mod held_out;
pub(crate) mod pilot;
mod placing;
pub(crate) mod refine;
mod score;
mod select;
mod snippets;
mod table;

pub use events::{Event, Events};
pub use filters::Filters;
pub use finder::EventFinder;
pub use score::{EventScore, WaveformMatch};
pub use select::{Candidate, Selection};
