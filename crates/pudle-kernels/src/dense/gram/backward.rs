//! The backward pass of a datum over the supports of its codes, in Gram form.

use pulp::{Simd, WithSimd};

use crate::combine::combine;
use crate::dense::adjoint::{Adjoint, Layer};
use crate::dense::gram::matrix::{GROUP, Gram};
use crate::dense::gram::outer::Pairs;
use crate::dense::pass::{DatumTape, Pass};
use crate::encoder::Wanted;
use crate::real::Real;

/// What a datum adds to the gradients.
pub(super) struct DatumGradients<T> {
    /// `(u_t, y_t)` of the layers.
    pub pairs: Pairs<T>,
    /// `Σ u_t`, `[p]`.
    pub sum: Vec<T>,
    /// `[T or 1, padded p]`, or empty.
    pub levels: Vec<T>,
    pub step: f64,
}

impl<T: Real> Pass<T, Gram<T>> {
    /// What a group of data, from number `first` on, adds to the gradients, with the gradients `delta` in
    /// their codes, `[group, p]`.
    pub fn backward(
        &self,
        first: usize,
        tapes: &[DatumTape<T>],
        delta: &[T],
        wanted: Wanted,
    ) -> Vec<DatumGradients<T>> {
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let mut gradients: Vec<DatumGradients<T>> = tapes
            .iter()
            .map(|_| DatumGradients {
                pairs: Pairs::default(),
                sum: vec![T::ZERO; self.atoms],
                levels: vec![T::ZERO; rows * self.padded],
                step: 0.0,
            })
            .collect();
        let mut states: Vec<Adjoint<T>> =
            delta.chunks_exact(self.atoms).map(|delta| Adjoint::new(delta, self.padded)).collect();
        let mut forward = None;
        for (k, segment) in self.schedule.segments().into_iter().enumerate().rev() {
            let recomputed = self.schedule.recompute.then(|| {
                let forward = forward.get_or_insert_with(|| self.start(GROUP));
                self.recompute(forward, first, tapes, k)
            });
            for (i, (state, gradients)) in states.iter_mut().zip(&mut gradients).enumerate() {
                let codes = recomputed.as_ref().map_or(&tapes[i].segments[k], |codes| &codes[i]);
                // Rows of a segment: z_{a−1}, z_a, z_{a+1}, …
                let mut start = codes.start(segment.len());
                for t in segment.clone().rev() {
                    let row = t + 1 - segment.start;
                    self.arch.dispatch(LayerBackward {
                        pass: self,
                        layer: Layer { t, codes, row, start },
                        i: first + i,
                        state,
                        gradients,
                        wanted,
                    });
                    start -= codes.size(row - 1);
                }
            }
        }
        gradients
    }
}

/// One layer of a datum backward.
struct LayerBackward<'a, T> {
    pass: &'a Pass<T, Gram<T>>,
    layer: Layer<'a, T>,
    /// Number of the datum.
    i: usize,
    state: &'a mut Adjoint<T>,
    gradients: &'a mut DatumGradients<T>,
    wanted: Wanted,
}

impl<T: Real> WithSimd for LayerBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, layer, i, state, gradients, wanted } = self;
        state.enter(pass, layer);

        if wanted.encoder {
            state.add_levels(pass, layer, &mut gradients.levels);
        }
        let Adjoint { delta, image, point, u, next, union, .. } = &mut *state;
        let (next, union) = (next.get(), union.get());

        // The gradients that need no products.
        for (j, u) in next.iter().zip(&*u) {
            gradients.sum[*j as usize] += *u;
        }
        gradients.pairs.u.push(next, u.iter().copied());
        gradients.pairs.y.push(union, union.iter().map(|j| point[*j as usize]));

        // G u.
        if union.len() * S::F32_LANES.max(1) < pass.padded {
            for j in union {
                let gram = pass.form.row(*j as usize);
                let mut sum = T::ZERO;
                for (k, u) in next.iter().zip(&*u) {
                    sum += gram[*k as usize] * *u;
                }
                image[*j as usize] = sum;
            }
        } else {
            // `delta` off the support of z_{t+1} is not read.
            combine(simd, &pass.form.products, next, delta, image);
        }
        if wanted.encoder {
            let correlations = pass.form.correlations_of(i);
            for (j, u) in next.iter().zip(&*u) {
                gradients.step += (*u * correlations[*j as usize]).to_f64();
            }
            for j in union {
                let j = *j as usize;
                gradients.step += -(image[j] * point[j]).to_f64();
            }
        }
        state.leave(pass, layer.t);
    }
}
