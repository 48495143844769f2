//! The backward pass of an image, strip by strip.
//!
//! Layer `t` is `z_{t+1} = Φ(y_t − α Dᵀ r_t)` with `r_t = D y_t − x` and
//! `y_t = z_t + m_t (z_t − z_{t−1})`. With `u_t` the loss's gradient in `z_{t+1}` on the support of
//! `z_{t+1}` and `w_t = D u_t`:
//!
//! ```text
//! ∂L/∂y_t = u_t − α Dᵀ w_t        needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂D  −= α (r_t ⊗ u_t + w_t ⊗ y_t)
//! ∂L/∂x  += α w_t      ∂L/∂α −= ⟨w_t, r_t⟩      ∂L/∂θ_t −= Σ u_t sign(z_{t+1})
//! ```
//!
//! with the terms `r_t ⊗ u_t`, and `D` in `w_t`, those of the analysis filters, and `w_t ⊗ y_t`, and `Dᵀ w_t`,
//! those of the synthesis filters, where these are not the same;
//! `image ⊗ code` is the sum over positions of patch times code, and the levels' gradient is
//! zero for a hard threshold. Everything but the images `w_t` and `r_t` lives on supports.

use pulp::Arch;

use crate::aligned::{AddScaled, Aligned, zeros};
use crate::conv::forward::{Bank, Network, State, Trace, View, for_each};
use crate::conv::micro::{Carry, Respond, Scratch, inner};
use crate::encoder::Wanted;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::support::Sparse;

/// What a forward pass leaves for the backward pass of an image.
pub(crate) struct Tape<T> {
    /// The datum, `[H, C, W]`.
    pub x: Vec<T>,
    /// `z_T`.
    pub code: Vec<Sparse<T>>,
    /// `z` before each segment of layers, and the one before that where layers extrapolate.
    pub starts: Vec<[Vec<Sparse<T>>; 2]>,
    /// The recorded layers, where they are not run again.
    pub trace: Option<Trace<T>>,
}

impl<T: Real> Tape<T> {
    /// Bytes that this holds.
    pub fn bytes(&self) -> usize {
        let codes = |codes: &[Sparse<T>]| codes.iter().map(Sparse::bytes).sum::<usize>();
        size_of_val(self.x.as_slice())
            + codes(&self.code)
            + self.starts.iter().flatten().map(|part| codes(part)).sum::<usize>()
            + self.trace.as_ref().map_or(0, Trace::bytes)
    }
}

/// Gradients of an image.
pub(crate) struct ImageGradients<T> {
    /// `[p, padded taps]` of each bank.
    pub filters: Vec<Aligned<T>>,
    /// `[H, C, W]`, or nothing.
    pub data: Vec<T>,
    /// A row of padded atoms per layer, or for all; or nothing.
    pub levels: Vec<T>,
    pub step: f64,
}

/// A strip on its way back.
struct Part<T> {
    /// The gradient in `z_{t+1}`, on its support, `[positions, padded atoms]`.
    u: Aligned<T>,
    /// What `y_{t+1}` already gave to the gradient in `z_t`; empty where no layer extrapolates.
    v: Aligned<T>,
    /// The gradient of each bank.
    filters: Vec<Aligned<T>>,
    levels: Vec<T>,
    step: f64,
    window: Aligned<T>,
    data: Vec<T>,
    scratch: Scratch<T>,
}

/// Which codes and residual a step backward works on.
struct Around<'a, T> {
    /// The layer `t` whose input is worked on; the decoder counts as layer `T`.
    t: usize,
    /// `z_{t−1}` and `z_t`.
    before: &'a [Sparse<T>],
    code: &'a [Sparse<T>],
    /// `D y_{t−1} − x` or, for `t = 1`, the datum; nothing where the pass ends here.
    residual: Option<&'a [T]>,
}

