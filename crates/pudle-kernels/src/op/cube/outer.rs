//! Kernels for the gradients of the parameters: sums over positions, in parts that a second kernel adds up.
//!
//! The parts have a fixed place and a fixed order, so that a gradient is the same in every run. No kernel needs atomic
//! additions.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::{Extent, TILE, unit};

/// Which products a launch of `outer` adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Products {
    /// Whether there is a second product, of the response with the point.
    pub second: bool,
    /// Whether the point is zero, so that the second product adds nothing.
    pub origin: bool,
    /// Whether the point is `z + m (z − z₋)` instead of `z`.
    pub extrapolates: bool,
    /// Whether the parts start here, instead of being added to.
    pub fresh: bool,
}

/// The products of patches with codes, for `TILE` taps and a vector of atoms a unit, over `rows` positions a cube.
///
/// `partial` is `[parts, 1 or 2, taps, padded atoms]`. The first product is `sign · image ⊗ u`, with the images behind
/// the first `offset` numbers of `image`; the second is `response ⊗ y`. The products of a part are two cubes of the grid.
#[cube(launch_unchecked)]
pub(super) fn outer<F: Float, C: Size>(
    image: &[F],
    u: &[Vector<F, C>],
    response: &[F],
    code: &[Vector<F, C>],
    previous: &[Vector<F, C>],
    partial: &mut [Vector<F, C>],
    extent: Extent,
    sign: f32,
    momentum: InputScalar,
    offset: usize,
    rows: usize,
    #[comptime] filters: Filters,
    #[comptime] products: Products,
    #[define(F)] _number: ElemType,
) {
    let taps = comptime!(filters.taps());
    let count = comptime!(if products.second { 2usize } else { 1usize });
    let v = CUBE_POS_Y as usize;
    let part = CUBE_POS_Z as usize / count;
    let second = comptime!(products.second) && CUBE_POS_Z as usize % count == 1;
    let from = part * rows;
    let to = min(from + rows, extent.batch * extent.rows * extent.columns);
    let mut sums = Array::<Vector<F, C>>::new(TILE);
    let mut corners = Array::<usize>::new(TILE);
    #[unroll]
    for k in 0..TILE {
        sums[k] = Vector::<F, C>::zeroed();
        corners[k] = corner(&extent, min(tap(k), taps - 1), filters);
    }
    if second {
        if comptime!(products.second && !products.origin) {
            for place in from..to {
                let start = first_pixel(&extent, place, filters);
                let i = place * extent.vectors + v;
                let mut y = code[i];
                if comptime!(products.extrapolates) {
                    y = fma(y - previous[i], Vector::new(momentum.get::<F>()), y);
                }
                #[unroll]
                for k in 0..TILE {
                    sums[k] = fma(Vector::new(response[start + corners[k]]), y, sums[k]);
                }
            }
        }
    } else {
        for place in from..to {
            let start = offset + first_pixel(&extent, place, filters);
            let slope = u[place * extent.vectors + v];
            #[unroll]
            for k in 0..TILE {
                sums[k] = fma(Vector::new(image[start + corners[k]]), slope, sums[k]);
            }
        }
        #[unroll]
        for k in 0..TILE {
            sums[k] *= Vector::new(F::cast_from(sign));
        }
    }
    #[unroll]
    for k in 0..TILE {
        if tap(k) < taps {
            let at = (CUBE_POS_Z as usize * taps + tap(k)) * extent.vectors + v;
            let mut sum = sums[k];
            if comptime!(!products.fresh) {
                sum += partial[at];
            }
            partial[at] = sum;
        }
    }
}

/// Number `k` of the taps of a unit.
#[cube]
fn tap(k: usize) -> usize {
    (CUBE_POS_X as usize * TILE + k) * CUBE_DIM_X as usize + UNIT_POS_X as usize
}

/// The pixel of a tap in the patch at the first position.
#[cube]
fn corner(extent: &Extent, tap: usize, #[comptime] filters: Filters) -> usize {
    let high = comptime!(filters.kernel[0]);
    let wide = comptime!(filters.kernel[1]);
    let channel = tap / (high * wide);
    (channel * extent.height + tap / wide % high) * extent.width + tap % wide
}

/// The first pixel of the patch at a position.
#[cube]
fn first_pixel(extent: &Extent, place: usize, #[comptime] filters: Filters) -> usize {
    let pixels = comptime!(filters.channels) * extent.height * extent.width;
    let row = place / extent.columns % extent.rows * comptime!(filters.stride[0]);
    let column = place % extent.columns * comptime!(filters.stride[1]);
    place / (extent.rows * extent.columns) * pixels + row * extent.width + column
}

/// Which sums make the gradient of a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sums {
    /// The first product of the layers.
    pub analysis: bool,
    /// The second product of the layers.
    pub synthesis: bool,
    /// The product of the decoder.
    pub decoder: bool,
    /// Whether the layers' products are multiplied by the step size.
    pub scaled: bool,
}

/// The gradient of a bank, in the order of the bank, from the parts of `outer`: those of the layers count negatively.
#[cube(launch)]
pub(super) fn gather<F: Float>(
    layers: &[F],
    decoder: &[F],
    step: &[F],
    out: &mut [F],
    atoms: usize,
    padded: usize,
    taps: usize,
    parts: usize,
    #[comptime] sums: Sums,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    if i < out.len() {
        let tap = i / atoms;
        let atom = i % atoms;
        let number = tap * padded + atom;
        let size = taps * padded;
        let mut sum = F::new(0.0);
        for part in 0..parts {
            if comptime!(sums.analysis) {
                sum += layers[2 * part * size + number];
            }
            if comptime!(sums.synthesis) {
                sum += layers[(2 * part + 1) * size + number];
            }
        }
        sum = F::new(0.0) - sum;
        if comptime!(sums.scaled) {
            sum *= step[0];
        }
        if comptime!(sums.decoder) {
            for part in 0..parts {
                sum += decoder[part * size + number];
            }
        }
        out[atom * taps + tap] = sum;
    }
}

/// `−Σ u sign(z)` over `chunk` positions of a datum a unit: the gradient of a layer's levels, added to row `layer` of `out`,
/// `[T or 1, b, chunks, padded atoms]`.
#[cube(launch)]
pub(super) fn level_sums<F: Float, C: Size>(
    u: &[Vector<F, C>],
    code: &[Vector<F, C>],
    out: &mut [Vector<F, C>],
    extent: Extent,
    layer: usize,
    chunk: usize,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    let v = CUBE_POS_Y as usize;
    let places = extent.rows * extent.columns;
    let chunks = places.div_ceil(chunk);
    if i < extent.batch * chunks {
        let from = i % chunks * chunk;
        let to = min(from + chunk, places);
        let first = i / chunks * places;
        let mut sum = Vector::<F, C>::zeroed();
        for place in from..to {
            let at = (first + place) * extent.vectors + v;
            let slopes = u[at];
            let z = code[at];
            // Where z is zero, u is, too.
            #[unroll]
            for k in 0..C::value() {
                let slope = slopes.extract(k);
                let signed = select(z.extract(k) > F::new(0.0), F::new(0.0) - slope, slope);
                sum.insert(k, sum.extract(k) + signed);
            }
        }
        let at = (layer * extent.batch * chunks + i) * extent.vectors + v;
        out[at] += sum;
    }
}
