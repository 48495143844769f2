//! Figures as SVG and PNG: charts of lines, alone or several in a figure, and sheets of small pictures with captions.

mod chart;
mod panels;
mod sheet;
mod svg;

pub use chart::{Axis, Chart, Line, Stroke};
pub use panels::Panels;
pub use sheet::{Sheet, Strip, Tile, Tone};

use thiserror::Error;

/// The result of drawing.
pub type Result<T, E = PlotError> = std::result::Result<T, E>;

/// A figure cannot be drawn.
#[derive(Clone, Debug, Error)]
#[error("figure {name}: {reason}")]
pub struct PlotError {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}
