//! A run, described completely.

mod file;
mod moved;
mod preset;
mod run;
mod training;
mod validate;
mod versions;

pub use preset::Preset;
pub use run::RunConfig;
pub use training::{Initialization, LearningRateSchedule, TrainingConfig};
pub use versions::Versions;
