//! The inner loops of a convolutional pass, a strip at a time.

mod analysis_backward;
mod chosen;
mod patches;
mod proximal_step;
mod scratch;
mod synthesis;
mod synthesis_backward;
mod tile;

pub(crate) use analysis_backward::AnalysisBackward;
pub(crate) use proximal_step::ProximalStep;
pub(crate) use scratch::{BackwardScratch, Scratch};
pub(crate) use synthesis::{LinearAtoms, Synthesis};
pub(crate) use synthesis_backward::SynthesisBackward;
