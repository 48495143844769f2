//! The backward pass of a signal, on the supports of its codes.
//!
//! The formulas are those of the pass over patches, see `conv/backward.rs`. What lies off the supports is zero, but for the
//! signals `w_t = A u_t` and `r_t = D y_t − x`, which are added up from the supports again.

use super::forward::{Pass, Tape};
use super::support::{Outer, Products, Support, Synthesis};
use crate::banks::Banks;
use crate::encoder::Wanted;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::vector::inner;

/// Memory for the backward passes of signals, and the gradients of the banks that they add up.
pub(super) struct Work<T> {
    pub banks: Banks<Vec<T>>,
    /// Numbers by place of a code, zero between uses.
    dense: Vec<T>,
    w: Vec<T>,
    r: Vec<T>,
    products: Vec<T>,
}

/// Gradients of a signal, without those of the banks.
pub(super) struct SignalGradients<T> {
    /// `[C, n]`, or empty.
    pub data: Vec<T>,
    /// `[T or 1, p]`, or empty.
    pub levels: Vec<T>,
    pub step: f64,
}

impl<T: Real> Pass<T> {
    pub fn backward_work(&self) -> Work<T> {
        Work {
            banks: self.banks.as_ref().map(|bank| vec![T::ZERO; bank.len()]),
            dense: vec![T::ZERO; self.layout.codes()],
            w: vec![T::ZERO; self.layout.pixels()],
            r: vec![T::ZERO; self.layout.pixels()],
            products: Vec::new(),
        }
    }

    /// The gradients of a loss with gradients `error` in the reconstruction and `code_error` in the code of a
    /// datum. Those of the banks are added to what `work` holds.
    pub fn backward(
        &self,
        work: &mut Work<T>,
        tape: &Tape<T>,
        error: &[T],
        code_error: Option<&[T]>,
        wanted: Wanted,
    ) -> SignalGradients<T> {
        let layout = self.layout;
        let last = tape.codes.last().expect("a tape has the last code");
        let gradient = work.banks.for_decoder_mut();
        self.arch.dispatch(Outer { layout, factor: T::ONE, code: last, signal: error, gradient });
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let mut found = SignalGradients {
            data: vec![T::ZERO; if wanted.data { layout.pixels() } else { 0 }],
            levels: vec![T::ZERO; rows * layout.atoms],
            step: 0.0,
        };
        if self.schedule.recorded == 0 {
            return found;
        }
        // The gradient in z_T, on its support.
        let mut u = last.clone();
        self.products(work, self.banks.for_decoder(), &last.places, error);
        u.values.copy_from_slice(&work.products);
        if let Some(code_error) = code_error {
            for (place, value) in u.places.iter().zip(&mut u.values) {
                *value += code_error[*place as usize];
            }
        }
        // The part of the gradient in z_t that comes through y_{t+1}.
        let mut carried = Vec::new();
        let first = self.schedule.first_recorded();
        for t in (first..self.schedule.layers).rev() {
            // codes[k] is z_{first − 1 + k}.
            let k = t + 1 - first;
            let [before, code, after] = [&tape.codes[k - 1], &tape.codes[k], &tape.codes[k + 1]];
            let momentum = T::from_f64(self.schedule.weight(t));
            let y = self.extrapolated(work, before, code, momentum);
            self.layer_back(work, tape, &y, &u, &mut found);
            if wanted.encoder && self.schedule.shrinkage != Shrinkage::Hard {
                let row = self.levels.row(t) * layout.atoms;
                for ((place, value), u) in after.iter().zip(&u.values) {
                    found.levels[row + place / layout.positions] += -(*u * value.signum0());
                }
            }
            if t > first {
                (u, carried) = self.through_layer(work, [before, code], &u, momentum, &carried);
            }
        }
        found
    }

    /// Writes the products of a signal with the atoms at these places to `work.products`.
    fn products(&self, work: &mut Work<T>, bank: &[T], places: &[u32], signal: &[T]) {
        let (layout, products) = (self.layout, &mut work.products);
        self.arch.dispatch(Products { layout, bank, places, signal, products });
    }

    /// `z + m (z − z₋)`.
    fn extrapolated(
        &self,
        work: &mut Work<T>,
        before: &Support<T>,
        code: &Support<T>,
        momentum: T,
    ) -> Support<T> {
        if momentum == T::ZERO {
            return code.clone();
        }
        let mut y = Support { places: code.places.clone(), values: Vec::new() };
        before.iter().for_each(|(place, value)| work.dense[place] = -(momentum * value));
        for (place, value) in code.iter() {
            let past = std::mem::replace(&mut work.dense[place], T::ZERO);
            y.values.push((T::ONE + momentum) * value + past);
        }
        for place in &before.places {
            // Only the places that the later code does not have are left.
            let past = std::mem::replace(&mut work.dense[*place as usize], T::ZERO);
            if past != T::ZERO {
                y.push(*place as usize, past);
            }
        }
        y
    }

    /// Adds what a layer that starts from `y` adds to the gradients, from the gradient `u` in its output. `work.w` is `A u`
    /// afterwards.
    fn layer_back(
        &self,
        work: &mut Work<T>,
        tape: &Tape<T>,
        y: &Support<T>,
        u: &Support<T>,
        found: &mut SignalGradients<T>,
    ) {
        let (layout, arch, step) = (self.layout, self.arch, self.step);
        let Work { banks, w, r, .. } = work;
        w.fill(T::ZERO);
        arch.dispatch(Synthesis { layout, bank: self.banks.for_analysis(), code: u, signal: w });
        r.iter_mut().zip(&tape.x).for_each(|(r, x)| *r = -*x);
        arch.dispatch(Synthesis { layout, bank: &self.banks.synthesis, code: y, signal: r });
        let factor = -step;
        let gradient = banks.for_analysis_mut();
        arch.dispatch(Outer { layout, factor, code: u, signal: r, gradient });
        let gradient = &mut banks.synthesis;
        arch.dispatch(Outer { layout, factor, code: y, signal: w, gradient });
        found.data.iter_mut().zip(&*w).for_each(|(data, w)| *data += step * *w);
        if !found.levels.is_empty() {
            found.step += -inner(w, r);
        }
    }

    /// The gradient in `z_t` on its support, and what is carried to `z_{t−1}`, from that in `z_{t+1}`. `work.w` is `A u`.
    fn through_layer(
        &self,
        work: &mut Work<T>,
        [before, code]: [&Support<T>; 2],
        u: &Support<T>,
        momentum: T,
        carried: &[T],
    ) -> (Support<T>, Vec<T>) {
        u.iter().for_each(|(place, value)| work.dense[place] = value);
        let mut of = |support: &Support<T>| {
            let w = std::mem::take(&mut work.w);
            self.products(work, &self.banks.synthesis, &support.places, &w);
            work.w = w;
            let of_u = support.places.iter().map(|place| work.dense[*place as usize]);
            let of_y: Vec<T> =
                of_u.zip(&work.products).map(|(u, product)| u - self.step * *product).collect();
            of_y
        };
        let (of_y, of_before) =
            (of(code), if momentum == T::ZERO { Vec::new() } else { of(before) });
        u.places.iter().for_each(|place| work.dense[*place as usize] = T::ZERO);
        let mut values: Vec<T> = of_y.iter().map(|g| (T::ONE + momentum) * *g).collect();
        values.iter_mut().zip(carried).for_each(|(value, carried)| *value += *carried);
        let carried = of_before.iter().map(|g| -(momentum * *g)).collect();
        (Support { places: code.places.clone(), values }, carried)
    }
}
