//! The pass through a dictionary that is a matrix.
//!
//! With the Gram matrix `G = DᵀD` and the correlations `c = Dᵀx`, a layer is
//! `z_{t+1} = Φ(y_t − α (G y_t − c))`, where `G y_t` is a sum over the support of `y_t` alone. Backward,
//! with `u_t` the loss's gradient in `z_{t+1}` on its support,
//!
//! ```text
//! ∂L/∂y_t = u_t − α G u_t         needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂D   = −α (D (P + Pᵀ) − xᵀ Σ u_t),  P = Σ u_t ⊗ y_t
//! ∂L/∂x   = α D Σ u_t             ∂L/∂α = −Σ ⟨G u_t, y_t⟩ − ⟨u_t, c⟩
//! ```
//!
//! so that the atoms' gradient is a sum of sparse outer products and one large product at the end.

mod compact;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::aligned::{Aligned, zeros};
use crate::banks::{Banks, Tying};
use crate::combine::combine;
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::levels::Levels;
use crate::matrix::{Matrix, gram, multiply};
use crate::product::{AT_ONCE, Factors, product};
use crate::real::Real;
use crate::schedule::Schedule;
use crate::settings::{Shrinkage, Unrolling};
use crate::sparse::Sparse;
use crate::vector::{AddScaled, shrink};
use compact::{FEW, Part};

/// Data that a task takes through the layers together: as many as share a row of the Gram matrix
/// where it is read as a whole.
const GROUP: usize = AT_ONCE;

/// The share of codes that are not zero from which on a group multiplies by the whole Gram matrix:
/// about where the two ways took the same time, at p = 1500 in single precision on a Zen 4 core.
const DENSE: f64 = 0.3;

/// The share of codes that are not zero from which on a row of an outer product is added as a whole,
/// rather than entry by entry.
const SPREAD: f64 = 0.08;

/// The share of both codes from which on outer products are left to one large product.
const STACKED: f64 = 0.5;

/// Groups whose shares of the atoms' gradient are held at a time.
const CHUNK: usize = 128;

/// Groups that share a matrix of outer products where atoms are few.
const PART: usize = 8;

/// Rows that are gathered before they are multiplied into the outer products.
const STACK: usize = 256;

/// What the backward pass of a batch needs.
pub struct DenseTape<T> {
    network: Network<T>,
    groups: Vec<Vec<Datum<T>>>,
    x: Vec<T>,
    atoms: Vec<T>,
}

/// A dictionary laid out for the layers, and how to run them.
struct Network<T> {
    /// Dimension `m` and number of atoms `p`.
    dim: usize,
    atoms: usize,
    padded: usize,
    /// `[p, padded p]`.
    gram: Aligned<T>,
    /// `Dᵀx`, `[b, padded p]`.
    correlations: Aligned<T>,
    step: T,
    levels: Levels<T>,
    schedule: Schedule,
    arch: Arch,
}

/// What is kept of a datum.
struct Datum<T> {
    /// `z_T`.
    code: Sparse<T>,
    /// Per segment of layers `a … b`: the codes before it, `z_{a−1}` and `z_a`, and where layers are
    /// stored, all codes after these.
    segments: Vec<Sparse<T>>,
}

/// A group's codes between two layers, `[GROUP, padded p]` each.
struct State<T> {
    code: Aligned<T>,
    previous: Aligned<T>,
    point: Aligned<T>,
    gradient: Aligned<T>,
    /// Support of each point.
    support: Sparse<T>,
}

