//! Recordings: the waveforms in a signal, and when they occur.

mod confidence;
mod detect;
mod events;
mod filters;
mod finder;
mod pilot;
mod refine;
mod score;
mod snippets;
mod table;

pub use events::{Event, Events};
pub use filters::Filters;
pub use finder::EventFinder;
pub(crate) use pilot::Pilot;
pub(crate) use refine::Rule;
pub use score::{EventScore, WaveformMatch};
