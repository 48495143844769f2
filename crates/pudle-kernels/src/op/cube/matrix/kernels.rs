//! Kernels over codes `[b, p]`, a vector of them a unit.

use cubecl::prelude::*;

use crate::op::cube::analysis::shrink;
use crate::op::cube::shape::{on_support, unit};
use crate::settings::Shrinkage;

/// `z ← Φ(y − α (s − c))` with `s = y DᵀD`, and the point that the next layer starts from, `z_{t+1} + m (z_{t+1} − z_t)`, if it
/// extrapolates. In layer 0, `y` is zero, and neither it nor `s` is read.
#[cube(launch_unchecked)]
pub(super) fn descend<F: Float, C: Size>(
    products: &[Vector<F, C>],
    correlations: &[Vector<F, C>],
    point: &[Vector<F, C>],
    code: &[Vector<F, C>],
    levels: &[Vector<F, C>],
    step: &[F],
    next: &mut [Vector<F, C>],
    next_point: &mut [Vector<F, C>],
    vectors: usize,
    momentum: InputScalar,
    level_row: usize,
    level_stride: usize,
    #[comptime] shrinkage: Shrinkage,
    #[comptime] origin: bool,
    #[comptime] extrapolates: bool,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    if i < next.len() {
        let alpha = Vector::new(step[0]);
        let mut v = correlations[i] * alpha;
        if comptime!(!origin) {
            v += point[i] - products[i] * alpha;
        }
        let row = level_row + i / vectors * level_stride;
        let z = shrink::<F, C>(v, levels[row * vectors + i % vectors], shrinkage);
        next[i] = z;
        if comptime!(extrapolates) {
            let mut change = z;
            if comptime!(!origin) {
                change -= code[i];
            }
            next_point[i] = fma(change, Vector::new(momentum.get::<F>()), z);
        }
    }
}

/// `u_t`: the gradient in `z_{t+1}` on its support. Behind the last layer, the gradient is `from`. Elsewhere, `from` is
/// `u_{t+1}`, and with `d = u_{t+1} − α u_{t+1} DᵀD` the gradient is `c + (1 + m) d`; `−m d` is carried to the layer before in `c`.
#[cube(launch_unchecked)]
pub(super) fn ascend<F: Float, C: Size>(
    from: &[Vector<F, C>],
    products: &[Vector<F, C>],
    code: &[Vector<F, C>],
    step: &[F],
    carried: &mut [Vector<F, C>],
    u: &mut [Vector<F, C>],
    momentum: InputScalar,
    #[comptime] last: bool,
    #[comptime] extrapolates: bool,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    if i < u.len() {
        let mut gradient = from[i];
        if comptime!(!last) {
            gradient -= products[i] * Vector::new(step[0]);
            if comptime!(extrapolates) {
                let slope = gradient;
                let weight = momentum.get::<F>();
                gradient = fma(slope, Vector::new(weight), slope + carried[i]);
                carried[i] = slope * Vector::new(F::new(0.0) - weight);
            }
        }
        u[i] = on_support::<F, C>(code[i], gradient);
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
pub(super) fn store<F: Float, C: Size>(
    u: &[Vector<F, C>],
    next: &[Vector<F, C>],
    code: &[Vector<F, C>],
    previous: &[Vector<F, C>],
    all_u: &mut [Vector<F, C>],
    all_y: &mut [Vector<F, C>],
    total: &mut [Vector<F, C>],
    levels: &mut [Vector<F, C>],
    momentum: InputScalar,
    place: usize,
    level_place: usize,
    #[comptime] stored: Stored,
    #[define(F)] _number: ElemType,
) {
    let i = unit();
    if i < u.len() {
        let slope = u[i];
        total[i] += slope;
        all_u[place + i] = slope;
        let mut y = Vector::<F, C>::zeroed();
        if comptime!(!stored.origin) {
            y = code[i];
            if comptime!(stored.extrapolates) {
                y = fma(y - previous[i], Vector::new(momentum.get::<F>()), y);
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
                let signed = select(z.extract(k) > F::new(0.0), F::new(0.0) - one, one);
                sum.insert(k, sum.extract(k) + signed);
            }
            levels[level_place + i] = sum;
        }
    }
}
