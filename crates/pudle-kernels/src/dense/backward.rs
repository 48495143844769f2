//! The backward pass of a group of data, with outer products as lists.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::aligned::{AddScaled, Aligned, zeros};
use crate::combine::combine;
use crate::dense::network::{Datum, Network, State};
use crate::encoder::Wanted;
use crate::matrix::{Matrix, multiply};

use crate::real::Real;
use crate::settings::Shrinkage;
use crate::support::Sparse;

/// The share of codes that are not zero from which on a row of an outer product is added as a whole,
/// rather than entry by entry.
const SPREAD: f64 = 0.08;

/// The share of both codes from which on outer products are left to one large product.
const STACKED: f64 = 0.5;

/// Rows that are gathered before they are multiplied into the outer products.
const STACK: usize = 256;

/// What a datum adds to the gradients.
pub(super) struct Share<T> {
    /// Pairs `(u_t, y_t)` of the layers.
    pub u: Lists<T>,
    pub y: Lists<T>,
    /// `Σ u_t`, `[p]`.
    pub sum: Vec<T>,
    pub levels: Vec<T>,
    pub step: f64,
}

/// Sparse vectors one after the other.
#[derive(Default)]
pub(super) struct Lists<T> {
    /// Where each ends.
    pub ends: Vec<usize>,
    pub index: Vec<u32>,
    pub values: Vec<T>,
}

impl<T: Real> Lists<T> {
    pub fn push(&mut self, index: &[u32], values: impl Iterator<Item = T>) {
        self.index.extend_from_slice(index);
        self.values.extend(values);
        self.ends.push(self.index.len());
    }

    /// Places and values of vector `t`.
    pub fn get(&self, t: usize) -> (&[u32], &[T]) {
        let start = t.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.index[start..self.ends[t]], &self.values[start..self.ends[t]])
    }
}

impl<T: Real> Network<T> {
    /// The shares of a group of data with the gradients `delta` in their codes.
    pub fn backward(
        &self,
        first: usize,
        data: &[Datum<T>],
        delta: &[T],
        wanted: Wanted,
    ) -> Vec<Share<T>> {
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let mut shares: Vec<Share<T>> = data
            .iter()
            .map(|_| Share {
                u: Lists::default(),
                y: Lists::default(),
                sum: vec![T::ZERO; self.atoms],
                levels: vec![T::ZERO; rows * self.padded],
                step: 0.0,
            })
            .collect();
        let mut walks: Vec<Walk<T>> =
            delta.chunks_exact(self.atoms).map(|delta| Walk::new(delta, self.padded)).collect();
        let mut state = None;
        for (k, segment) in self.layers.segments().into_iter().enumerate().rev() {
            let again = self
                .layers
                .recompute
                .then(|| self.again(state.get_or_insert_with(|| self.start()), first, data, k));
            for (i, walk) in walks.iter_mut().enumerate() {
                let codes = again.as_ref().map_or(&data[i].segments[k], |again| &again[i]);
                let share = &mut shares[i];
                // Rows of the segment: z_{a−1}, z_a, z_{a+1}, …
                let mut start = codes.start(segment.len());
                for t in segment.clone().rev() {
                    let row = t + 1 - segment.start;
                    let i = first + i;
                    let place = Place { row, start, t, i };
                    self.arch.dispatch(Back { network: self, codes, place, walk, share, wanted });
                    start -= codes.size(row - 1);
                }
            }
        }
        shares
    }

    /// The codes of segment `k` of a group of data, from those before it.
    pub fn again(
        &self,
        state: &mut State<T>,
        first: usize,
        data: &[Datum<T>],
        k: usize,
    ) -> Vec<Sparse<T>> {
        state.previous.fill(T::ZERO);
        state.code.fill(T::ZERO);
        let mut again = Vec::new();
        for (i, datum) in data.iter().enumerate() {
            let row = i * self.padded..(i + 1) * self.padded;
            let before = [&mut state.previous[row.clone()], &mut state.code[row]];
            datum.segments[k].expand_rows(before);
            let segments = vec![datum.segments[k].clone()];
            again.push(Datum { code: Sparse::default(), segments });
        }
        let layers = self.layers.segments().swap_remove(k);
        self.run(state, first, data.len(), layers, Some(&mut again));
        again.into_iter().flat_map(|datum| datum.segments).collect()
    }