impl<T: Real> Network<T> {
    /// The gradients of a loss with gradients `error` (`[H, C, W]`) in the reconstruction and
    /// `code_error(atom, position)` in the code of image `i`.
    pub fn backward(
        &self,
        i: usize,
        tape: &Tape<T>,
        error: &[T],
        code_error: Option<&(impl Fn(usize, usize) -> T + Sync)>,
        wanted: Wanted,
    ) -> ImageGradients<T> {
        let rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let records = self.layers.recorded > 0;
        let dense = |on: bool, strip| {
            zeros(if on { self.positions(strip) * self.padded_atoms() } else { 0 })
        };
        let mut parts: Vec<Part<T>> = self
            .strips
            .iter()
            .map(|strip| Part {
                u: dense(records, strip),
                v: dense(records && self.layers.extrapolates(), strip),
                filters: self
                    .banks()
                    .iter()
                    .map(|bank| zeros(self.geometry.atoms * bank.padded_taps))
                    .collect(),
                levels: vec![T::ZERO; rows * self.padded_atoms()],
                step: 0.0,
                window: zeros(strip.window * self.geometry.pitch()),
                data: Vec::new(),
                scratch: Scratch::new(&self.banks()[0]),
            })
            .collect();
        let mut windows = [self.windows(), self.windows()];
        let mut back = |around: Around<'_, T>| {
            self.back(&mut parts, &mut windows, &around, error, code_error, wanted);
        };
        let mut state: Option<State<T>> = None;
        let segments = self.layers.segments();
        for (segment, [start, before]) in segments.iter().zip(&tape.starts).rev() {
            let mut again = Trace::default();
            let trace = match &tape.trace {
                Some(trace) => trace,
                None => {
                    let x = View { numbers: &tape.x, pitch: self.geometry.pitch(), start: 0 };
                    let state = state.get_or_insert_with(|| self.start());
                    self.restore(state, start, before);
                    self.run(state, x, i, segment.clone(), Some(&mut again));
                    &again
                }
            };
            for t in segment.clone().rev().map(|layer| layer + 1) {
                let k = t - segment.start;
                let residual = if t == 1 { &tape.x } else { &trace.residuals[k - 1] };
                back(Around {
                    t,
                    before: &trace.codes[k - 1],
                    code: &trace.codes[k],
                    residual: Some(residual),
                });
            }
        }
        let (code, before) = match tape.starts.first() {
            Some([code, before]) => (code, before),
            None => (&tape.code, &Vec::new()),
        };
        back(Around { t: self.layers.first_recorded(), before, code, residual: None });
        self.gather(parts, wanted)
    }

    fn gather(&self, parts: Vec<Part<T>>, wanted: Wanted) -> ImageGradients<T> {
        let pitch = self.geometry.pitch();
        let mut data = vec![T::ZERO; if wanted.data { self.geometry.pixels() } else { 0 }];
        let mut parts = parts.into_iter().zip(&self.strips);
        let (first, strip) = parts.next().expect("an image has a strip");
        let mut total = ImageGradients {
            filters: first.filters,
            data: Vec::new(),
            levels: first.levels,
            step: first.step,
        };
        let mut put = |part: &[T], top: usize| {
            if let Some(rows) = data.get_mut(top * pitch..top * pitch + part.len()) {
                rows.copy_from_slice(part);
            }
        };
        put(&first.data, strip.top);
        for (part, strip) in parts {
            for (bank, total) in part.filters.iter().zip(&mut total.filters) {
                add(self.arch, bank, total);
            }
            add(self.arch, &part.levels, &mut total.levels);
            total.step += part.step;
            put(&part.data, strip.top);
        }
        total.data = data;
        total
    }

    /// From the gradient in `z_{t+1}` to that in `z_t`, and from there to `w_{t−1}`.
    fn back(
        &self,
        parts: &mut [Part<T>],
        windows: &mut [Vec<Aligned<T>>; 2],
        around: &Around<'_, T>,
        error: &[T],
        code_error: Option<&(impl Fn(usize, usize) -> T + Sync)>,
        wanted: Wanted,
    ) {
        let [read, write] = windows;
        let jobs = parts.iter_mut().zip(write.iter_mut()).enumerate().collect();
        for_each(self.split_images, jobs, |(k, (part, write)): (usize, (&mut Part<T>, _))| {
            let write: &mut Aligned<T> = write;
            if around.t == self.layers.count {
                self.through_decoder(k, part, around, error, code_error);
            } else {
                part.window.fill(T::ZERO);
                self.assemble(k, T::ONE, read, &mut part.window);
                if wanted.data {
                    let owned = self.strips[k].owned * self.geometry.pitch();
                    part.data.resize(owned, T::ZERO);
                    self.arch.dispatch(AddScaled {
                        factor: self.step,
                        from: &part.window[..owned],
                        to: &mut part.data,
                    });
                }
                self.through_layer(k, part, around);
            }
            if let Some(residual) = around.residual {
                self.carry(k, part, around, residual, write, wanted);
            }
        });
        windows.swap(0, 1);
    }

    /// The decoder's share of the filters' gradient, and the gradient on the support of `z_T`.
    fn through_decoder(
        &self,
        k: usize,
        part: &mut Part<T>,
        around: &Around<'_, T>,
        error: &[T],
        code_error: Option<&(impl Fn(usize, usize) -> T + Sync)>,
    ) {
        let strip = &self.strips[k];
        let (pitch, code) = (self.geometry.pitch(), &around.code[k]);
        let asked = around.residual.is_some();
        self.arch.dispatch(Respond {
            filters: self.filters(Bank::Decoder),
            bases: &self.bases[..self.positions(strip)],
            window: &error[strip.top * pitch..][..strip.window * pitch],
            factor: T::ONE,
            step: -T::ONE,
            momentum: T::ZERO,
            code,
            before: None,
            gradient: &mut part.filters[self.bank(Bank::Decoder)],
            u: if asked { &mut part.u } else { &mut [] },
            v: &mut [],
            scratch: &mut part.scratch,
        });
        if let Some(code_error) = code_error.filter(|_| asked) {
            let first = strip.top / self.geometry.stride[0] * self.geometry.positions()[1];
            let mut index = code.room();
            for (i, u) in part.u.chunks_exact_mut(self.padded_atoms()).enumerate() {
                let count = code.row(i, &mut index);
                for j in &index[..count] {
                    u[*j as usize] += code_error(*j as usize, first + i);
                }
            }
        }
    }

    /// Layer `t`'s share of the filters' gradient through `y_t`, and the gradient in `z_t`;
    /// `part.window` holds `w_t`.
    fn through_layer(&self, k: usize, part: &mut Part<T>, around: &Around<'_, T>) {
        let momentum = T::from_f64(self.layers.weight(around.t));
        let asked = around.residual.is_some();
        let Part { filters, window, u, v, scratch, .. } = part;
        self.arch.dispatch(Respond {
            filters: self.filters(Bank::Synthesis),
            bases: &self.bases[..self.positions(&self.strips[k])],
            window,
            factor: -self.step,
            step: self.step,
            momentum,
            code: &around.code[k],
            before: (momentum != T::ZERO).then(|| &around.before[k]),
            gradient: &mut filters[self.bank(Bank::Synthesis)],
            u: if asked { u } else { &mut [] },
            v: if asked { v } else { &mut [] },
            scratch,
        });
    }

    /// Layer `t` with the gradient `part.u` in its output: the shares of `r_t`, of the levels and of
    /// the step, and `w_t` into `write`.
    fn carry(
        &self,
        k: usize,
        part: &mut Part<T>,
        around: &Around<'_, T>,
        residual: &[T],
        write: &mut [T],
        wanted: Wanted,
    ) {
        let strip = &self.strips[k];
        let pitch = self.geometry.pitch();
        let residual = &residual[strip.top * pitch..][..strip.window * pitch];
        let (t, code) = (around.t - 1, &around.code[k]);
        // The residual of layer 0 is −x.
        let sign = if t == 0 { -T::ONE } else { T::ONE };
        self.arch.dispatch(Carry {
            filters: self.filters(Bank::Analysis),
            bases: &self.bases[..self.positions(strip)],
            code,
            u: &part.u,
            residual,
            factor: -(self.step * sign),
            gradient: &mut part.filters[self.bank(Bank::Analysis)],
            window: write,
            scratch: &mut part.scratch,
        });
        if wanted.encoder {
            part.step -= inner(write, residual) * sign.to_f64();
            let padded = self.padded_atoms();
            let levels = &mut part.levels[self.levels.row(t) * padded..][..padded];
            add_levels(self.layers.shrinkage, code, &part.u, levels);
        }
    }
}

/// Subtracts `Σ u sign(z)` of each atom, the gradient in its level; `u` is 0 off the support.
fn add_levels<T: Real>(shrinkage: Shrinkage, code: &Sparse<T>, u: &[T], levels: &mut [T]) {
    if shrinkage == Shrinkage::Hard {
        return;
    }
    let (mut index, mut values) = (code.room(), code.values.iter());
    for (i, u) in u.chunks_exact(levels.len()).enumerate() {
        let count = code.row(i, &mut index);
        for (j, z) in index[..count].iter().zip(&mut values) {
            levels[*j as usize] += -(u[*j as usize] * z.signum0());
        }
    }
}

pub(crate) fn add<T: Real>(arch: Arch, from: &[T], to: &mut [T]) {
    arch.dispatch(AddScaled { factor: T::ONE, from, to });
}
