//! Kernels that bring banks and levels into the order of the other kernels, and codes out of it.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::unit;

/// A bank by taps, `[taps, padded atoms]`, for an analysis.
#[cube(launch)]
pub(super) fn pack_taps<F: Float, S: Float>(
    bank: &[F],
    out: &mut [S],
    atoms: usize,
    padded: usize,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let i = unit();
    if i < out.len() {
        let tap = i / padded;
        let atom = i % padded;
        let mut value = F::new(0.0);
        if atom < atoms {
            value = bank[atom * (out.len() / padded) + tap];
        }
        out[i] = S::cast_from(value);
    }
}

/// A bank by the pixels of a block, `[reach down, reach across, padded atoms, padded block]`, for a synthesis. A pixel
/// that a filter does not reach from a position has the weight 0.
#[cube(launch)]
pub(super) fn pack_blocks<F: Float, S: Float>(
    bank: &[F],
    out: &mut [S],
    atoms: usize,
    padded: usize,
    padded_block: usize,
    #[comptime] filters: Filters,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let i = unit();
    if i < out.len() {
        let reach = comptime!(filters.reach()[1]);
        let height = comptime!(filters.kernel[0]);
        let width = comptime!(filters.kernel[1]);
        let down = comptime!(filters.stride[0]);
        let across = comptime!(filters.stride[1]);
        let pixel = i % padded_block;
        let atom = i / padded_block % padded;
        let shift = i / padded_block / padded;
        let channel = pixel / (down * across);
        let row = shift / reach * down + pixel / across % down;
        let column = shift % reach * across + pixel % across;
        let mut value = F::new(0.0);
        if atom < atoms && channel < comptime!(filters.channels) && row < height && column < width {
            value =
                bank[atom * comptime!(filters.taps()) + (channel * height + row) * width + column];
        }
        out[i] = S::cast_from(value);
    }
}

/// Levels by atoms, `[T or 1, b or 1, padded atoms]`, from levels `[T or 1, b or 1, given]`, where `given` is `p` or 1.
#[cube(launch)]
pub(super) fn pack_levels<F: Float>(
    levels: &[F],
    out: &mut [F],
    atoms: usize,
    padded: usize,
    given: usize,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    if i < out.len() {
        let row = i / padded;
        let atom = i % padded;
        let mut value = F::new(0.0);
        if atom < atoms {
            value = levels[row * given + atom % given];
        }
        out[i] = value;
    }
}

/// Writes codes `[b, positions, padded atoms]` as `[b, p, positions]` to the start of `out`.
#[cube(launch)]
pub(super) fn export_codes<F: Float, S: Float>(
    code: &[S],
    out: &mut [F],
    count: usize,
    atoms: usize,
    padded: usize,
    places: usize,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let i = unit();
    if i < count {
        let place = i % places;
        let atom = i / places % atoms;
        let datum = i / places / atoms;
        out[i] = F::cast_from(code[(datum * places + place) * padded + atom]);
    }
}
