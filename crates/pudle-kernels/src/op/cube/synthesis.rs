//! Kernels that add up atoms: `D z`, a block of pixels a unit.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::{Extent, unit};

/// A block of pixels, and which of its vectors a unit computes.
#[derive(CubeType, Clone, Copy)]
struct Block {
    datum: usize,
    row: usize,
    column: usize,
    /// The number of the vector, of `vectors`.
    vector: usize,
    vectors: usize,
}

/// The block of a unit. Its datum is not in the batch if the unit has nothing to do.
#[cube]
fn block(extent: &Extent, #[comptime] filters: Filters) -> Block {
    let down = comptime!(filters.stride[0]);
    let across = comptime!(filters.stride[1]);
    let rows = extent.height.div_ceil(down);
    let columns = extent.width.div_ceil(across);
    let i = unit();
    Block {
        datum: i / (rows * columns),
        row: i / columns % rows,
        column: i % columns,
        vector: CUBE_POS_Y as usize,
        vectors: CUBE_COUNT_Y as usize,
    }
}

/// The place of number `i` of a block's vector in the images, or `none` if it is outside.
#[cube]
fn pixel(
    extent: &Extent,
    block: &Block,
    i: usize,
    none: usize,
    #[comptime] filters: Filters,
    #[comptime] width: usize,
) -> usize {
    let down = comptime!(filters.stride[0]);
    let across = comptime!(filters.stride[1]);
    let channels = comptime!(filters.channels);
    let number = block.vector * width + i;
    let channel = number / (down * across);
    let row = block.row * down + number / across % down;
    let column = block.column * across + number % across;
    let inside = channel < channels && row < extent.height && column < extent.width;
    let place = ((block.datum * channels + channel) * extent.height + row) * extent.width + column;
    select(inside, place, none)
}

/// `D y` in a vector of a block, with `y = z + m (z − z₋)`.
#[cube]
fn synthesize<C: Size, N: Size>(
    code: &[Vector<f32, C>],
    previous: &[Vector<f32, C>],
    weights: &[Vector<f32, N>],
    extent: &Extent,
    block: &Block,
    momentum: f32,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
) -> Vector<f32, N> {
    let high = comptime!(filters.reach()[0]);
    let wide = comptime!(filters.reach()[1]);
    let mut sum = Vector::<f32, N>::zeroed();
    for down in 0..high {
        for across in 0..wide {
            // Above the first row or before the first column, the difference wraps around.
            let row = block.row - down;
            let column = block.column - across;
            if row < extent.rows && column < extent.columns {
                let place = (block.datum * extent.rows + row) * extent.columns + column;
                let shift = down * wide + across;
                for v in 0..extent.vectors {
                    let mut y = code[place * extent.vectors + v];
                    if comptime!(extrapolates) {
                        let before = previous[place * extent.vectors + v];
                        y = fma(y - before, Vector::new(momentum), y);
                    }
                    let first = (shift * extent.vectors + v) * C::value();
                    #[unroll]
                    for i in 0..C::value() {
                        let weight = weights[(first + i) * block.vectors + block.vector];
                        sum = fma(Vector::new(y.extract(i)), weight, sum);
                    }
                }
            }
        }
    }
    sum
}

/// `r = D y − x`.
#[cube(launch_unchecked)]
pub(super) fn residual<C: Size, N: Size>(
    code: &[Vector<f32, C>],
    previous: &[Vector<f32, C>],
    weights: &[Vector<f32, N>],
    x: &[f32],
    out: &mut [f32],
    extent: Extent,
    momentum: f32,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
) {
    let block = block(&extent, filters);
    if block.datum < extent.batch {
        let sum = synthesize::<C, N>(
            code,
            previous,
            weights,
            &extent,
            &block,
            momentum,
            filters,
            extrapolates,
        );
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, x.len(), filters, N::value());
            if place < x.len() {
                out[place] = sum.extract(i) - x[place];
            }
        }
    }
}

/// `D z`, written behind the first `offset` numbers of `out`.
#[cube(launch_unchecked)]
pub(super) fn decode<C: Size, N: Size>(
    code: &[Vector<f32, C>],
    weights: &[Vector<f32, N>],
    out: &mut [f32],
    extent: Extent,
    offset: usize,
    #[comptime] filters: Filters,
) {
    let block = block(&extent, filters);
    if block.datum < extent.batch {
        let sum = synthesize::<C, N>(code, code, weights, &extent, &block, 0.0, filters, false);
        let pixels = out.len() - offset;
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, pixels, filters, N::value());
            if place < pixels {
                out[offset + place] = sum.extract(i);
            }
        }
    }
}

/// `w = A u`. If `data`, `α w` is added to the gradient `total` of the data, or starts it if `fresh`.
#[cube(launch_unchecked)]
pub(super) fn response<C: Size, N: Size>(
    u: &[Vector<f32, C>],
    weights: &[Vector<f32, N>],
    step: &[f32],
    out: &mut [f32],
    total: &mut [f32],
    extent: Extent,
    #[comptime] filters: Filters,
    #[comptime] data: bool,
    #[comptime] fresh: bool,
) {
    let block = block(&extent, filters);
    if block.datum < extent.batch {
        let sum = synthesize::<C, N>(u, u, weights, &extent, &block, 0.0, filters, false);
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, out.len(), filters, N::value());
            if place < out.len() {
                let w = sum.extract(i);
                out[place] = w;
                if comptime!(data) {
                    let mut added = step[0] * w;
                    if comptime!(!fresh) {
                        added += total[place];
                    }
                    total[place] = added;
                }
            }
        }
    }
}
