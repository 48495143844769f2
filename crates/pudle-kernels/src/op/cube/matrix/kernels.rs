//! Kernels over codes `[b, p]`, a vector of them a unit.

use cubecl::prelude::*;

use crate::op::cube::analysis::shrink;
use crate::op::cube::shape::{on_support, unit};
use crate::settings::Shrinkage;

/// `z ← Φ(y − α (s − c))` with `s = y DᵀD`, and the point that the next layer starts from, `z_{t+1} + m (z_{t+1} − z_t)`, if it
/// extrapolates. In layer 0, `y` is zero, and neither it nor `s` is read.
#[cube(launch_unchecked)]
pub(super) fn descend<C: Size>(
    products: &[Vector<f32, C>],
    correlations: &[Vector<f32, C>],
    point: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    levels: &[Vector<f32, C>],
    step: &[f32],
    next: &mut [Vector<f32, C>],
    next_point: &mut [Vector<f32, C>],
    vectors: usize,
    momentum: f32,
    level_row: usize,
    level_stride: usize,
    #[comptime] shrinkage: Shrinkage,
    #[comptime] origin: bool,
    #[comptime] extrapolates: bool,
) {
    let i = unit();
    if i < next.len() {
        let alpha = Vector::new(step[0]);
        let mut v = correlations[i] * alpha;
        if comptime!(!origin) {
            v += point[i] - products[i] * alpha;
        }
        let row = level_row + i / vectors * level_stride;
        let z = shrink::<C>(v, levels[row * vectors + i % vectors], shrinkage);
        next[i] = z;
        if comptime!(extrapolates) {
            let mut change = z;
            if comptime!(!origin) {
                change -= code[i];
            }
            next_point[i] = fma(change, Vector::new(momentum), z);
        }
    }
}

/// `u_t`: the gradient in `z_{t+1}` on its support. Behind the last layer, the gradient is `from`. Elsewhere, `from` is
/// `u_{t+1}`, and with `d = u_{t+1} − α u_{t+1} DᵀD` the gradient is `c + (1 + m) d`; `−m d` is carried to the layer before in `c`.
#[cube(launch_unchecked)]
pub(super) fn ascend<C: Size>(
    from: &[Vector<f32, C>],
    products: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    step: &[f32],
    carried: &mut [Vector<f32, C>],
    u: &mut [Vector<f32, C>],
    momentum: f32,
    #[comptime] last: bool,
    #[comptime] extrapolates: bool,
) {
    let i = unit();
    if i < u.len() {
        let mut gradient = from[i];
        if comptime!(!last) {
            gradient -= products[i] * Vector::new(step[0]);
            if comptime!(extrapolates) {
                let slope = gradient;
                gradient = fma(slope, Vector::new(momentum), slope + carried[i]);
                carried[i] = slope * Vector::new(0.0 - momentum);
            }
        }
        u[i] = on_support::<C>(code[i], gradient);
    }
}

/// Which sums `store` adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    /// Whether `y` is zero.
    pub origin: bool,
    /// Whether `y` is `z + m (z − z₋)` instead of `z`.
    pub extrapolates: bool,
    /// Whether the gradient of the levels is added up.
    pub levels: bool,
}

/// Stores `u_t` and `y_t` in two tall matrices, from vector `place` on, and adds `u_t` to `total` and, from vector `level_place`
/// on, `−u_t sign(z_{t+1})` to `levels`.
#[cube(launch_unchecked)]
pub(super) fn store<C: Size>(
    u: &[Vector<f32, C>],
    next: &[Vector<f32, C>],
    code: &[Vector<f32, C>],
    previous: &[Vector<f32, C>],
    all_u: &mut [Vector<f32, C>],
    all_y: &mut [Vector<f32, C>],
    total: &mut [Vector<f32, C>],
    levels: &mut [Vector<f32, C>],
    momentum: f32,
    place: usize,
    level_place: usize,
    #[comptime] stored: Stored,
) {
    let i = unit();
    if i < u.len() {
        let slope = u[i];
        total[i] += slope;
        all_u[place + i] = slope;
        let mut y = Vector::<f32, C>::zeroed();
        if comptime!(!stored.origin) {
            y = code[i];
            if comptime!(stored.extrapolates) {
                y = fma(y - previous[i], Vector::new(momentum), y);
            }
        }
        all_y[place + i] = y;
        if comptime!(stored.levels) {
            let z = next[i];
            let mut sum = levels[level_place + i];
            // Where z is zero, u is, too.
            #[unroll]
            for k in 0..C::value() {
                let one = slope.extract(k);
                let signed = select(z.extract(k) > 0.0, 0.0 - one, one);
                sum.insert(k, sum.extract(k) + signed);
            }
            levels[level_place + i] = sum;
        }
    }
}
