//! Kernels that correlate images with atoms, `Dᵀ r`: a position and a vector of atoms a unit.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::{Extent, on_support, unit};
use crate::settings::Shrinkage;

/// `Dᵀ r` at position `place` of all positions of the batch, for vector `v` of the atoms. `weights` are `[taps, padded
/// atoms]`, and the images start behind the first `offset` numbers of `image`.
#[cube]
fn analyze<C: Size>(
    image: &[f32],
    weights: &[Vector<f32, C>],
    extent: &Extent,
    place: usize,
    v: usize,
    offset: usize,
    #[comptime] filters: Filters,
) -> Vector<f32, C> {
    let channels = comptime!(filters.channels);
    let high = comptime!(filters.kernel[0]);
    let wide = comptime!(filters.kernel[1]);
    let datum = place / (extent.rows * extent.columns);
    let top = place / extent.columns % extent.rows * comptime!(filters.stride[0]);
    let left = place % extent.columns * comptime!(filters.stride[1]);
    let mut sum = Vector::<f32, C>::zeroed();
    for channel in 0..channels {
        for y in 0..high {
            let row = (datum * channels + channel) * extent.height + top + y;
            let start = offset + row * extent.width + left;
            let tap = (channel * high + y) * wide;
            for x in 0..wide {
                let weight = weights[(tap + x) * extent.vectors + v];
                sum = fma(Vector::new(image[start + x]), weight, sum);
            }
        }
    }
    sum
}

/// `Φ(v)` at the levels of a vector of atoms.
#[cube]
pub(super) fn shrink<C: Size>(
    v: Vector<f32, C>,
    level: Vector<f32, C>,
    #[comptime] shrinkage: Shrinkage,
) -> Vector<f32, C> {
    let zero = Vector::<f32, C>::zeroed();
    let mut code = zero;
    if comptime!(matches!(shrinkage, Shrinkage::Hard)) {
        #[unroll]
        for i in 0..C::value() {
            let one = v.extract(i);
            code.insert(i, select(one.abs() > level.extract(i), one, 0.0));
        }
    } else {
        code = max(v - level, zero);
        if comptime!(!matches!(shrinkage, Shrinkage::Relu)) {
            code -= max(zero - v - level, zero);
        }
    }
    code
}

/// `z ← Φ(y − α Aᵀ r)` with `y = z + m (z − z₋)`. `weights` are `−α A`. `sign` multiplies the image: it is `−1` in layer 0,
/// whose residual is `−x`. There, `y` is zero, and `code` is not read.
#[cube(launch_unchecked)]
pub(super) fn update<C: Size>(
    image: &[f32],
    weights: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    previous: &[Vector<f32, C>],
    levels: &[Vector<f32, C>],
    next: &mut [Vector<f32, C>],
    extent: Extent,
    sign: f32,
    momentum: f32,
    level_row: usize,
    level_stride: usize,
    #[comptime] filters: Filters,
    #[comptime] shrinkage: Shrinkage,
    #[comptime] origin: bool,
    #[comptime] extrapolates: bool,
) {
    let place = unit();
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    if place < extent.batch * places {
        let i = place * extent.vectors + v;
        let sum = analyze::<C>(image, weights, &extent, place, v, 0, filters);
        let mut point = sum * Vector::new(sign);
        if comptime!(!origin) {
            let z = code[i];
            point += z;
            if comptime!(extrapolates) {
                point = fma(z - previous[i], Vector::new(momentum), point);
            }
        }
        let row = level_row + place / places * level_stride;
        next[i] = shrink::<C>(point, levels[row * extent.vectors + v], shrinkage);
    }
}

/// `u = g + Dᵀ e` on the support of the last code, from the gradient `[codes, images]` of the output: `g` is
/// `[b, p, positions]`, and `e` follows it.
#[cube(launch_unchecked)]
pub(super) fn start_back<C: Size>(
    gradient: &[f32],
    weights: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    u: &mut [Vector<f32, C>],
    extent: Extent,
    atoms: usize,
    offset: usize,
    #[comptime] filters: Filters,
) {
    let place = unit();
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    if place < extent.batch * places {
        let mut sum = analyze::<C>(gradient, weights, &extent, place, v, offset, filters);
        let datum = place / places;
        let here = place % places;
        #[unroll]
        for i in 0..C::value() {
            let atom = v * C::value() + i;
            if atom < atoms {
                let given = gradient[(datum * atoms + atom) * places + here];
                sum.insert(i, sum.extract(i) + given);
            }
        }
        let i = place * extent.vectors + v;
        u[i] = on_support::<C>(code[i], sum);
    }
}

/// From the gradient `u` in `z_{t+1}` to that in `z_t`, on its support, in place: with `d = u − α Dᵀ w`, it is `c + (1 + m) d`,
/// and `−m d` is carried to `z_{t−1}` in `c`. `weights` are `−α D`.
#[cube(launch_unchecked)]
pub(super) fn step_back<C: Size>(
    response: &[f32],
    weights: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    u: &mut [Vector<f32, C>],
    carried: &mut [Vector<f32, C>],
    extent: Extent,
    momentum: f32,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
) {
    let place = unit();
    let v = CUBE_POS_Y as usize;
    if place < extent.batch * extent.rows * extent.columns {
        let i = place * extent.vectors + v;
        let sum = analyze::<C>(response, weights, &extent, place, v, 0, filters);
        let slope = u[i] + sum;
        let mut gradient = slope;
        if comptime!(extrapolates) {
            gradient = fma(slope, Vector::new(momentum), slope + carried[i]);
            carried[i] = slope * Vector::new(0.0 - momentum);
        }
        u[i] = on_support::<C>(code[i], gradient);
    }
}
