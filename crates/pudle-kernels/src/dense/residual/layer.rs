//! A layer in residual form.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::aligned::{Aligned, zeros};
use crate::dense::pass::{Pass, Products};
use crate::dense::residual::matrix::{Residual, panels_of_task, rows_of_task, width};
use crate::dense::state::{Rows, State, extrapolate};
use crate::product::{Factors, Places, product};
use crate::real::Real;
use crate::sparse::Sparse;
use crate::vector::shrink;

impl<T: Real> Products<T> for Residual<T> {
    fn residual_length(pass: &Pass<T, Self>) -> usize {
        pass.dim.next_multiple_of(width::<T>())
    }

    fn layer(pass: &Pass<T, Self>, state: &mut State<T>, first: usize, t: usize) {
        let Pass { dim, atoms, padded, arch, .. } = *pass;
        let (form, width) = (&pass.form, width::<T>());
        let State { count, code, previous, point, gradient, support, residual, .. } = state;
        let (count, at_once) = (*count, rows_of_task(padded));

        let weight = pass.schedule.weight(t);
        let rows = point.par_chunks_mut(padded).zip(previous.par_chunks_mut(padded));
        let rows = rows.zip(code.par_chunks(padded)).with_min_len(at_once);
        rows.for_each(|((point, previous), code)| {
            arch.dispatch(Extrapolate { weight, code, previous, point });
        });

        let points = Rows::new(point, padded, atoms, support);
        let x = &form.x[first * dim..][..count * dim];
        residual
            .par_chunks_mut(width * count)
            .zip(&form.synthesis)
            .enumerate()
            .with_min_len(panels_of_task::<T>(dim, count))
            .for_each(|(k, (out, panel))| {
                let sums = arch.dispatch(Synthesis { points, panel });
                for (i, (sums, x)) in sums.chunks_exact(width).zip(x.chunks_exact(dim)).enumerate()
                {
                    for (out, (x, sum)) in
                        out.chunks_exact_mut(count).zip(x[k * width..].iter().zip(sums))
                    {
                        out[i] = *x - *sum;
                    }
                }
            });

        gradient
            .par_chunks_mut(width * count)
            .zip(&form.analysis)
            .with_min_len(panels_of_task::<T>(dim, count))
            .for_each(|(out, panel)| {
                arch.dispatch(Analysis { residual, dim, count, panel, out });
            });

        let gradient = &gradient[..];
        code.par_chunks_mut(padded)
            .zip(point.par_chunks(padded))
            .enumerate()
            .with_min_len(at_once)
            .for_each(|(i, (code, point))| {
                let levels = pass.levels.of(t, first + i);
                arch.dispatch(Step { pass, levels, i, count, gradient, point, code });
            });
    }
}

impl<T: Real> Pass<T, Residual<T>> {
    /// Writes `D z` of the codes `code`, `[group, p]`, to `out`, `[group, m]`.
    pub(super) fn decode(&self, code: &[T], out: &mut [T]) {
        let mut support = Sparse::new(self.padded);
        let points = Rows::new(code, self.atoms, self.atoms, &mut support);
        let panels: Vec<Aligned<T>> = (self.form.synthesis.par_iter())
            .with_min_len(panels_of_task::<T>(self.dim, points.count))
            .map(|panel| self.arch.dispatch(Synthesis { points, panel }))
            .collect();
        for (i, out) in out.chunks_exact_mut(self.dim).enumerate() {
            for (out, panel) in out.chunks_mut(width::<T>()).zip(&panels) {
                out.copy_from_slice(&panel[i * width::<T>()..][..out.len()]);
            }
        }
    }
}

/// [`extrapolate`].
struct Extrapolate<'a, T> {
    weight: f64,
    code: &'a [T],
    previous: &'a mut [T],
    point: &'a mut [T],
}

impl<T: Real> WithSimd for Extrapolate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        extrapolate(simd, self.weight, self.code, self.previous, self.point);
    }
}

/// `D y` in the dimensions of a panel, `[count, width]`.
struct Synthesis<'a, T> {
    points: Rows<'a, T>,
    panel: &'a [T],
}

impl<T: Real> WithSimd for Synthesis<'_, T> {
    type Output = Aligned<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Aligned<T> {
        let Self { points, panel } = self;
        let mut sums = zeros(points.count * width::<T>());
        let mut index = points.support.index_buffer();
        points.weigh(simd, panel, width::<T>(), &mut sums, &mut index);
        sums
    }
}

/// `Dᵀ r_t` for the atoms of a panel.
struct Analysis<'a, T> {
    /// `[padded dim, count]`.
    residual: &'a [T],
    dim: usize,
    count: usize,
    panel: &'a [T],
    /// `[count, width]`.
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Analysis<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = width::<T>();
        let factors = Factors {
            a: self.residual,
            a_strides: [1, self.count],
            rows: Places::First(self.count),
            terms: Places::First(self.dim),
            b: self.panel,
            b_stride: width,
            width,
        };
        product(simd, factors, self.out, width, false);
    }
}

/// `z_{t+1} = Φ(y_t + α Dᵀ r_t)` of a datum.
struct Step<'a, T> {
    pass: &'a Pass<T, Residual<T>>,
    levels: &'a [T],
    /// Number of the datum in its group.
    i: usize,
    count: usize,
    /// `Dᵀ r_t` of the group, `[panels, count, width]`.
    gradient: &'a [T],
    point: &'a [T],
    code: &'a mut [T],
}

impl<T: Real> WithSimd for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, levels, i, count, gradient, point, code } = self;
        let width = width::<T>();
        let step = T::splat(simd, pass.step);
        let gradient = gradient.chunks_exact(width).skip(i).step_by(count);
        let inputs = point.chunks_exact(width).zip(levels.chunks_exact(width)).zip(gradient);
        for (code, ((point, levels), gradient)) in code.chunks_exact_mut(width).zip(inputs) {
            let inputs = T::vectors::<S>(point).iter().zip(T::vectors::<S>(levels));
            let inputs = inputs.zip(T::vectors::<S>(gradient));
            for (code, ((point, level), gradient)) in
                T::vectors_mut::<S>(code).iter_mut().zip(inputs)
            {
                let v = T::mul_add(simd, *gradient, step, *point);
                *code = shrink::<T, S>(simd, pass.schedule.shrinkage, v, *level);
            }
        }
    }
}
