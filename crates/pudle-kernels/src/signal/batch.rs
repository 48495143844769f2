//! A batch of signals, forward and backward.

use super::backward::SignalGradients;
use super::forward::{Pass, Tape};
use super::layout::takes_signals;
use super::support::Synthesis;
use crate::conv::map_groups;
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::geometry::Geometry;
use crate::real::Real;
use crate::settings::Unrolling;
use crate::vector::add;

/// What the backward pass of a batch of signals needs: the supports of the recorded codes. It is so little that
/// [`Unrolling::recompute`] changes nothing.
pub struct SignalTape<T> {
    pass: Pass<T>,
    signals: Vec<Tape<T>>,
}

/// A signal of a batch, and where its results go.
struct Datum<'a, T> {
    i: usize,
    x: &'a [T],
    code: &'a mut [T],
    reconstruction: &'a mut [T],
}

/// Runs a batch of signals, `x` of shape `[b, C, n]`, and returns a tape for the backward pass if `record` is set.
///
/// # Panics
/// Panics if a slice is not as long as the shapes say, if a signal is shorter than a filter, or if [`takes_signals`] is false.
pub fn signal_forward<T: Real>(
    geometry: Geometry,
    x: &[T],
    encoder: Encoder<'_, T>,
    unrolling: Unrolling,
    record: bool,
) -> (Output<T>, Option<SignalTape<T>>) {
    assert!(takes_signals(&geometry), "filters along signals, at every sample");
    let pass = Pass::new(&geometry, encoder, unrolling);
    let layout = pass.layout;
    let signals = x.len() / layout.pixels();
    let codes = signals * layout.codes();
    let mut numbers = vec![T::ZERO; codes + x.len()];
    let (code, reconstruction) = numbers.split_at_mut(codes);
    let data: Vec<_> = x
        .chunks_exact(layout.pixels())
        .zip(code.chunks_exact_mut(layout.codes()))
        .zip(reconstruction.chunks_exact_mut(layout.pixels()))
        .enumerate()
        .map(|(i, ((x, code), reconstruction))| Datum { i, x, code, reconstruction })
        .collect();
    let tapes = map_groups(data, |group: Vec<Datum<'_, T>>| {
        let mut state = pass.state();
        let mut run = |Datum { i, x, code, reconstruction }| {
            let tape = pass.forward(&mut state, x, i, record);
            state.support.iter().for_each(|(place, value)| code[place] = value);
            let (bank, code) = (pass.banks.for_decoder(), &state.support);
            pass.arch.dispatch(Synthesis { layout, bank, code, signal: reconstruction });
            tape
        };
        group.into_iter().map(&mut run).collect::<Vec<_>>()
    });
    let tape = tapes.into_iter().flatten().collect::<Option<Vec<_>>>();
    (Output { numbers, codes }, tape.map(|signals| SignalTape { pass, signals }))
}

impl<T: Real> SignalTape<T> {
    /// The gradients of a loss with gradients `error` in the reconstruction, `[b, C, n]`, and `code_error` in the code,
    /// `[b, p, n']`.
    ///
    /// # Panics
    /// Panics if a slice is not as long as the shapes say.
    pub fn backward(&self, error: &[T], code_error: Option<&[T]>, wanted: Wanted) -> Gradients<T> {
        let pass = &self.pass;
        let layout = pass.layout;
        let groups = map_groups(self.signals.iter().enumerate().collect(), |group: Vec<_>| {
            let mut work = pass.backward_work();
            let mut run = |(i, tape): (usize, &Tape<T>)| {
                let error = &error[i * layout.pixels()..][..layout.pixels()];
                let code_error = code_error.map(|all| &all[i * layout.codes()..][..layout.codes()]);
                pass.backward(&mut work, tape, error, code_error, wanted)
            };
            let signals: Vec<_> = group.into_iter().map(&mut run).collect();
            (signals, work.banks)
        });
        let (signals, banks): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        let signals: Vec<SignalGradients<T>> = signals.into_iter().flatten().collect();
        let (mut levels, mut step) = (vec![T::ZERO; pass.levels.len()], 0.0);
        for (i, signal) in signals.iter().enumerate() {
            pass.levels.reduce(&signal.levels, i, &mut levels);
            step += signal.step;
        }
        let data = signals.iter().flat_map(|signal| signal.data.iter().copied());
        let data: Vec<T> = data.collect();
        let zeros = || pass.banks.as_ref().map(|bank| vec![T::ZERO; bank.len()]);
        let banks = banks.into_iter().fold(zeros(), |mut total, banks| {
            for (bank, total) in banks.iter().zip(total.iter_mut()) {
                add(pass.arch, bank, total);
            }
            total
        });
        Gradients {
            banks,
            data: wanted.data.then_some(data),
            levels: wanted.encoder.then_some(levels),
            step: wanted.encoder.then(|| T::from_f64(step)),
        }
    }

    /// How many bytes the tape holds.
    pub fn bytes(&self) -> usize {
        let of = |tape: &Tape<T>| {
            size_of_val(tape.x.as_slice())
                + tape.codes.iter().map(super::support::Support::bytes).sum::<usize>()
        };
        self.signals.iter().map(of).sum()
    }
}
