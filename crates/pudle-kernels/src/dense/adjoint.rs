//! A datum in the backward pass, in either form.

use crate::aligned::{Aligned, zeros};
use crate::dense::pass::Pass;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::sparse::Sparse;

/// The state of a datum in the backward pass. Rows are `[padded p]`.
pub(super) struct Adjoint<T> {
    /// The gradient in `z_{t+1}`. Off the support of `z_{t+1}`, it can have any values.
    pub delta: Aligned<T>,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`.
    carried: Aligned<T>,
    /// `DᵀD u_t` on the support of `y_t`.
    pub image: Aligned<T>,
    /// `y_t` on its support. Zeros between two layers.
    pub point: Aligned<T>,
    /// `u_t` on the support of `z_{t+1}`.
    pub u: Vec<T>,
    /// Support of `z_{t+1}`.
    pub next: Support,
    /// Support of `z_t`.
    code: Support,
    /// Support of `z_{t−1}`. It is empty if the layer does not extrapolate.
    previous: Support,
    /// The union of the last two.
    pub union: Support,
}

/// A support, in memory for any support.
pub(super) struct Support {
    index: Vec<u32>,
    size: usize,
}

impl Support {
    /// The places, which rise.
    #[inline(always)]
    pub fn get(&self) -> &[u32] {
        &self.index[..self.size]
    }
}

/// A layer of a datum.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a, T> {
    /// Number of the layer.
    pub t: usize,
    /// The codes of the segment.
    pub codes: &'a Sparse<T>,
    /// The row of the codes that is `z_t`.
    pub row: usize,
    /// Where the values of this row start.
    pub start: usize,
}

impl<T: Real> Adjoint<T> {
    /// The state before the last layer, with the gradient `delta` in the code, `[p]`.
    pub fn new(delta: &[T], padded: usize) -> Self {
        let mut row: Aligned<T> = zeros(padded);
        row[..delta.len()].copy_from_slice(delta);
        let support = || Support { index: Sparse::<T>::new(padded).index_buffer(), size: 0 };
        Self {
            delta: row,
            carried: zeros(padded),
            image: zeros(padded),
            point: zeros(padded),
            u: Vec::new(),
            next: support(),
            code: support(),
            previous: support(),
            union: support(),
        }
    }

    /// Enters the decoder, whose point is the last code.
    pub fn enter_decoder(&mut self, code: &Sparse<T>) {
        let Self { union, point, .. } = self;
        union.size = code.row(0, &mut union.index);
        for (j, z) in union.get().iter().zip(&code.values) {
            point[*j as usize] = *z;
        }
    }

    /// Leaves the decoder: `image` is the gradient in the code on its support, but for the part `direct`.
    pub fn leave_decoder(&mut self, direct: Option<&[T]>) {
        let Self { delta, image, point, union, .. } = self;
        for j in union.get() {
            let j = *j as usize;
            delta[j] = direct.map_or(T::ZERO, |direct| direct[j]) + image[j];
            point[j] = T::ZERO;
        }
    }

    /// Enters a layer: reads the supports, `u_t`, and `y_t` on the union of the supports of `z_t` and
    /// `z_{t−1}`.
    #[inline(always)]
    pub fn enter<F>(&mut self, pass: &Pass<T, F>, layer: Layer<'_, T>) {
        let Layer { t, codes, row, start } = layer;
        let momentum = T::from_f64(pass.schedule.weight(t));
        let Self { delta, next, code, previous, union, point, u, .. } = self;
        next.size = codes.row(row + 1, &mut next.index);
        code.size = codes.row(row, &mut code.index);
        previous.size = match momentum != T::ZERO {
            true => codes.row(row - 1, &mut previous.index),
            false => 0,
        };
        u.clear();
        u.extend(next.get().iter().map(|j| delta[*j as usize]));
        let one = T::ONE + momentum;
        for (j, z) in code.get().iter().zip(&codes.values[start..]) {
            point[*j as usize] = one * *z;
        }
        for (j, z) in previous.get().iter().zip(&codes.values[start - previous.size..]) {
            point[*j as usize] += -(momentum * *z);
        }
        union.size = unite(code.get(), previous.get(), &mut union.index);
    }

    /// Adds the gradient of the levels to `levels`, `[T or 1, padded p]`.
    #[inline(always)]
    pub fn add_levels<F>(&self, pass: &Pass<T, F>, layer: Layer<'_, T>, levels: &mut [T]) {
        if pass.schedule.shrinkage == Shrinkage::Hard {
            return;
        }
        let levels = &mut levels[pass.levels.row(layer.t) * pass.padded..][..pass.padded];
        let values = &layer.codes.values[layer.start + self.code.size..];
        for ((j, u), z) in self.next.get().iter().zip(&self.u).zip(values) {
            levels[*j as usize] += -(*u * z.signum0());
        }
    }

    /// Leaves a layer: takes the gradient to `z_t`, and to what `y_t` leaves for `z_{t−1}`. `image` is
    /// `DᵀD u_t` on the union.
    #[inline(always)]
    pub fn leave<F>(&mut self, pass: &Pass<T, F>, t: usize) {
        let momentum = T::from_f64(pass.schedule.weight(t));
        let one = T::ONE + momentum;
        let Self { delta, carried, image, point, u, next, code, previous, union } = self;
        for j in union.get() {
            point[*j as usize] = T::ZERO;
        }
        // `point` holds u meanwhile, because u is zero off the support of z_{t+1}, where `delta` is not.
        for (j, u) in next.get().iter().zip(&*u) {
            point[*j as usize] = *u;
        }
        for j in code.get() {
            let j = *j as usize;
            delta[j] = carried[j] + one * (point[j] - pass.step * image[j]);
        }
        carried.fill(T::ZERO);
        for j in previous.get() {
            let j = *j as usize;
            carried[j] = -(momentum * (point[j] - pass.step * image[j]));
        }
        for j in next.get() {
            point[*j as usize] = T::ZERO;
        }
    }
}

/// Writes the union of two rising lists of places to `out`, and returns its size.
fn unite(a: &[u32], b: &[u32], out: &mut [u32]) -> usize {
    if b.is_empty() {
        out[..a.len()].copy_from_slice(a);
        return a.len();
    }
    let (mut i, mut k, mut count) = (0, 0, 0);
    while i < a.len() || k < b.len() {
        let next = match (a.get(i), b.get(k)) {
            (Some(a), Some(b)) => *a.min(b),
            (Some(one), None) | (None, Some(one)) => *one,
            (None, None) => break,
        };
        i += usize::from(a.get(i) == Some(&next));
        k += usize::from(b.get(k) == Some(&next));
        out[count] = next;
        count += 1;
    }
    count
}
