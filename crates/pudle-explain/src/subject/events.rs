//! The events of a recording that is explained.

use pudle_data::Recording;
use pudle_train::Events;

/// Events, and the recording that they were found in.
#[derive(Clone, Debug)]
pub struct RecordedEvents {
    /// The events.
    pub events: Events,
    /// The recording.
    pub recording: Recording,
}
