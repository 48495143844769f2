//! What the kernels share: sizes of arrays, and where a unit works.

use cubecl::prelude::*;

/// Sizes of the images and codes of a batch, as the kernels take them.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Extent {
    /// Data in the batch.
    pub batch: usize,
    /// Height of an image.
    pub height: usize,
    /// Width of an image.
    pub width: usize,
    /// Rows of positions.
    pub rows: usize,
    /// Columns of positions.
    pub columns: usize,
    /// Vectors of the codes of a position.
    pub vectors: usize,
}

/// Positions, or blocks of pixels, or taps of a unit. Each weight that it reads is multiplied by numbers of all of them.
pub(super) const TILE: usize = 4;

/// Number `k` of what a unit works on along the x and z axes of the grid. A cube has `TILE` times as many as it has units, and
/// neighbours have neighbouring ones.
#[cube]
pub(super) fn of_unit(k: usize) -> usize {
    let cube = CUBE_POS_Z as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    (cube * TILE + k) * CUBE_DIM_X as usize + UNIT_POS_X as usize
}

/// The number of a unit along the x and z axes of the grid.
#[cube]
pub(super) fn unit() -> usize {
    let cube = CUBE_POS_Z as usize * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    cube * CUBE_DIM_X as usize + UNIT_POS_X as usize
}

/// `value` where `code` is not zero, 0 elsewhere.
#[cube]
pub(super) fn on_support<F: Float, N: Size>(
    code: Vector<F, N>,
    value: Vector<F, N>,
) -> Vector<F, N> {
    let mut kept = Vector::<F, N>::zeroed();
    #[unroll]
    for i in 0..N::value() {
        kept.insert(i, select(code.extract(i) != F::new(0.0), value.extract(i), F::new(0.0)));
    }
    kept
}
