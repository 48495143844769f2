//! What the forward pass of an image stores for its backward pass.

use crate::real::Real;
use crate::sparse::Sparse;

/// A code, one part per strip.
pub(crate) type StripCodes<T> = Vec<Sparse<T>>;

/// What the backward pass of an image needs.
pub(crate) struct ImageTape<T> {
    /// The datum, `[H, C, W]`.
    pub x: Vec<T>,
    /// `z_T`.
    pub code: StripCodes<T>,
    /// The codes before each segment of layers.
    pub starts: Vec<SegmentStart<T>>,
    /// The recorded layers, unless they are computed again.
    pub layers: Option<RecordedLayers<T>>,
}

/// The codes that a segment of layers starts from.
pub(crate) struct SegmentStart<T> {
    /// `z_t`.
    pub code: StripCodes<T>,
    /// `z_{t−1}`; empty if no layer extrapolates.
    pub previous: StripCodes<T>,
}

/// What the backward pass needs of the layers `a … b`.
#[derive(Default)]
pub(crate) struct RecordedLayers<T> {
    /// `z_a … z_{b+1}`.
    pub codes: Vec<StripCodes<T>>,
    /// `D y_t − x` of the layers, `[H, C, W]`; empty for layer 0, where it is `−x`.
    pub residuals: Vec<Vec<T>>,
}

impl<T: Real> ImageTape<T> {
    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        size_of_val(self.x.as_slice())
            + bytes(&self.code)
            + self.starts.iter().map(SegmentStart::bytes).sum::<usize>()
            + self.layers.as_ref().map_or(0, RecordedLayers::bytes)
    }
}

impl<T: Real> SegmentStart<T> {
    fn bytes(&self) -> usize {
        bytes(&self.code) + bytes(&self.previous)
    }
}

impl<T: Real> RecordedLayers<T> {
    fn bytes(&self) -> usize {
        self.codes.iter().map(|code| bytes(code)).sum::<usize>()
            + self.residuals.iter().map(|image| size_of_val(image.as_slice())).sum::<usize>()
    }
}

fn bytes<T: Real>(code: &[Sparse<T>]) -> usize {
    code.iter().map(Sparse::bytes).sum()
}
