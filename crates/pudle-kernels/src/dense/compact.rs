//! The backward pass where the whole matrix of outer products fits a core's cache: rows of few numbers
//! are worked on as a whole, and a part of the data adds to a matrix of its own, so that nothing is listed.

use std::mem::swap;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{Datum, GROUP, Network};
use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::encoder::Wanted;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::sparse::Sparse;

/// The most atoms that are few: then a matrix of outer products has 256 KiB in single precision.
pub(super) const FEW: usize = 256;

/// What one datum adds to the gradients, but for outer products.
pub(super) struct Sums<T> {
    /// `Σ u_t`, `[padded p]`.
    pub codes: Aligned<T>,
    /// Rows of `[padded p]` as [`Levels::row`](crate::levels::Levels::row) counts them.
    pub levels: Vec<T>,
    pub step: f64,
}

/// What a part of the data adds to the gradients.
pub(super) struct Part<T> {
    /// `Σ u_t ⊗ y_t`, `[p, padded p]`.
    pub outer: Aligned<T>,
    pub data: Vec<Sums<T>>,
}

/// A datum on its way back, all rows `[padded p]`.
struct Walk<T> {
    /// The gradient in `z_{t+1}`; off its support anything.
    delta: Aligned<T>,
    /// What `y_{t+1}` already gave to the gradient in `z_t`; off its support anything.
    carried: Aligned<T>,
    u: Aligned<T>,
    /// `G u`.
    image: Aligned<T>,
    point: Aligned<T>,
    /// `z_{t+1}`, `z_t`, `z_{t−1}`, and the support of the first two.
    codes: [Aligned<T>; 3],
    index: [Vec<u32>; 3],
    sizes: [usize; 3],
}

impl<T: Real> Walk<T> {
    fn new(padded: usize) -> Self {
        let row = || zeros(padded);
        let room = || Sparse::<T>::new(padded).index_buffer();
        Self {
            delta: row(),
            carried: row(),
            u: row(),
            image: row(),
            point: row(),
            codes: [row(), row(), row()],
            index: [room(), room(), room()],
            sizes: [0; 3],
        }
    }
}

impl<T: Real> Network<T> {
    /// What a part of the data, number `first` on, adds with the gradients `delta` in its codes.
    pub(super) fn backward_compact(
        &self,
        first: usize,
        groups: &[Vec<Datum<T>>],
        delta: &[T],
        wanted: Wanted,
    ) -> Part<T> {
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let mut part = Part { outer: zeros(self.atoms * self.padded), data: Vec::new() };
        let mut walks: Vec<Walk<T>> = (0..GROUP).map(|_| Walk::new(self.padded)).collect();
        let mut state = None;
        for (group, delta) in groups.iter().zip(delta.chunks(GROUP * self.atoms)) {
            let before = part.data.len();
            for (walk, delta) in walks.iter_mut().zip(delta.chunks_exact(self.atoms)) {
                walk.delta[..self.atoms].copy_from_slice(delta);
                walk.carried.fill(T::ZERO);
            }
            part.data.extend(group.iter().map(|_| Sums {
                codes: zeros(self.padded),
                levels: vec![T::ZERO; rows * self.padded],
                step: 0.0,
            }));
            for (k, layers) in self.schedule.segments().into_iter().enumerate().rev() {
                let again = self.schedule.recompute.then(|| {
                    self.again(state.get_or_insert_with(|| self.start()), first + before, group, k)
                });
                for (i, (datum, walk)) in group.iter().zip(&mut walks).enumerate() {
                    self.arch.dispatch(Back {
                        network: self,
                        codes: again.as_ref().map_or(&datum.segments[k], |again| &again[i]),
                        layers: layers.clone(),
                        i: first + before + i,
                        walk,
                        outer: &mut part.outer,
                        sums: &mut part.data[before + i],
                        wanted,
                    });
                }
            }
        }
        part
    }
}