/// Runs a batch of vectors, `x` of shape `[b, m]`, and keeps what the backward pass needs if `record`
/// is set. `dim` is `m`.
///
/// # Panics
/// Panics if a slice is not as long as the shapes say, or if the analysis or the decoder has a bank of
/// its own.
pub fn dense_forward<T: Real>(
    dim: usize,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<DenseTape<T>>) {
    assert_eq!(encoder.banks.tying(), Tying::Tied, "a matrix has tied banks");
    let bank = encoder.banks.synthesis;
    let (batch, atoms) = (x.len() / dim, bank.len() / dim);
    let padded = atoms.next_multiple_of(T::BLOCK);
    let d = Matrix::rows(bank, atoms);
    let mut network = Network {
        dim,
        atoms,
        padded,
        gram: zeros(atoms * padded),
        correlations: zeros(batch * padded),
        step: encoder.step,
        levels: Levels::new(encoder.levels, encoder.level_shape, atoms, padded),
        schedule: Schedule::new(unrolling),
        arch: Arch::new(),
    };
    multiply(&mut network.correlations, padded, Matrix::rows(x, dim), d, T::ONE, false, true);
    gram(d, &mut network.gram, padded);
    let codes = batch * atoms;
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let groups: Vec<Vec<Datum<T>>> = code
        .par_chunks_mut(GROUP * atoms)
        .enumerate()
        .map(|(group, code)| network.forward(group * GROUP, code, record))
        .collect();
    multiply(reconstruction, dim, Matrix::rows(code, atoms), d.transposed(), T::ONE, false, true);
    let tape = record.then(|| DenseTape { network, groups, x: x.to_vec(), atoms: bank.to_vec() });
    (Output { numbers, codes }, tape)
}

impl<T: Real> Network<T> {
    fn start(&self) -> State<T> {
        let codes = || zeros(GROUP * self.padded);
        State {
            code: codes(),
            previous: codes(),
            point: codes(),
            gradient: codes(),
            support: Sparse::new(self.padded),
        }
    }

    /// Takes the data from number `first` on through all layers.
    fn forward(&self, first: usize, out: &mut [T], record: bool) -> Vec<Datum<T>> {
        let count = out.len() / self.atoms;
        let mut state = self.start();
        let begin = self.schedule.first_recorded();
        self.run(&mut state, first, count, 0..begin, None);
        let mut data = Vec::new();
        if record {
            let mut index = Sparse::<T>::new(self.padded).index_buffer();
            data.resize_with(count, || Datum {
                code: Sparse::new(self.padded),
                segments: Vec::new(),
            });
            for segment in self.schedule.segments() {
                self.open(&state, &mut data, &mut index);
                let keep = (!self.schedule.recompute).then_some(&mut data);
                self.run(&mut state, first, count, segment, keep.map(|data| &mut data[..]));
            }
            for (datum, row) in data.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                push(&mut datum.code, &row[..self.atoms], &mut index);
            }
        } else {
            self.run(&mut state, first, count, begin..self.schedule.layers, None);
        }
        for (out, row) in out.chunks_exact_mut(self.atoms).zip(state.code.chunks_exact(self.padded))
        {
            out.copy_from_slice(&row[..self.atoms]);
        }
        data
    }

    /// Starts a segment of each datum with the codes before it.
    fn open(&self, state: &State<T>, data: &mut [Datum<T>], index: &mut [u32]) {
        for (i, datum) in data.iter_mut().enumerate() {
            let mut codes = Sparse::new(self.padded);
            for code in [&state.previous, &state.code] {
                push(&mut codes, &code[i * self.padded..][..self.atoms], index);
            }
            datum.segments.push(codes);
        }
    }

    /// Runs `layers`, and appends each datum's codes to its last segment where `data` are given.
    fn run(
        &self,
        state: &mut State<T>,
        first: usize,
        count: usize,
        layers: std::ops::Range<usize>,
        mut data: Option<&mut [Datum<T>]>,
    ) {
        let mut index = state.support.index_buffer();
        for t in layers {
            let momentum = T::from_f64(self.schedule.weight(t));
            self.arch.dispatch(Layer {
                network: self,
                state,
                first,
                count,
                t,
                momentum,
                index: &mut index,
            });
            let Some(data) = data.as_deref_mut() else { continue };
            for (datum, row) in data.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                let codes = datum.segments.last_mut().expect("a segment was opened");
                push(codes, &row[..self.atoms], &mut index);
            }
        }
    }
}

/// Appends a row to a code.
fn push<T: Real>(codes: &mut Sparse<T>, row: &[T], index: &mut [u32]) {
    codes.push_support(row);
    codes.push_values(codes.rows() - 1, row, index);
}

/// A layer of a group of data.
struct Layer<'a, T> {
    network: &'a Network<T>,
    state: &'a mut State<T>,
    first: usize,
    count: usize,
    t: usize,
    momentum: T,
    index: &'a mut [u32],
}