    /// Adds `Σ u ⊗ y` over all layers of these data to a matrix `[p, p]`.
    pub fn add_outer(&self, shares: &[Share<T>], outer: &mut [T]) {
        let p = self.atoms;
        let share_of = |share: f64, size: usize| size as f64 > share * p as f64;
        let large = |u: &[u32], y: &[u32]| share_of(STACKED, u.len().min(y.len()));
        // Rows of the matrix are shared out, so that every sum is taken by one thread, in order.
        let block = p.div_ceil(16).max(1);
        outer.par_chunks_mut(block * p).enumerate().for_each(|(k, rows)| {
            let (first, end) = ((k * block) as u32, (k * block + rows.len() / p) as u32);
            let mut dense = vec![T::ZERO; p];
            for share in shares {
                for t in 0..share.u.ends.len() {
                    let ((u_index, u), (y_index, y)) = (share.u.get(t), share.y.get(t));
                    let from = u_index.partition_point(|j| *j < first);
                    let to = u_index.partition_point(|j| *j < end);
                    if from == to || large(u_index, y_index) {
                        continue;
                    }
                    let spread = share_of(SPREAD, y_index.len());
                    if spread {
                        y_index.iter().zip(y).for_each(|(j, y)| dense[*j as usize] = *y);
                    }
                    for (j, u) in u_index[from..to].iter().zip(&u[from..to]) {
                        let row = &mut rows[(*j - first) as usize * p..][..p];
                        if spread {
                            self.arch.dispatch(AddScaled { factor: *u, from: &dense, to: row });
                            continue;
                        }
                        for (j, y) in y_index.iter().zip(y) {
                            row[*j as usize] += *u * *y;
                        }
                    }
                    if spread {
                        y_index.iter().for_each(|j| dense[*j as usize] = T::ZERO);
                    }
                }
            }
        });
        // Large supports, a stack of them at a time.
        let (mut us, mut ys) = (Vec::new(), Vec::new());
        let mut flush = |us: &mut Vec<T>, ys: &mut Vec<T>| {
            let (u, y) = (Matrix::rows(us, p).transposed(), Matrix::rows(ys, p));
            multiply(outer, p, u, y, T::ONE, true, true);
            us.clear();
            ys.clear();
        };
        for share in shares {
            for t in 0..share.u.ends.len() {
                let (u, y) = (share.u.get(t), share.y.get(t));
                if !large(u.0, y.0) {
                    continue;
                }
                for (stack, (index, values)) in [(&mut us, u), (&mut ys, y)] {
                    let start = stack.len();
                    stack.resize(start + p, T::ZERO);
                    let row = &mut stack[start..];
                    index.iter().zip(values).for_each(|(j, value)| row[*j as usize] = *value);
                }
                if us.len() >= STACK * p {
                    flush(&mut us, &mut ys);
                }
            }
        }
        if !us.is_empty() {
            flush(&mut us, &mut ys);
        }
    }
}

/// The union of two rising lists of places, written to `room`.
fn merged<'a>(a: &[u32], b: &[u32], room: &'a mut [u32]) -> &'a [u32] {
    if b.is_empty() {
        room[..a.len()].copy_from_slice(a);
        return &room[..a.len()];
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
        room[count] = next;
        count += 1;
    }
    &room[..count]
}

/// A datum on its way back.
struct Walk<T> {
    /// The gradient in `z_{t+1}`, `[padded p]`.
    delta: Aligned<T>,
    /// What `y_{t+1}` already gave to the gradient in `z_t`.
    carried: Aligned<T>,
    /// `G u`.
    image: Aligned<T>,
    /// The point `y_t`, zeros between two layers.
    point: Aligned<T>,
    index: [Vec<u32>; 4],
    u: Vec<T>,
}

