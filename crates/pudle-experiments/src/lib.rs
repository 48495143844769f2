//! The claims of the paper as experiments that anyone can repeat.
//!
//! An [`Experiment`] has all its settings as fields, which are flags of the `pudle experiment` command and
//! stand in the `settings.toml` of its folder; [`perform`] runs it part by part, keeps what each part
//! found, and goes on where it was interrupted.

mod baselines;
mod chart;
mod dictionary_recovery;
mod error;
mod experiment;
mod folder;
mod gradient_dynamics;
mod learning;
mod problem;
mod progress;

pub use baselines::{Baselines, Method};
pub use chart::{Axis, Chart, Line, Stroke};
pub use dictionary_recovery::DictionaryRecovery;
pub use error::{ExperimentError, Result};
pub use experiment::{Cell, Experiment, Report, Row, Summary, Table, Task, figure, perform};
pub use gradient_dynamics::GradientDynamics;
pub use problem::{Dense, Law, Problem};
pub use progress::Progress;