/// A segment of layers of a datum backward.
struct Back<'a, T> {
    network: &'a Network<T>,
    /// The segment's codes.
    codes: &'a Sparse<T>,
    layers: Range<usize>,
    /// Number of the datum.
    i: usize,
    walk: &'a mut Walk<T>,
    outer: &'a mut [T],
    sums: &'a mut Sums<T>,
    wanted: Wanted,
}

/// Writes row `row` of the codes, whose values end at `end`, to a row and its support, and returns the
/// support's size.
#[inline(always)]
fn expand<T: Real>(
    codes: &Sparse<T>,
    row: usize,
    end: usize,
    (out, index): (&mut [T], &mut [u32]),
) -> usize {
    let size = codes.row(row, index);
    out.fill(T::ZERO);
    for (j, value) in index[..size].iter().zip(&codes.values[end - size..end]) {
        out[*j as usize] = *value;
    }
    size
}

impl<T: Real> WithSimd for Back<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { network, codes, layers, i, walk, outer, sums, wanted } = self;
        let Walk { delta, carried, u, image, point, codes: rows, index, sizes } = walk;
        let padded = network.padded;
        let zero = T::splat(simd, T::ZERO);
        let descent = T::splat(simd, -network.step);
        // Rows of the segment: z_{a−1}, z_a, z_{a+1}, …
        let mut end = codes.values.len();
        for k in 0..2 {
            let row = layers.len() + 1 - k;
            sizes[k] = expand(codes, row, end, (&mut rows[k], &mut index[k]));
            end -= sizes[k];
        }
        for t in layers.clone().rev() {
            sizes[2] = expand(codes, t - layers.start, end, (&mut rows[2], &mut index[2]));
            end -= sizes[2];
            let momentum = T::from_f64(network.schedule.weight(t));
            let (one, back) = (T::splat(simd, T::ONE + momentum), T::splat(simd, -momentum));
            let [next, now, before] = rows;
            let support = &index[0][..sizes[0]];

            // u_t and y_t.
            {
                let inputs = T::vectors::<S>(next)
                    .iter()
                    .zip(T::vectors::<S>(now))
                    .zip(T::vectors::<S>(before))
                    .zip(T::vectors::<S>(delta));
                let outputs = T::vectors_mut::<S>(u)
                    .iter_mut()
                    .zip(T::vectors_mut::<S>(point))
                    .zip(T::vectors_mut::<S>(&mut sums.codes));
                for (((u, point), sum), (((next, now), before), delta)) in outputs.zip(inputs) {
                    *u = T::zero_where_zero(simd, *next, *delta);
                    *point = T::mul_add(simd, *now, one, zero);
                    *point = T::mul_add(simd, *before, back, *point);
                    *sum = T::plus(simd, *sum, *u);
                }
            }
            if wanted.encoder && network.schedule.shrinkage != Shrinkage::Hard {
                let row = network.levels.row(t) * padded;
                let levels = &mut sums.levels[row..][..padded];
                for j in support {
                    let j = *j as usize;
                    levels[j] += -(u[j] * next[j].signum0());
                }
            }

            for j in support {
                let row = &mut outer[*j as usize * padded..][..padded];
                let factor = T::splat(simd, u[*j as usize]);
                for (sum, y) in T::vectors_mut::<S>(row).iter_mut().zip(T::vectors::<S>(point)) {
                    *sum = T::mul_add(simd, *y, factor, *sum);
                }
            }
            combine(simd, &network.gram, support, u, image);
            if wanted.encoder {
                let correlations = &network.correlations[i * padded..][..padded];
                for j in support {
                    sums.step += (u[*j as usize] * correlations[*j as usize]).to_f64();
                }
                for (image, point) in image[..network.atoms].iter().zip(point.iter()) {
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

            // What was z_t is the next z_{t+1}.
            let [a, b, c] = rows;
            swap(a, b);
            swap(b, c);
            let [a, b, c] = index;
            swap(a, b);
            swap(b, c);
            *sizes = [sizes[1], sizes[2], 0];
        }
    }
}
