//! The layers of a group of data, in either form.

use std::ops::Range;

use crate::dense::pass::{DatumTape, Pass, Products};
use crate::dense::state::State;
use crate::real::Real;
use crate::sparse::Sparse;

impl<T: Real, F: Products<T>> Pass<T, F> {
    /// The state of `count` data before layer 0, `z_0 = 0`.
    pub fn start(&self, count: usize) -> State<T> {
        State::new(count, self.padded, F::residual_length(self))
    }

    /// Takes a group of data, from number `first` on, through all layers, and writes their codes to
    /// `out`, `[group, p]`. Returns a tape for each of them, or none if `record` is not set.
    pub fn forward(&self, first: usize, out: &mut [T], record: bool) -> Vec<DatumTape<T>> {
        let count = out.len() / self.atoms;
        let mut state = self.start(count);
        let begin = self.schedule.first_recorded();
        self.run(&mut state, first, 0..begin, None);
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
                self.run(&mut state, first, segment, recorded);
            }
            for (tape, row) in tapes.iter_mut().zip(state.code.chunks_exact(self.padded)) {
                self.push(&mut tape.code, row, &mut buffer);
            }
        } else {
            self.run(&mut state, first, begin..self.schedule.layers, None);
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

    /// Runs `layers` on the data from number `first` on, and appends each datum's codes to the last segment
    /// of its tape if `tapes` are given.
    fn run(
        &self,
        state: &mut State<T>,
        first: usize,
        layers: Range<usize>,
        mut tapes: Option<&mut [DatumTape<T>]>,
    ) {
        let mut buffer = state.support.value_buffer();
        for t in layers {
            F::layer(self, state, first, t);
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
        state.count = tapes.len();
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
        self.run(state, first, layers, Some(&mut recomputed));
        recomputed.into_iter().flat_map(|tape| tape.segments).collect()
    }
}
