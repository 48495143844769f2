//! Kernels that correlate images with atoms, `Dᵀ r`: a few positions and a vector of atoms a unit.
//!
//! A kernel computes with numbers `F`, those of the tensors of a pass, and stores numbers `S` between layers.

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
fn analyze<F: Float, S: Float, C: Size>(
    image: &[S],
    weights: &[Vector<S, C>],
    sums: &mut Array<Vector<F, C>>,
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
        sums[k] = Vector::<F, C>::zeroed();
    }
    for channel in 0..channels {
        for y in 0..high {
            let row = (channel * extent.height + y) * extent.width;
            let tap = (channel * high + y) * wide;
            for x in 0..wide {
                let weight = Vector::<F, C>::cast_from(weights[(tap + x) * extent.vectors + v]);
                #[unroll]
                for k in 0..TILE {
                    let pixel = F::cast_from(image[corners[k] + row + x]);
                    sums[k] = fma(Vector::new(pixel), weight, sums[k]);
                }
            }
        }
    }
}

/// `Φ(v)` at the levels of a vector of atoms.
#[cube]
pub(super) fn shrink<F: Float, C: Size>(
    v: Vector<F, C>,
    level: Vector<F, C>,
    #[comptime] shrinkage: Shrinkage,
) -> Vector<F, C> {
    let zero = Vector::<F, C>::zeroed();
    let mut code = zero;
    if comptime!(matches!(shrinkage, Shrinkage::Hard)) {
        #[unroll]
        for i in 0..C::value() {
            let one = v.extract(i);
            code.insert(i, select(one.abs() > level.extract(i), one, F::new(0.0)));
        }
    } else {
        code = max(v - level, zero);
        if comptime!(!matches!(shrinkage, Shrinkage::Relu)) {
            code -= max(zero - v - level, zero);
        }
    }
    code
}

/// `z ← Φ(y − α Aᵀ r)` with `y = z + m (z − z₋)`. `weights` are `A`. In layer 0, the image is `x` and the residual `−x`. There, `y` is
/// zero, and `code` is not read.
#[cube(launch_unchecked)]
pub(super) fn update<F: Float, S: Float, C: Size>(
    image: &[S],
    weights: &[Vector<S, C>],
    code: &[Vector<S, C>],
    previous: &[Vector<S, C>],
    levels: &[Vector<F, C>],
    step: &[F],
    next: &mut [Vector<S, C>],
    extent: Extent,
    momentum: InputScalar,
    level_row: usize,
    level_stride: usize,
    #[comptime] filters: Filters,
    #[comptime] shrinkage: Shrinkage,
    #[comptime] origin: bool,
    #[comptime] extrapolates: bool,
    #[define(F, S)] _types: [ElemType; 2],
) {
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<F, C>>::new(TILE);
    analyze::<F, S, C>(image, weights, &mut sums, &extent, v, 0, filters);
    #[unroll]
    for k in 0..TILE {
        let (place, there) = position(&extent, k);
        if there {
            let i = place * extent.vectors + v;
            let mut point = sums[k] * Vector::new(step[0]);
            if comptime!(!origin) {
                let z = Vector::<F, C>::cast_from(code[i]);
                point = z - point;
                if comptime!(extrapolates) {
                    let change = z - Vector::cast_from(previous[i]);
                    point = fma(change, Vector::new(momentum.get::<F>()), point);
                }
            }
            let row = level_row + place / places * level_stride;
            let z = shrink::<F, C>(point, levels[row * extent.vectors + v], shrinkage);
            next[i] = Vector::cast_from(z);
        }
    }
}

/// `u = g + Dᵀ e` on the support of the last code, from the gradient `[codes, images]` of the output: `g` is
/// `[b, p, positions]`, and `e` follows it.
#[cube(launch_unchecked)]
pub(super) fn start_back<F: Float, C: Size>(
    gradient: &[F],
    weights: &[Vector<F, C>],
    code: &[Vector<F, C>],
    u: &mut [Vector<F, C>],
    extent: Extent,
    atoms: usize,
    offset: usize,
    #[comptime] filters: Filters,
    #[define(F)] _number: ElemType,
) {
    let places = extent.rows * extent.columns;
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<F, C>>::new(TILE);
    analyze::<F, F, C>(gradient, weights, &mut sums, &extent, v, offset, filters);
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
            u[i] = on_support::<F, C>(code[i], sum);
        }
    }
}

/// From the gradient `u` in `z_{t+1}` to that in `z_t`, on its support, in place: with `d = u − α Dᵀ w`, it is `c + (1 + m) d`,
/// and `−m d` is carried to `z_{t−1}` in `c`. `weights` are `D`.
#[cube(launch_unchecked)]
pub(super) fn step_back<F: Float, C: Size>(
    response: &[F],
    weights: &[Vector<F, C>],
    code: &[Vector<F, C>],
    step: &[F],
    u: &mut [Vector<F, C>],
    carried: &mut [Vector<F, C>],
    extent: Extent,
    momentum: InputScalar,
    #[comptime] filters: Filters,
    #[comptime] extrapolates: bool,
    #[define(F)] _number: ElemType,
) {
    let v = CUBE_POS_Y as usize;
    let mut sums = Array::<Vector<F, C>>::new(TILE);
    analyze::<F, F, C>(response, weights, &mut sums, &extent, v, 0, filters);
    #[unroll]
    for k in 0..TILE {
        let (place, there) = position(&extent, k);
        if there {
            let i = place * extent.vectors + v;
            let slope = u[i] - sums[k] * Vector::new(step[0]);
            let mut gradient = slope;
            if comptime!(extrapolates) {
                let weight = momentum.get::<F>();
                gradient = fma(slope, Vector::new(weight), slope + carried[i]);
                carried[i] = slope * Vector::new(F::new(0.0) - weight);
            }
            u[i] = on_support::<F, C>(code[i], gradient);
        }
    }
}