impl<T: Real> WithSimd for Layer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { network, state, first, count, t, momentum, index } = self;
        let padded = network.padded;
        let State { code, previous, point, gradient, support } = state;
        let weight = T::splat(simd, momentum);
        for ((point, code), previous) in T::vectors_mut::<S>(point)
            .iter_mut()
            .zip(T::vectors::<S>(code))
            .zip(T::vectors_mut::<S>(previous))
        {
            *point = T::mul_add(simd, T::minus(simd, *code, *previous), weight, *code);
            *previous = *code;
        }
        support.clear();
        let rows = point.chunks_exact(padded).take(count);
        // Off the atoms, numbers that overflowed times the padding's zeros may have left NaN.
        let total: usize = rows.map(|row| support.push_support(&row[..network.atoms])).sum();
        if total as f64 > DENSE * (count * network.atoms) as f64 {
            let factors = Factors {
                a: point,
                a_strides: [padded, 1],
                rows: count,
                depth: network.atoms,
                b: &network.gram,
                b_stride: padded,
                width: padded,
            };
            product(simd, factors, gradient, padded, false);
        } else {
            let rows = point.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
            for (i, (point, gradient)) in rows.take(count).enumerate() {
                let size = support.row(i, index);
                combine(simd, &network.gram, &index[..size], point, gradient);
            }
        }
        let descent = T::splat(simd, -network.step);
        for i in 0..count {
            let row = i * padded..(i + 1) * padded;
            let correlations = &network.correlations[(first + i) * padded..][..padded];
            let levels = network.levels.of(t, first + i);
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
                *code = shrink::<T, S>(simd, network.schedule.shrinkage, v, *level);
            }
        }
    }
}

/// What a datum adds to the gradients.
struct Share<T> {
    /// Pairs `(u_t, y_t)` of the layers.
    u: Lists<T>,
    y: Lists<T>,
    /// `Σ u_t`, `[p]`.
    sum: Vec<T>,
    levels: Vec<T>,
    step: f64,
}

/// Sparse vectors one after the other.
#[derive(Default)]
struct Lists<T> {
    /// Where each ends.
    ends: Vec<usize>,
    index: Vec<u32>,
    values: Vec<T>,
}

impl<T: Real> Lists<T> {
    fn push(&mut self, index: &[u32], values: impl Iterator<Item = T>) {
        self.index.extend_from_slice(index);
        self.values.extend(values);
        self.ends.push(self.index.len());
    }

    /// Places and values of vector `t`.
    fn get(&self, t: usize) -> (&[u32], &[T]) {
        let start = t.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.index[start..self.ends[t]], &self.values[start..self.ends[t]])
    }
}

