//! The backward pass if the whole matrix of outer products fits the cache of a core. Rows are short, so
//! they are worked on as a whole. Some groups of data add to a matrix of their own, so that no pairs of
//! vectors are listed.

use std::mem::swap;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::dense::gram::matrix::{GROUP, Gram};
use crate::dense::pass::{DatumTape, Pass};
use crate::encoder::Wanted;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::sparse::Sparse;

/// The most atoms that this is for. A matrix of outer products then has 256 KiB in single precision.
pub(crate) const MAX_ATOMS: usize = 256;

/// What a block of groups adds to the gradients.
pub(super) struct BlockGradients<T> {
    /// `Σ u_t ⊗ y_t`, `[p, padded p]`.
    pub outer: Aligned<T>,
    pub data: Vec<DatumSums<T>>,
}

/// What a datum adds to the gradients, without outer products.
pub(super) struct DatumSums<T> {
    /// `Σ u_t`, `[padded p]`.
    pub sum: Aligned<T>,
    /// `[T or 1, padded p]`, or empty.
    pub levels: Vec<T>,
    pub step: f64,
}

/// The state of a datum in the backward pass. Rows are `[padded p]`.
struct State<T> {
    /// The gradient in `z_{t+1}`. Off its support, it can have any values.
    delta: Aligned<T>,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`. Off its support, it can have any
    /// values.
    carried: Aligned<T>,
    /// `u_t`.
    u: Aligned<T>,
    /// `G u_t`.
    image: Aligned<T>,
    /// `y_t`.
    point: Aligned<T>,
    /// `z_{t+1}`, `z_t` and `z_{t−1}`.
    codes: [Row<T>; 3],
}

/// A code of a datum.
struct Row<T> {
    /// `[padded p]`.
    values: Aligned<T>,
    /// Memory for the support.
    index: Vec<u32>,
    /// Size of the support.
    size: usize,
}

impl<T: Real> State<T> {
    fn new(padded: usize) -> Self {
        let row = || zeros(padded);
        let code =
            || Row { values: row(), index: Sparse::<T>::new(padded).index_buffer(), size: 0 };
        Self {
            delta: row(),
            carried: row(),
            u: row(),
            image: row(),
            point: row(),
            codes: [code(), code(), code()],
        }
    }
}

impl<T: Real> Row<T> {
    /// Reads row `row` of a segment's codes, whose values end at `end`. Moves `end` to their start.
    #[inline(always)]
    fn read(&mut self, codes: &Sparse<T>, row: usize, end: &mut usize) {
        self.size = codes.row(row, &mut self.index);
        let start = *end - self.size;
        self.values.fill(T::ZERO);
        for (j, value) in self.index[..self.size].iter().zip(&codes.values[start..*end]) {
            self.values[*j as usize] = *value;
        }
        *end = start;
    }
}

impl<T: Real> Pass<T, Gram<T>> {
    /// What a block of groups, from datum `first` on, adds to the gradients, with the gradients `delta`
    /// in their codes.
    pub(super) fn backward_compact(
        &self,
        first: usize,
        groups: &[Vec<DatumTape<T>>],
        delta: &[T],
        wanted: Wanted,
    ) -> BlockGradients<T> {
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let mut block = BlockGradients { outer: zeros(self.atoms * self.padded), data: Vec::new() };
        let mut states: Vec<State<T>> = (0..GROUP).map(|_| State::new(self.padded)).collect();
        let mut forward = None;
        for (tapes, delta) in groups.iter().zip(delta.chunks(GROUP * self.atoms)) {
            let done = block.data.len();
            for (state, delta) in states.iter_mut().zip(delta.chunks_exact(self.atoms)) {
                state.delta[..self.atoms].copy_from_slice(delta);
                state.carried.fill(T::ZERO);
            }
            block.data.extend(tapes.iter().map(|_| DatumSums {
                sum: zeros(self.padded),
                levels: vec![T::ZERO; rows * self.padded],
                step: 0.0,
            }));
            for (k, layers) in self.schedule.segments().into_iter().enumerate().rev() {
                let recomputed = self.schedule.recompute.then(|| {
                    let forward = forward.get_or_insert_with(|| self.start(GROUP));
                    self.recompute(forward, first + done, tapes, k)
                });
                for (i, (tape, state)) in tapes.iter().zip(&mut states).enumerate() {
                    self.arch.dispatch(SegmentBackward {
                        pass: self,
                        codes: recomputed.as_ref().map_or(&tape.segments[k], |codes| &codes[i]),
                        layers: layers.clone(),
                        i: first + done + i,
                        state,
                        outer: &mut block.outer,
                        sums: &mut block.data[done + i],
                        wanted,
                    });
                }
            }
        }
        block
    }
}

/// A segment of layers of a datum backward.
struct SegmentBackward<'a, T> {
    pass: &'a Pass<T, Gram<T>>,
    /// The segment's codes.
    codes: &'a Sparse<T>,
    layers: Range<usize>,
    /// Number of the datum.
    i: usize,
    state: &'a mut State<T>,
    /// Receives the outer products, `[p, padded p]`.
    outer: &'a mut [T],
    /// Receives the other sums.
    sums: &'a mut DatumSums<T>,
    wanted: Wanted,
}

impl<T: Real> WithSimd for SegmentBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Self { codes, layers, .. } = &self;
        let (codes, layers) = (*codes, layers.clone());
        // Rows of the segment: z_{a−1}, z_a, z_{a+1}, …
        let mut end = codes.values.len();
        for k in 0..2 {
            self.state.codes[k].read(codes, layers.len() + 1 - k, &mut end);
        }
        for t in layers.clone().rev() {
            self.state.codes[2].read(codes, t - layers.start, &mut end);
            self.layer(simd, t);
            // What was z_t is the next z_{t+1}.
            let [next, code, previous] = &mut self.state.codes;
            swap(next, code);
            swap(code, previous);
        }
    }
}

impl<T: Real> SegmentBackward<'_, T> {
    #[inline(always)]
    fn layer<S: Simd>(&mut self, simd: S, t: usize) {
        let Self { pass, i, state, outer, sums, wanted, .. } = self;
        let State { delta, carried, u, image, point, codes: [next, code, previous] } = &mut **state;
        let padded = pass.padded;
        let zero = T::splat(simd, T::ZERO);
        let descent = T::splat(simd, -pass.step);
        let momentum = T::from_f64(pass.schedule.weight(t));
        let (one, back) = (T::splat(simd, T::ONE + momentum), T::splat(simd, -momentum));
        let support = &next.index[..next.size];

        // u_t and y_t.
        let inputs = T::vectors::<S>(&next.values)
            .iter()
            .zip(T::vectors::<S>(&code.values))
            .zip(T::vectors::<S>(&previous.values))
            .zip(T::vectors::<S>(delta));
        let outputs = T::vectors_mut::<S>(u)
            .iter_mut()
            .zip(T::vectors_mut::<S>(point))
            .zip(T::vectors_mut::<S>(&mut sums.sum));
        for (((u, point), sum), (((next, code), previous), delta)) in outputs.zip(inputs) {
            *u = T::zero_where_zero(simd, *next, *delta);
            *point = T::mul_add(simd, *code, one, zero);
            *point = T::mul_add(simd, *previous, back, *point);
            *sum = T::plus(simd, *sum, *u);
        }
        if wanted.encoder && pass.schedule.shrinkage != Shrinkage::Hard {
            let row = pass.levels.row(t) * padded;
            let levels = &mut sums.levels[row..][..padded];
            for j in support {
                let j = *j as usize;
                levels[j] += -(u[j] * next.values[j].signum0());
            }
        }

        for j in support {
            let row = &mut outer[*j as usize * padded..][..padded];
            let factor = T::splat(simd, u[*j as usize]);
            for (sum, y) in T::vectors_mut::<S>(row).iter_mut().zip(T::vectors::<S>(point)) {
                *sum = T::mul_add(simd, *y, factor, *sum);
            }
        }
        combine(simd, &pass.form.products, support, u, image);
        if wanted.encoder {
            let correlations = pass.form.correlations_of(*i);
            for j in support {
                sums.step += (u[*j as usize] * correlations[*j as usize]).to_f64();
            }
            for (image, point) in image[..pass.atoms].iter().zip(point.iter()) {
                if *point != T::ZERO {
                    sums.step += -(*image * *point).to_f64();
                }
            }
        }

        // The gradient in z_t, and what y_t leaves for z_{t−1}.
        let inputs = T::vectors::<S>(u).iter().zip(T::vectors::<S>(image));
        let outputs = T::vectors_mut::<S>(delta).iter_mut().zip(T::vectors_mut::<S>(carried));
        for ((delta, carried), (u, image)) in outputs.zip(inputs) {
            let base = T::mul_add(simd, *image, descent, *u);
            *delta = T::mul_add(simd, base, one, *carried);
            *carried = T::mul_add(simd, base, back, zero);
        }
    }
}
