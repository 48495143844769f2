//! Kernels that add up atoms: `D z`, a few blocks of pixels a unit.
//!
//! A kernel computes with numbers `F`, those of the tensors of a pass, and reads numbers `S` that are stored between layers.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::{Extent, TILE, of_unit};

/// A block of pixels, and which of its vectors a unit computes.
#[derive(CubeType, Clone, Copy)]
struct Block {
    datum: usize,
    row: usize,
    column: usize,
    /// The number of the vector.
    vector: usize,
    /// Whether the batch has this block.
    there: bool,
}

/// Number `k` of the blocks of a unit.
#[cube]
fn block(extent: &Extent, k: usize, #[comptime] filters: Filters) -> Block {
    let down = comptime!(filters.stride[0]);
    let across = comptime!(filters.stride[1]);
    let rows = extent.height.div_ceil(down);
    let columns = extent.width.div_ceil(across);
    let i = of_unit(k);
    let datum = i / (rows * columns);
    Block {
        datum,
        row: i / columns % rows,
        column: i % columns,
        vector: CUBE_POS_Y as usize,
        there: datum < extent.batch,
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
    let inside = block.there && channel < channels && row < extent.height && column < extent.width;
    let place = ((block.datum * channels + channel) * extent.height + row) * extent.width + column;
    select(inside, place, none)
}

/// `D y` in a vector of each block of a unit, in `sums`, with `y = z + m (z − z₋)`.
#[cube]
fn synthesize<F: Float, S: Float, C: Size, N: Size>(
    code: &[Vector<S, C>],
    previous: &[Vector<S, C>],
    weights: &[Vector<S, N>],
    sums: &mut Array<Vector<F, N>>,
    extent: &Extent,
    momentum: F,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
) {
    let high = comptime!(filters.reach()[0]);
    let wide = comptime!(filters.reach()[1]);
    let vector = CUBE_POS_Y as usize;
    let vectors = CUBE_COUNT_Y as usize;
    let mut points = Array::<Vector<F, C>>::new(TILE);
    #[unroll]
    for k in 0..TILE {
        sums[k] = Vector::<F, N>::zeroed();
    }
    for down in 0..high {
        for across in 0..wide {
            let shift = down * wide + across;
            for v in 0..extent.vectors {
                #[unroll]
                for k in 0..TILE {
                    let block = block(extent, k, filters);
                    // Above the first row or before the first column, the difference wraps around.
                    let row = block.row - down;
                    let column = block.column - across;
                    let mut y = Vector::<F, C>::zeroed();
                    if block.there && row < extent.rows && column < extent.columns {
                        let place = (block.datum * extent.rows + row) * extent.columns + column;
                        y = Vector::cast_from(code[place * extent.vectors + v]);
                        if comptime!(extrapolates) {
                            let before = Vector::cast_from(previous[place * extent.vectors + v]);
                            y = fma(y - before, Vector::new(momentum), y);
                        }
                    }
                    points[k] = y;
                }
                let first = (shift * extent.vectors + v) * C::value();
                #[unroll]
                for i in 0..C::value() {
                    let weight = Vector::<F, N>::cast_from(weights[(first + i) * vectors + vector]);
                    #[unroll]
                    for k in 0..TILE {
                        sums[k] = fma(Vector::new(points[k].extract(i)), weight, sums[k]);
                    }
                }
            }
        }
    }
}

/// `r = D y − x`.
#[cube(launch_unchecked)]
pub(super) fn residual<F: Float, S: Float, C: Size, N: Size>(
    code: &[Vector<S, C>],
    previous: &[Vector<S, C>],
    weights: &[Vector<S, N>],
    x: &[F],
    out: &mut [S],
    extent: Extent,
    momentum: InputScalar,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let mut sums = Array::<Vector<F, N>>::new(TILE);
    synthesize::<F, S, C, N>(
        code,
        previous,
        weights,
        &mut sums,
        &extent,
        momentum.get::<F>(),
        filters,
        extrapolates,
    );
    #[unroll]
    for k in 0..TILE {
        let block = block(&extent, k, filters);
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, x.len(), filters, N::value());
            if place < x.len() {
                out[place] = S::cast_from(sums[k].extract(i) - x[place]);
            }
        }
    }
}

/// `D z`, written behind the first `offset` numbers of `out`.
#[cube(launch_unchecked)]
pub(super) fn decode<F: Float, S: Float, C: Size, N: Size>(
    code: &[Vector<S, C>],
    weights: &[Vector<S, N>],
    out: &mut [F],
    extent: Extent,
    offset: usize,
    #[comptime] filters: Filters,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let mut sums = Array::<Vector<F, N>>::new(TILE);
    synthesize::<F, S, C, N>(code, code, weights, &mut sums, &extent, F::new(0.0), filters, false);
    let pixels = out.len() - offset;
    #[unroll]
    for k in 0..TILE {
        let block = block(&extent, k, filters);
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, pixels, filters, N::value());
            if place < pixels {
                out[offset + place] = sums[k].extract(i);
            }
        }
    }
}

/// `w = A u`. If `data`, `α w` is added to the gradient `total` of the data, or starts it if `fresh`.
#[cube(launch_unchecked)]
pub(super) fn response<F: Float, C: Size, N: Size>(
    u: &[Vector<F, C>],
    weights: &[Vector<F, N>],
    step: &[F],
    out: &mut [F],
    total: &mut [F],
    extent: Extent,
    #[comptime] filters: Filters,
    #[comptime] data: bool,
    #[comptime] fresh: bool,
    #[define(F)] _number: ElemType,
) {
    let mut sums = Array::<Vector<F, N>>::new(TILE);
    synthesize::<F, F, C, N>(u, u, weights, &mut sums, &extent, F::new(0.0), filters, false);
    #[unroll]
    for k in 0..TILE {
        let block = block(&extent, k, filters);
        #[unroll]
        for i in 0..N::value() {
            let place = pixel(&extent, &block, i, out.len(), filters, N::value());
            if place < out.len() {
                let w = sums[k].extract(i);
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
