//! The backward pass of a datum over the supports of its codes.

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::dense::outer::Pairs;
use crate::dense::pass::{DatumTape, Pass};
use crate::encoder::Wanted;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::sparse::Sparse;

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

/// The state of a datum in the backward pass. Rows are `[padded p]`.
struct State<T> {
    /// The gradient in `z_{t+1}`.
    delta: Aligned<T>,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`.
    carried: Aligned<T>,
    /// `G u_t`.
    image: Aligned<T>,
    /// `y_t` on its support. Zeros between two layers.
    point: Aligned<T>,
    /// `u_t` on the support of `z_{t+1}`.
    u: Vec<T>,
    supports: Supports,
}

/// Memory for supports.
struct Supports {
    /// Of `z_{t+1}`.
    next: Vec<u32>,
    /// Of `z_t`.
    code: Vec<u32>,
    /// Of `z_{t−1}`.
    previous: Vec<u32>,
    /// Of `y_t`.
    point: Vec<u32>,
}

impl<T: Real> State<T> {
    /// The state before the last layer, with the gradient `delta` in the code, `[p]`.
    fn new(delta: &[T], padded: usize) -> Self {
        let mut row: Aligned<T> = zeros(padded);
        row[..delta.len()].copy_from_slice(delta);
        let index = || Sparse::<T>::new(padded).index_buffer();
        Self {
            delta: row,
            carried: zeros(padded),
            image: zeros(padded),
            point: zeros(padded),
            u: Vec::new(),
            supports: Supports { next: index(), code: index(), previous: index(), point: index() },
        }
    }
}

impl<T: Real> Pass<T> {
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
        let mut states: Vec<State<T>> =
            delta.chunks_exact(self.atoms).map(|delta| State::new(delta, self.padded)).collect();
        let mut forward = None;
        for (k, segment) in self.schedule.segments().into_iter().enumerate().rev() {
            let recomputed = self.schedule.recompute.then(|| {
                self.recompute(forward.get_or_insert_with(|| self.start()), first, tapes, k)
            });
            for (i, (state, gradients)) in states.iter_mut().zip(&mut gradients).enumerate() {
                let codes = recomputed.as_ref().map_or(&tapes[i].segments[k], |codes| &codes[i]);
                // Rows of a segment: z_{a−1}, z_a, z_{a+1}, …
                let mut start = codes.start(segment.len());
                for t in segment.clone().rev() {
                    let row = t + 1 - segment.start;
                    let i = first + i;
                    self.arch.dispatch(LayerBackward {
                        pass: self,
                        layer: Layer { t, i, codes, row, start },
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

/// A layer of a datum.
#[derive(Clone, Copy)]
struct Layer<'a, T> {
    /// Number of the layer.
    t: usize,
    /// Number of the datum.
    i: usize,
    /// The codes of the segment.
    codes: &'a Sparse<T>,
    /// The row of the codes that is `z_t`.
    row: usize,
    /// Where the values of this row start.
    start: usize,
}

/// One layer of a datum backward.
struct LayerBackward<'a, T> {
    pass: &'a Pass<T>,
    layer: Layer<'a, T>,
    state: &'a mut State<T>,
    gradients: &'a mut DatumGradients<T>,
    wanted: Wanted,
}

impl<T: Real> WithSimd for LayerBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, layer: Layer { t, i, codes, row, start }, state, gradients, wanted } =
            self;
        let State { delta, carried, image, point, u, supports } = state;
        let momentum = T::from_f64(pass.schedule.weight(t));
        let next = codes.row(row + 1, &mut supports.next);
        let size = codes.row(row, &mut supports.code);
        let before =
            if momentum != T::ZERO { codes.row(row - 1, &mut supports.previous) } else { 0 };
        let (next_index, index, before_index) =
            (&supports.next[..next], &supports.code[..size], &supports.previous[..before]);
        let values = &codes.values[start..];

        // u, and the gradients that need no products.
        u.clear();
        u.extend(next_index.iter().map(|j| delta[*j as usize]));
        for (j, u) in next_index.iter().zip(&*u) {
            gradients.sum[*j as usize] += *u;
        }
        gradients.pairs.u.push(next_index, u.iter().copied());
        if wanted.encoder {
            add_correlations(pass.correlations_of(i), next_index, u, &mut gradients.step);
            if pass.schedule.shrinkage != Shrinkage::Hard {
                let row = pass.levels.row(t) * pass.padded;
                let levels = &mut gradients.levels[row..][..pass.padded];
                for ((j, u), z) in next_index.iter().zip(&*u).zip(&values[size..]) {
                    levels[*j as usize] += -(*u * z.signum0());
                }
            }
        }

        // y_t on the union of the supports of z_t and z_{t−1}.
        let one = T::ONE + momentum;
        for (j, z) in index.iter().zip(values) {
            point[*j as usize] = one * *z;
        }
        let before_values = &codes.values[start - before..];
        for (j, z) in before_index.iter().zip(before_values) {
            point[*j as usize] += -(momentum * *z);
        }
        let y_index = union(index, before_index, &mut supports.point);
        gradients.pairs.y.push(y_index, y_index.iter().map(|j| point[*j as usize]));

        // G u on the same union.
        if (size + before) * S::F32_LANES.max(1) < pass.padded {
            for j in index.iter().chain(before_index) {
                let gram = pass.gram_row(*j as usize);
                let mut sum = T::ZERO;
                for (k, u) in next_index.iter().zip(&*u) {
                    sum += gram[*k as usize] * *u;
                }
                image[*j as usize] = sum;
            }
        } else {
            // `delta` off the support of z_{t+1} is not read.
            combine(simd, &pass.gram, next_index, delta, image);
        }
        // An atom in both supports counts once, because its point is cleared.
        if wanted.encoder {
            for j in index.iter().chain(before_index) {
                let j = *j as usize;
                gradients.step += -(image[j] * point[j]).to_f64();
                point[j] = T::ZERO;
            }
        } else {
            for j in index.iter().chain(before_index) {
                point[*j as usize] = T::ZERO;
            }
        }

        // The gradient in z_t, and what y_t leaves for z_{t−1}. `point` holds u meanwhile, because u is
        // zero off the support of z_{t+1}, where `delta` is not.
        for j in next_index {
            point[*j as usize] = delta[*j as usize];
        }
        for j in index {
            let j = *j as usize;
            delta[j] = carried[j] + one * (point[j] - pass.step * image[j]);
        }
        carried.fill(T::ZERO);
        for j in before_index {
            let j = *j as usize;
            carried[j] = -(momentum * (point[j] - pass.step * image[j]));
        }
        for j in next_index {
            point[*j as usize] = T::ZERO;
        }
    }
}

/// Adds `⟨u, c⟩` over the support of `u`.
#[inline(always)]
fn add_correlations<T: Real>(correlations: &[T], index: &[u32], u: &[T], step: &mut f64) {
    for (j, u) in index.iter().zip(u) {
        *step += (*u * correlations[*j as usize]).to_f64();
    }
}

/// The union of two rising lists of places, written to `out`.
fn union<'a>(a: &[u32], b: &[u32], out: &'a mut [u32]) -> &'a [u32] {
    if b.is_empty() {
        out[..a.len()].copy_from_slice(a);
        return &out[..a.len()];
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
    &out[..count]
}
