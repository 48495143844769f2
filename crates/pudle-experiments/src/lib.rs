//! The claims of the paper as experiments that anyone can repeat.
//!
//! An [`Experiment`] has all its settings as fields. They are flags of the command `pudle experiment`, and the
//! `settings.toml` of its folder lists them. [`perform`] runs the experiment part by part, writes the results of each
//! part, and continues where it was interrupted.

mod baselines;
mod code_error;
mod denoiser_training;
mod denoising_ingredients;
mod denoising_table;
mod dictionary_recovery;
mod error;
mod experiment;
mod folder;
mod gradient_dynamics;
mod initialisation;
mod learning;
mod matching;
mod problem;
mod progress;
mod results;
mod spectral;
mod statistics;

pub use baselines::{Baselines, Method};
pub use code_error::CodeError;
pub use denoising_ingredients::{DenoisingIngredients, Ingredient};
pub use denoising_table::DenoisingTable;
pub use dictionary_recovery::DictionaryRecovery;
pub use error::{ExperimentError, Result};
pub use experiment::{Experiment, Task, perform};
pub use gradient_dynamics::GradientDynamics;
pub use initialisation::Initialisation;
pub use matching::{Match, match_atoms};
pub use problem::{Dense, Law, Problem};
pub use progress::Progress;
pub use results::{Measurements, Results, Row, Summary, Table, figure};
pub use spectral::{Found, Pairwise, pairwise};
