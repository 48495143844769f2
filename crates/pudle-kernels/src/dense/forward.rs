//! The layers of a group of data.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::aligned::{Aligned, zeros};
use crate::combine::combine;
use crate::dense::pass::{DatumTape, GROUP, Pass};
use crate::product::{Factors, Places, product};
use crate::real::Real;
use crate::sparse::Sparse;
use crate::vector::shrink;

/// The share of codes that are not zero from which on a group multiplies by the whole Gram matrix:
/// about where the two ways took the same time, at p = 1500 in single precision on a Zen 4 core.
const DENSE: f64 = 0.3;

/// A group's codes between two layers, `[GROUP, padded p]` each.
pub(super) struct State<T> {
    /// `z_t`.
    code: Aligned<T>,
    /// `z_{t−1}`.
    previous: Aligned<T>,
    /// `y_t`.
    point: Aligned<T>,
    /// `G y_t`.
    gradient: Aligned<T>,
    /// Support of each point.
    support: Sparse<T>,
}

impl<T: Real> Pass<T> {
    /// The state before layer 0, `z_0 = 0`.
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

    /// Takes a group of data, from number `first` on, through all layers, and writes their codes to
    /// `out`, `[group, p]`. Returns a tape for each of them, or none if `record` is not set.
    pub fn forward(&self, first: usize, out: &mut [T], record: bool) -> Vec<DatumTape<T>> {
        let count = out.len() / self.atoms;
        let mut state = self.start();
        let begin = self.schedule.first_recorded();
        self.run(&mut state, first, count, 0..begin, None);
        let mut tapes = Vec::new();
        if record {
            let mut buffer = Sparse::<T>::new(self.padded).value_buffer();
            tapes.resize_with(count, || DatumTape {
                code: Sparse::new(self.padded),
                segments: Vec::new(),
            });
            for segment in self.schedule.segments() {
                self.start_segment(&state, &mut tapes, &mut buffer);
                let recorded = (!self.schedule.recompute).then_some(&mut tapes[..]);
                self.run(&mut state, first, count, segment, recorded);
            }
            for (tape, row) in tapes.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                self.push(&mut tape.code, row, &mut buffer);
            }
        } else {
            self.run(&mut state, first, count, begin..self.schedule.layers, None);
        }
        for (out, row) in out.chunks_exact_mut(self.atoms).zip(state.code.chunks_exact(self.padded))
        {
            out.copy_from_slice(&row[..self.atoms]);
        }
        tapes
    }

    /// Starts a segment of each tape with the codes before it.
    fn start_segment(&self, state: &State<T>, tapes: &mut [DatumTape<T>], buffer: &mut [T]) {
        for (i, tape) in tapes.iter_mut().enumerate() {
            let mut codes = Sparse::new(self.padded);
            for code in [&state.previous, &state.code] {
                self.push(&mut codes, &code[i * self.padded..][..self.padded], buffer);
            }
            tape.segments.push(codes);
        }
    }

    /// Runs `layers` on `count` data from number `first` on, and appends each datum's codes to the last
    /// segment of its tape if `tapes` are given.
    fn run(
        &self,
        state: &mut State<T>,
        first: usize,
        count: usize,
        layers: Range<usize>,
        mut tapes: Option<&mut [DatumTape<T>]>,
    ) {
        let mut index = state.support.index_buffer();
        let mut buffer = state.support.value_buffer();
        for t in layers {
            let index = &mut index[..];
            self.arch.dispatch(Layer { pass: self, state, first, count, t, index });
            let Some(tapes) = tapes.as_deref_mut() else { continue };
            for (tape, row) in tapes.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                let codes = tape.segments.last_mut().expect("a segment was started");
                self.push(codes, row, &mut buffer);
            }
        }
    }

    /// Appends a row, `[padded p]`, to a code.
    fn push(&self, codes: &mut Sparse<T>, row: &[T], buffer: &mut [T]) {
        codes.push_support(&row[..self.atoms]);
        codes.push_values(self.arch, codes.rows() - 1, row, buffer);
    }

    /// Computes the codes of segment `k` of a group of data again, from those before it.
    pub fn recompute(
        &self,
        state: &mut State<T>,
        first: usize,
        tapes: &[DatumTape<T>],
        k: usize,
    ) -> Vec<Sparse<T>> {
        state.previous.fill(T::ZERO);
        state.code.fill(T::ZERO);
        let mut recomputed = Vec::new();
        for (i, tape) in tapes.iter().enumerate() {
            let row = i * self.padded..(i + 1) * self.padded;
            let before = [&mut state.previous[row.clone()], &mut state.code[row]];
            tape.segments[k].expand_rows(before);
            let segments = vec![tape.segments[k].clone()];
            recomputed.push(DatumTape { code: Sparse::default(), segments });
        }
        let layers = self.schedule.segments().swap_remove(k);
        self.run(state, first, tapes.len(), layers, Some(&mut recomputed));
        recomputed.into_iter().flat_map(|tape| tape.segments).collect()
    }
}

/// A layer of a group of data.
struct Layer<'a, T> {
    pass: &'a Pass<T>,
    state: &'a mut State<T>,
    /// Number of the first datum.
    first: usize,
    /// How many data.
    count: usize,
    /// Number of the layer.
    t: usize,
    /// Memory for a support.
    index: &'a mut [u32],
}

impl<T: Real> WithSimd for Layer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.extrapolate(simd);
        self.multiply(simd);
        self.step(simd);
    }
}

impl<T: Real> Layer<'_, T> {
    /// `y_t = z_t + m_t (z_t − z_{t−1})`.
    #[inline(always)]
    fn extrapolate<S: Simd>(&mut self, simd: S) {
        let State { code, previous, point, .. } = &mut *self.state;
        let weight = T::splat(simd, T::from_f64(self.pass.schedule.weight(self.t)));
        for ((point, code), previous) in T::vectors_mut::<S>(point)
            .iter_mut()
            .zip(T::vectors::<S>(code))
            .zip(T::vectors_mut::<S>(previous))
        {
            *point = T::mul_add(simd, T::minus(simd, *code, *previous), weight, *code);
            *previous = *code;
        }
    }

    /// `G y_t`, over the supports of the points or, if these are large, as a whole.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S) {
        let Self { pass, state, count, index, .. } = self;
        let State { point, gradient, support, .. } = &mut **state;
        let (padded, count) = (pass.padded, *count);
        support.clear();
        let rows = point.chunks_exact(padded).take(count);
        // Behind the atoms, numbers that overflowed times the padding's zeros may have left NaN.
        let total: usize = rows.map(|row| support.push_support(&row[..pass.atoms])).sum();
        if total as f64 > DENSE * (count * pass.atoms) as f64 {
            let factors = Factors {
                a: point,
                a_strides: [padded, 1],
                rows: Places::First(count),
                terms: Places::First(pass.atoms),
                b: &pass.gram,
                b_stride: padded,
                width: padded,
            };
            product(simd, factors, gradient, padded, false);
        } else {
            let rows = point.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded));
            for (i, (point, gradient)) in rows.take(count).enumerate() {
                let size = support.row(i, index);
                combine(simd, &pass.gram, &index[..size], point, gradient);
            }
        }
    }

    /// `z_{t+1} = Φ(y_t − α (G y_t − c))`.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S) {
        let Self { pass, state, first, count, t, .. } = self;
        let State { code, point, gradient, .. } = &mut **state;
        let padded = pass.padded;
        let descent = T::splat(simd, -pass.step);
        for i in 0..*count {
            let row = i * padded..(i + 1) * padded;
            let correlations = pass.correlations_of(*first + i);
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