impl<T: Real> Walk<T> {
    fn new(delta: &[T], padded: usize) -> Self {
        let mut row: Aligned<T> = zeros(padded);
        row[..delta.len()].copy_from_slice(delta);
        let room = || Sparse::<T>::new(padded).room();
        Self {
            delta: row,
            carried: zeros(padded),
            image: zeros(padded),
            point: zeros(padded),
            index: [room(), room(), room(), room()],
            u: Vec::new(),
        }
    }
}

/// Where a step backward is.
struct Place {
    /// The row of a segment's codes that is `z_t`.
    row: usize,
    /// Where its values start.
    start: usize,
    t: usize,
    /// Number of the datum.
    i: usize,
}

/// One layer of a datum backward.
struct Back<'a, T> {
    network: &'a Network<T>,
    /// A segment's codes.
    codes: &'a Sparse<T>,
    place: Place,
    walk: &'a mut Walk<T>,
    share: &'a mut Share<T>,
    wanted: Wanted,
}

impl<T: Real> WithSimd for Back<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { network, codes, place: Place { row, start, t, i }, walk, share, wanted } = self;
        let Walk { delta, carried, image, point, index, u } = walk;
        let [next_index, index, before_index, y_index] = index;
        let momentum = T::from_f64(network.layers.weight(t));
        let next = codes.row(row + 1, next_index);
        let size = codes.row(row, index);
        let before = if momentum != T::ZERO { codes.row(row - 1, before_index) } else { 0 };
        let (next_index, index, before_index) =
            (&next_index[..next], &index[..size], &before_index[..before]);
        let values = &codes.values[start..];

        // u, and the shares that need no products.
        u.clear();
        u.extend(next_index.iter().map(|j| delta[*j as usize]));
        for (j, u) in next_index.iter().zip(&*u) {
            share.sum[*j as usize] += *u;
        }
        share.u.push(next_index, u.iter().copied());
        if wanted.encoder {
            let correlations = &network.correlations[i * network.padded..][..network.padded];
            for (j, u) in next_index.iter().zip(&*u) {
                share.step += (*u * correlations[*j as usize]).to_f64();
            }
            if network.layers.shrinkage != Shrinkage::Hard {
                let row = network.levels.row(t) * network.padded;
                let levels = &mut share.levels[row..][..network.padded];
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
        let y_index = merged(index, before_index, y_index);
        share.y.push(y_index, y_index.iter().map(|j| point[*j as usize]));

        // G u where it is needed.
        if (size + before) * S::F32_LANES.max(1) < network.padded {
            for j in index.iter().chain(before_index) {
                let gram = &network.gram[*j as usize * network.padded..][..network.padded];
                let mut sum = T::ZERO;
                for (k, u) in next_index.iter().zip(&*u) {
                    sum += gram[*k as usize] * *u;
                }
                image[*j as usize] = sum;
            }
        } else {
            // `delta` off the support of z_{t+1} is not read.
            combine(simd, &network.gram, next_index, delta, image);
        }
        if wanted.encoder {
            for j in index.iter().chain(before_index) {
                let j = *j as usize;
                share.step += -(image[j] * point[j]).to_f64();
                point[j] = T::ZERO;
            }
        } else {
            for j in index.iter().chain(before_index) {
                point[*j as usize] = T::ZERO;
            }
        }

        // The gradient in z_t, and what y_t leaves for z_{t−1}.
        for j in next_index {
            // u off the support of z_{t+1} is zero: `base` below holds u, and image where asked.
            point[*j as usize] = delta[*j as usize];
        }
        for j in index {
            let j = *j as usize;
            delta[j] = carried[j] + one * (point[j] - network.step * image[j]);
        }
        carried.fill(T::ZERO);
        for j in before_index {
            let j = *j as usize;
            carried[j] = -(momentum * (point[j] - network.step * image[j]));
        }
        for j in next_index {
            point[*j as usize] = T::ZERO;
        }
    }
}
