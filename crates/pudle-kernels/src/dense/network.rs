//! A matrix in Gram form, and the layers through it.

use pulp::{Arch, Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::product::{AT_ONCE, Factors, product};
use crate::real::Real;
use crate::settings::{Layers, Levels, shrink};
use crate::support::Sparse;

/// Data that a task takes through the layers together: as many as share a row of the Gram matrix
/// where it is read as a whole.
pub(super) const GROUP: usize = AT_ONCE;

/// The share of codes that are not zero from which on a group multiplies by the whole Gram matrix:
/// about where the two ways took the same time, at p = 1500 in single precision on a Zen 4 core.
const DENSE: f64 = 0.3;

/// A dictionary laid out for the layers, and how to run them.
pub(super) struct Network<T> {
    /// Dimension `m` and number of atoms `p`.
    pub dim: usize,
    pub atoms: usize,
    pub padded: usize,
    /// `[p, padded p]`.
    pub gram: Aligned<T>,
    /// `Dᵀx`, `[b, padded p]`.
    pub correlations: Aligned<T>,
    pub step: T,
    pub levels: Levels<T>,
    pub layers: Layers,
    pub arch: Arch,
}

/// What is kept of a datum.
pub(super) struct Datum<T> {
    /// `z_T`.
    pub code: Sparse<T>,
    /// Per segment of layers `a … b`: the codes before it, `z_{a−1}` and `z_a`, and where layers are
    /// stored, all codes after these.
    pub segments: Vec<Sparse<T>>,
}

/// A group's codes between two layers, `[GROUP, padded p]` each.
pub(super) struct State<T> {
    pub code: Aligned<T>,
    pub previous: Aligned<T>,
    pub point: Aligned<T>,
    pub gradient: Aligned<T>,
    /// Support of each point.
    pub support: Sparse<T>,
}

impl<T: Real> Network<T> {
    pub fn start(&self) -> State<T> {
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
    pub fn forward(&self, first: usize, out: &mut [T], record: bool) -> Vec<Datum<T>> {
        let count = out.len() / self.atoms;
        let mut state = self.start();
        let begin = self.layers.first_recorded();
        self.run(&mut state, first, count, 0..begin, None);
        let mut data = Vec::new();
        if record {
            let mut index = Sparse::<T>::new(self.padded).room();
            data.resize_with(count, || Datum {
                code: Sparse::new(self.padded),
                segments: Vec::new(),
            });
            for segment in self.layers.segments() {
                self.open(&state, &mut data, &mut index);
                let keep = (!self.layers.recompute).then_some(&mut data);
                self.run(&mut state, first, count, segment, keep.map(|data| &mut data[..]));
            }
            for (datum, row) in data.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                push(&mut datum.code, &row[..self.atoms], &mut index);
            }
        } else {
            self.run(&mut state, first, count, begin..self.layers.count, None);
        }
        for (out, row) in out.chunks_exact_mut(self.atoms).zip(state.code.chunks_exact(self.padded))
        {
            out.copy_from_slice(&row[..self.atoms]);
        }
        data
    }

    /// Starts a segment of each datum with the codes before it.
    pub fn open(&self, state: &State<T>, data: &mut [Datum<T>], index: &mut [u32]) {
        for (i, datum) in data.iter_mut().enumerate() {
            let mut codes = Sparse::new(self.padded);
            for code in [&state.previous, &state.code] {
                push(&mut codes, &code[i * self.padded..][..self.atoms], index);
            }
            datum.segments.push(codes);
        }
    }

    /// Runs `layers`, and appends each datum's codes to its last segment where `data` are given.
    pub fn run(
        &self,
        state: &mut State<T>,
        first: usize,
        count: usize,
        layers: std::ops::Range<usize>,
        mut data: Option<&mut [Datum<T>]>,
    ) {
        let mut index = state.support.room();
        for t in layers {
            let momentum = T::from_f64(self.layers.weight(t));
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
pub(super) fn push<T: Real>(codes: &mut Sparse<T>, row: &[T], index: &mut [u32]) {
    codes.push_support(row);
    codes.keep_values(codes.rows() - 1, row, index);
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
                *code = shrink::<T, S>(simd, network.layers.shrinkage, v, *level);
            }
        }
    }
}
