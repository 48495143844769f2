//! Figures as SVG and PNG: line charts, and sheets of small pictures with captions.

mod chart;
mod sheet;
mod svg;

pub use chart::{Axis, Chart, Line, Stroke};
pub use sheet::{Sheet, Strip, Tile, Tone};

use thiserror::Error;

/// The result of drawing.
pub type Result<T, E = PlotError> = std::result::Result<T, E>;

/// The error that a figure cannot be drawn.
#[derive(Clone, Debug, Error)]
#[error("figure {name}: {reason}")]
pub struct PlotError {
    /// Name of the figure.
    pub name: String,
    /// The reason.
    pub reason: String,
}
