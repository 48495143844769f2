//! Recordings: signals over time, in files or made, and windows of them for training.

mod extent;
mod files;
mod noise;
mod onsets;
mod raster;
mod recording;
mod signal;
mod synthetic;
#[cfg(test)]
mod tests;
mod truth;
mod wav;
mod windows;

pub use extent::Extent;
pub(crate) use extent::check_rate;
pub use noise::ChannelNoise;
pub use onsets::{Onset, Onsets};
pub use raster::{SyntheticRaster, SyntheticRasterConfig};
pub use recording::{Recording, RecordingOptions};
pub use synthetic::{SyntheticRecording, SyntheticRecordingConfig};
pub use truth::{TrueEvent, Waveforms};
pub use windows::{CodeShape, RecordingWindows};
