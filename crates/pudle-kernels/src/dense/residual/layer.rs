//! A layer in residual form.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::aligned::{Aligned, zeros};
use crate::dense::pass::{Pass, Products};
use crate::dense::residual::lists::Lists;
use crate::dense::residual::matrix::{Residual, panels_of_task, rows_of_task, transpose, width};
use crate::dense::residual::panel::{Panel, add_lists};
use crate::dense::state::{State, extrapolate};
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

        let points = listed(point, padded, atoms, support);
        let x = &form.x[first * dim..][..count * dim];
        (residual.par_chunks_mut(width * count).enumerate())
            .with_min_len(panels_of_task::<T>(dim, count))
            .for_each(|(k, out)| {
                let panel = Panel { numbers: &form.synthesis[k], first: k * width, dim };
                let mut rows = panel.part(x);
                let (codes, scale) = (&points, -T::ONE);
                let panel = panel.numbers;
                arch.dispatch(Synthesis { panel, codes, scale, out: &mut rows });
                transpose(&rows, width, out, count);
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
        let (dim, width) = (self.dim, width::<T>());
        let mut support = Sparse::new(self.padded);
        let codes = listed(code, self.atoms, self.atoms, &mut support);
        let length = out.len() / dim * width;
        let panels: Vec<Aligned<T>> = (self.form.synthesis.par_iter())
            .with_min_len(panels_of_task::<T>(dim, length / width))
            .map(|panel| {
                let mut out = zeros(length);
                let (codes, scale) = (&codes, T::ONE);
                self.arch.dispatch(Synthesis { panel, codes, scale, out: &mut out });
                out
            })
            .collect();
        for (i, out) in out.chunks_exact_mut(dim).enumerate() {
            for (out, panel) in out.chunks_mut(width).zip(&panels) {
                out.copy_from_slice(&panel[i * width..][..out.len()]);
            }
        }
    }
}

/// Lists the first `atoms` codes of rows that are `stride` numbers apart. `support` is memory for supports.
fn listed<T: Real>(codes: &[T], stride: usize, atoms: usize, support: &mut Sparse<T>) -> Lists<T> {
    support.clear();
    // Behind the atoms, numbers that overflowed times the padding's zeros may have left NaN.
    codes.chunks_exact(stride).for_each(|row| {
        support.push_support(&row[..atoms]);
    });
    let mut index = support.index_buffer();
    let supports: Vec<Vec<u32>> = (0..support.rows())
        .map(|i| {
            let size = support.row(i, &mut index);
            index[..size].to_vec()
        })
        .collect();
    Lists::by_datum(atoms, supports.iter().map(|s| &s[..]).zip(codes.chunks_exact(stride)))
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

/// Adds `scale · D z` in the dimensions of a panel to `out`, `[group, width]`.
struct Synthesis<'a, T> {
    /// `[p, width]`.
    panel: &'a [T],
    codes: &'a Lists<T>,
    scale: T,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Synthesis<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { panel, codes, scale, out } = self;
        add_lists(simd, codes, panel, scale, out);
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
