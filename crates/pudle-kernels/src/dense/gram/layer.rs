//! A layer in Gram form.

use pulp::{Simd, WithSimd};

use crate::dense::gram::matrix::Gram;
use crate::dense::pass::{Pass, Products};
use crate::dense::state::{Rows, State, extrapolate};
use crate::real::Real;
use crate::vector::shrink;

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
        let Self { pass, state, t, .. } = &mut self;
        let State { count, code, previous, point, gradient, support, index, .. } = &mut **state;
        extrapolate(simd, pass.schedule.weight(*t), code, previous, point);
        // `G y_t`.
        let points = &point[..*count * pass.padded];
        let points = Rows::new(points, pass.padded, pass.atoms, support);
        points.weigh(simd, &pass.form.products, pass.padded, gradient, index);
        self.step(simd);
    }
}

impl<T: Real> Layer<'_, T> {
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