impl<T: Real> DenseTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, m]`, and `code_error`
    /// in the code, `[b, p]`.
    ///
    /// # Panics
    /// Where slices are not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let network = &self.network;
        let Network { dim, atoms, step, .. } = *network;
        let batch = self.x.len() / dim;
        let d = Matrix::rows(&self.atoms, atoms);
        let errors = Matrix::rows(error, dim);
        let mut code = vec![T::ZERO; batch * atoms];
        let data = self.groups.iter().flatten();
        for (datum, row) in data.zip(code.chunks_exact_mut(atoms)) {
            datum.code.expand(row, atoms);
        }
        // The decoder's share.
        let mut gradient = vec![T::ZERO; dim * atoms];
        let codes = Matrix::rows(&code, atoms);
        multiply(&mut gradient, atoms, errors.transposed(), codes, T::ONE, false, true);
        let mut levels = vec![T::ZERO; network.levels.len()];
        let (mut step_gradient, mut data_gradient) = (0.0, wanted.data.then(Vec::new));
        if network.schedule.recorded > 0 {
            let mut delta = code_error.map_or_else(|| vec![T::ZERO; batch * atoms], <[T]>::to_vec);
            multiply(&mut delta, atoms, errors, d, T::ONE, true, true);
            let mut sums = vec![T::ZERO; batch * atoms];
            let mut outer = vec![T::ZERO; atoms * atoms];
            let mut take = |i: usize, codes: &[T], of_levels: &[T], of_step: f64| {
                sums[i * atoms..][..atoms].copy_from_slice(&codes[..atoms]);
                network.levels.reduce(of_levels, i, &mut levels);
                step_gradient += of_step;
            };
            for (chunk, groups) in self.groups.chunks(CHUNK).enumerate() {
                let first = chunk * CHUNK * GROUP;
                let delta = &delta[first * atoms..];
                if atoms <= FEW {
                    let parts: Vec<Part<T>> = groups
                        .par_chunks(PART)
                        .enumerate()
                        .map(|(part, groups)| {
                            let start = part * PART * GROUP;
                            let delta = &delta[start * atoms..];
                            network.backward_compact(first + start, groups, delta, wanted)
                        })
                        .collect();
                    let data = parts.iter().flat_map(|part| &part.data);
                    for (i, datum) in data.enumerate() {
                        take(first + i, &datum.codes, &datum.levels, datum.step);
                    }
                    for part in &parts {
                        let rows = part.outer.chunks_exact(network.padded);
                        for (sum, row) in outer.chunks_exact_mut(atoms).zip(rows) {
                            sum.iter_mut().zip(row).for_each(|(sum, part)| *sum += *part);
                        }
                    }
                    continue;
                }
                let shares: Vec<Vec<Share<T>>> = groups
                    .par_iter()
                    .enumerate()
                    .map(|(group, data)| {
                        let delta = &delta[group * GROUP * atoms..][..data.len() * atoms];
                        network.backward(first + group * GROUP, data, delta, wanted)
                    })
                    .collect();
                let shares: Vec<Share<T>> = shares.into_iter().flatten().collect();
                for (i, share) in shares.iter().enumerate() {
                    take(first + i, &share.sum, &share.levels, share.step);
                }
                network.add_outer(&shares, &mut outer);
            }
            let outer = symmetrized(&outer, atoms);
            let sums = Matrix::rows(&sums, atoms);
            let x = Matrix::rows(&self.x, dim).transposed();
            multiply(&mut gradient, atoms, d, Matrix::rows(&outer, atoms), -step, true, true);
            multiply(&mut gradient, atoms, x, sums, step, true, true);
            if let Some(data) = &mut data_gradient {
                data.resize(batch * dim, T::ZERO);
                multiply(data, dim, sums, d.transposed(), step, false, true);
            }
        }
        Gradients {
            banks: Banks::tied(gradient),
            data: data_gradient.map(|mut data| {
                data.resize(batch * dim, T::ZERO);
                data
            }),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step_gradient)),
        }
    }

    /// Bytes that the backward pass is kept in.
    pub fn bytes(&self) -> usize {
        let data = self.groups.iter().flatten();
        let codes: usize = data
            .map(|d| d.code.bytes() + d.segments.iter().map(Sparse::bytes).sum::<usize>())
            .sum();
        let numbers = self.network.gram.len() + self.network.correlations.len();
        codes + (numbers + self.x.len() + self.atoms.len()) * size_of::<T>()
    }
}

impl<T: Real> Network<T> {
    /// The shares of a group of data with the gradients `delta` in their codes.
    fn backward(
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
        for (k, segment) in self.schedule.segments().into_iter().enumerate().rev() {
            let again = self
                .schedule
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
    fn again(
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
        let layers = self.schedule.segments().swap_remove(k);
        self.run(state, first, data.len(), layers, Some(&mut again));
        again.into_iter().flat_map(|datum| datum.segments).collect()
    }

    /// Adds `Σ u ⊗ y` over all layers of these data to a matrix `[p, p]`.
    fn add_outer(&self, shares: &[Share<T>], outer: &mut [T]) {
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

/// `P + Pᵀ`.
fn symmetrized<T: Real>(matrix: &[T], p: usize) -> Vec<T> {
    const TILE: usize = 32;
    let mut out = vec![T::ZERO; p * p];
    out.par_chunks_mut(TILE * p).enumerate().for_each(|(k, rows)| {
        for first in (0..p).step_by(TILE) {
            for (i, row) in rows.chunks_exact_mut(p).enumerate() {
                let i = k * TILE + i;
                for j in first..(first + TILE).min(p) {
                    row[j] = matrix[i * p + j] + matrix[j * p + i];
                }
            }
        }
    });
    out
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
        let room = || Sparse::<T>::new(padded).index_buffer();
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
        let momentum = T::from_f64(network.schedule.weight(t));
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
            if network.schedule.shrinkage != Shrinkage::Hard {
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
