//! Kernels that correlate images with atoms, `Dᵀ r`: a few positions and a vector of atoms a unit.

use cubecl::prelude::*;

use crate::op::cube::layout::Filters;
use crate::op::cube::shape::{Extent, TILE, of_unit, on_support};
use crate::settings::Shrinkage;

/// Number `k` of the positions of a unit, and whether there is one.
#[cube]
fn position(extent: &Extent, k: usize) -> (usize, bool) {
    let place = of_unit(k);
    (place, place < extent.batch * extent.rows * extent.columns)
}

/// Number `k` of the positions of a unit, or the last one of all if there is none.
#[cube]
fn inside(extent: &Extent, k: usize) -> usize {
    let (place, _) = position(extent, k);
    min(place, extent.batch * extent.rows * extent.columns - 1)
}

/// `Dᵀ r` at the positions of a unit, for vector `v` of the atoms, in `sums`. `weights` are `[taps, padded atoms]`, and the images
/// start behind the first `offset` numbers of `image`.
#[cube]
fn analyze<C: Size>(
    image: &[f32],
    weights: &[Vector<f32, C>],
    sums: &mut Array<Vector<f32, C>>,
    extent: &Extent,
    v: usize,
    offset: usize,
    #[comptime] filters: Filters,
) {
    let channels = comptime!(filters.channels);
    let high = comptime!(filters.kernel[0]);
    let wide = comptime!(filters.kernel[1]);
    let mut corners = Array::<usize>::new(TILE);
    #[unroll]
    for k in 0..TILE {
        let place = inside(extent, k);
        let datum = place / (extent.rows * extent.columns);
        let top = place / extent.columns % extent.rows * comptime!(filters.stride[0]);
        let left = place % extent.columns * comptime!(filters.stride[1]);
        corners[k] = offset + (datum * channels * extent.height + top) * extent.width + left;
        sums[k] = Vector::<f32, C>::zeroed();
    }
    for channel in 0..channels {
        for y in 0..high {
            let row = (channel * extent.height + y) * extent.width;
            let tap = (channel * high + y) * wide;
            for x in 0..wide {
                let weight = weights[(tap + x) * extent.vectors + v];
                #[unroll]
                for k in 0..TILE {
                    sums[k] = fma(Vector::new(image[corners[k] + row + x]), weight, sums[k]);
                }
            }
        }
    }
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
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<f32, C>>::new(TILE);
    analyze::<C>(image, weights, &mut sums, &extent, v, 0, filters);
    #[unroll]
    for k in 0..TILE {
        let (place, there) = position(&extent, k);
        if there {
            let i = place * extent.vectors + v;
            let mut point = sums[k] * Vector::new(sign);
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
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<f32, C>>::new(TILE);
    analyze::<C>(gradient, weights, &mut sums, &extent, v, offset, filters);
    #[unroll]
    for k in 0..TILE {
        let (place, there) = position(&extent, k);
        if there {
            let mut sum = sums[k];
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
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<f32, C>>::new(TILE);
    analyze::<C>(response, weights, &mut sums, &extent, v, 0, filters);
    #[unroll]
    for k in 0..TILE {
        let (place, there) = position(&extent, k);
        if there {
            let i = place * extent.vectors + v;
            let slope = u[i] + sums[k];
            let mut gradient = slope;
            if comptime!(extrapolates) {
                gradient = fma(slope, Vector::new(momentum), slope + carried[i]);
                carried[i] = slope * Vector::new(0.0 - momentum);
            }
            u[i] = on_support::<C>(code[i], gradient);
        }
    }
}
