//! A layer in Gram form.

use pulp::{Simd, WithSimd};

use crate::combine::combine;
use crate::dense::gram::matrix::Gram;
use crate::dense::pass::{Pass, Products};
use crate::dense::state::{State, extrapolate};
use crate::product::{Factors, Places, product};
use crate::real::Real;
use crate::vector::shrink;

/// The share of codes that are not zero from which on a group multiplies by the whole Gram matrix:
/// about where the two ways took the same time, at p = 1500 in single precision on a Zen 4 core.
const DENSE: f64 = 0.3;

impl<T: Real> Products<T> for Gram<T> {
    fn residual_length(_: &Pass<T, Self>) -> usize {
        0
    }

    fn layer(pass: &Pass<T, Self>, state: &mut State<T>, first: usize, t: usize) {
        pass.arch.dispatch(Layer { pass, state, first, t });
    }
}

/// A layer of a group of data.
struct Layer<'a, T> {
    pass: &'a Pass<T, Gram<T>>,
    state: &'a mut State<T>,
    /// Number of the first datum.
    first: usize,
    /// Number of the layer.
    t: usize,
}

impl<T: Real> WithSimd for Layer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let State { code, previous, point, .. } = &mut *self.state;
        extrapolate(simd, self.pass.schedule.weight(self.t), code, previous, point);
        self.multiply(simd);
        self.step(simd);
    }
}

impl<T: Real> Layer<'_, T> {
    /// `G y_t`, over the supports of the points or, if these are large, as a whole.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S) {
        let State { count, point, gradient, support, index, .. } = &mut *self.state;
        let (products, padded, atoms) =
            (&self.pass.form.products, self.pass.padded, self.pass.atoms);
        support.clear();
        let rows = point.chunks_exact(padded).take(*count);
        // Behind the atoms, numbers that overflowed times the padding's zeros may have left NaN.
        let total: usize = rows.map(|row| support.push_support(&row[..atoms])).sum();
        if total as f64 > DENSE * (*count * atoms) as f64 {
            let factors = Factors {
                a: point,
                a_strides: [padded, 1],
                rows: Places::First(*count),
                terms: Places::First(atoms),
                b: products,
                b_stride: padded,
                width: padded,
            };
            product(simd, factors, gradient, padded, false);
        } else {
            let rows = point.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
            for (i, (point, gradient)) in rows.take(*count).enumerate() {
                let size = support.row(i, index);
                combine(simd, products, &index[..size], point, gradient);
            }
        }
    }

    /// `z_{t+1} = Φ(y_t − α (G y_t − c))`.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S) {
        let Self { pass, state, first, t } = self;
        let State { count, code, point, gradient, .. } = &mut **state;
        let padded = pass.padded;
        let descent = T::splat(simd, -pass.step);
        for i in 0..*count {
            let row = i * padded..(i + 1) * padded;
            let correlations = pass.form.correlations_of(*first + i);
            let levels = pass.levels.of(*t, *first + i);
            let inputs = T::vectors::<S>(&point[row.clone()])
                .iter()
                .zip(T::vectors::<S>(&gradient[row.clone()]))
                .zip(T::vectors::<S>(correlations))
                .zip(T::vectors::<S>(levels));
            let outputs = T::vectors_mut::<S>(&mut code[row]);
            for (code, (((point, gradient), correlation), level)) in outputs.iter_mut().zip(inputs)
            {
                let slope = T::minus(simd, *gradient, *correlation);
                let v = T::mul_add(simd, slope, descent, *point);
                *code = shrink::<T, S>(simd, pass.schedule.shrinkage, v, *level);
            }
        }
    }
}
