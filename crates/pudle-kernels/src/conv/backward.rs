//! The backward pass of an image, strip by strip.
//!
//! Layer `t` is `z_{t+1} = Φ(y_t − α Aᵀ r_t)` with `r_t = D y_t − x` and
//! `y_t = z_t + m_t (z_t − z_{t−1})`, where `A` is the analysis bank and `D` the synthesis bank. With
//! `u_t` the loss's gradient in `z_{t+1}` on the support of `z_{t+1}`, and `w_t = A u_t`:
//!
//! ```text
//! ∂L/∂y_t = u_t − α Dᵀ w_t        needed on the supports of z_t and z_{t−1} alone
//! ∂L/∂A  −= α r_t ⊗ u_t           ∂L/∂D  −= α w_t ⊗ y_t
//! ∂L/∂x  += α w_t      ∂L/∂α −= ⟨w_t, r_t⟩      ∂L/∂θ_t −= Σ u_t sign(z_{t+1})
//! ```
//!
//! `image ⊗ code` is the sum over positions of patch times code. If `A` is tied to `D`, both products
//! are added to one gradient. The levels of a hard threshold have no gradient. Everything but the images
//! `w_t` and `r_t` is zero off the supports.

use pulp::Arch;

use crate::aligned::{Aligned, zeros};
use crate::banks::Banks;
use crate::conv::image::Image;
use crate::conv::kernels::{AnalysisBackward, BackwardScratch, SynthesisBackward};
use crate::conv::parallel::for_each;
use crate::conv::pass::Pass;
use crate::conv::state::State;
use crate::conv::tape::{ImageTape, RecordedLayers};
use crate::encoder::Wanted;
use crate::geometry::Strip;
use crate::real::Real;
use crate::settings::Shrinkage;
use crate::sparse::Sparse;
use crate::vector::{AddScaled, add, inner};

/// Gradients of an image, without those of the banks.
pub(crate) struct ImageGradients<T> {
    /// `[H, C, W]`, or empty.
    pub data: Vec<T>,
    /// `[T or 1, padded atoms]`, or empty.
    pub levels: Vec<T>,
    pub step: f64,
}

/// Memory for the backward passes of images, and the gradients of the banks that they add up.
pub(crate) struct Work<T> {
    strips: Vec<StripState<T>>,
    /// The windows of `w_t` and `w_{t−1}`.
    windows: [Vec<Aligned<T>>; 2],
    /// Memory to compute layers again.
    forward: Option<State<T>>,
}

/// The state of a strip in the backward pass.
struct StripState<T> {
    /// The gradient in `z_{t+1}`, on its support, `[positions, padded atoms]`.
    u: Aligned<T>,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`; empty if no layer extrapolates.
    v: Aligned<T>,
    /// The gradient of each bank.
    banks: Banks<Aligned<T>>,
    levels: Vec<T>,
    step: f64,
    /// The window of `w_t`.
    window: Aligned<T>,
    data: Vec<T>,
    scratch: BackwardScratch<T>,
}

impl<T: Real> StripState<T> {
    /// Sets everything but the gradients of the banks to zero.
    fn reset(&mut self) {
        self.u.fill(T::ZERO);
        self.v.fill(T::ZERO);
        self.levels.fill(T::ZERO);
        self.step = 0.0;
        self.data.clear();
    }
}

/// Adds the gradients of banks.
pub(crate) fn add_banks<T: Real>(
    arch: Arch,
    banks: &Banks<Aligned<T>>,
    total: &mut Banks<Aligned<T>>,
) {
    for (bank, total) in banks.iter().zip(total.iter_mut()) {
        add(arch, bank, total);
    }
}

/// The gradients that a backward pass starts from, and which ones it computes.
struct Loss<'a, T, F> {
    /// In the reconstruction, `[H, C, W]`.
    error: &'a [T],
    /// In the code, by atom and position.
    code_error: Option<&'a F>,
    wanted: Wanted,
}

/// The codes and the residual of a step backward.
struct Step<'a, T> {
    /// The layer `t` that the gradient passes first. The decoder counts as layer `T`.
    t: usize,
    /// `z_{t−1}`.
    previous: &'a [Sparse<T>],
    /// `z_t`.
    code: &'a [Sparse<T>],
    /// `D y_{t−1} − x` or, for `t = 1`, the datum; `None` if the backward pass ends here.
    residual: Option<&'a [T]>,
}

impl<T: Real> Pass<T> {
    /// Memory for the backward passes of images.
    pub fn backward_work(&self, wanted: Wanted) -> Work<T> {
        Work {
            strips: self.strips.iter().map(|strip| self.strip_state(strip, wanted)).collect(),
            windows: [self.windows(), self.windows()],
            forward: None,
        }
    }

    /// The gradients of a loss with gradients `error` (`[H, C, W]`) in the reconstruction and
    /// `code_error(atom, position)` in the code of image `i`. Those of the banks are added to what `work`
    /// holds.
    pub fn backward(
        &self,
        work: &mut Work<T>,
        i: usize,
        tape: &ImageTape<T>,
        error: &[T],
        code_error: Option<&(impl Fn(usize, usize) -> T + Sync)>,
        wanted: Wanted,
    ) -> ImageGradients<T> {
        let loss = Loss { error, code_error, wanted };
        let Work { strips, windows, forward } = work;
        strips.iter_mut().for_each(StripState::reset);
        let segments = self.schedule.segments();
        for (segment, start) in segments.iter().zip(&tape.starts).rev() {
            let mut recomputed = RecordedLayers::default();
            let layers = match &tape.layers {
                Some(layers) => layers,
                None => {
                    let x = Image { numbers: &tape.x, pitch: self.geometry.pitch(), start: 0 };
                    let state = forward.get_or_insert_with(|| self.start());
                    self.restore(state, start);
                    self.run(state, x, i, segment.clone(), Some(&mut recomputed));
                    &recomputed
                }
            };
            for t in segment.clone().rev().map(|layer| layer + 1) {
                let k = t - segment.start;
                let residual = if t == 1 { &tape.x } else { &layers.residuals[k - 1] };
                let (previous, code) = (&layers.codes[k - 1], &layers.codes[k]);
                let step = Step { t, previous, code, residual: Some(residual) };
                self.back(strips, windows, &step, &loss);
            }
        }
        let (code, previous) = match tape.starts.first() {
            Some(start) => (&start.code, &start.previous),
            None => (&tape.code, &Vec::new()),
        };
        let step = Step { t: self.schedule.first_recorded(), previous, code, residual: None };
        self.back(strips, windows, &step, &loss);
        self.gather(strips, wanted)
    }

    fn strip_state(&self, strip: &Strip, wanted: Wanted) -> StripState<T> {
        let codes = |needed: bool| {
            zeros(if needed { self.positions(strip) * self.padded_atoms() } else { 0 })
        };
        let records = self.schedule.recorded > 0;
        let level_rows = if wanted.encoder { self.levels.layers() } else { 0 };
        let bank = |bank: usize| zeros(self.geometry.atoms * bank);
        StripState {
            u: codes(records),
            v: codes(records && self.schedule.extrapolates()),
            banks: self.banks.as_ref().map(|filters| bank(filters.padded_taps)),
            levels: vec![T::ZERO; level_rows * self.padded_atoms()],
            step: 0.0,
            window: zeros(strip.window * self.geometry.pitch()),
            data: Vec::new(),
            scratch: BackwardScratch::new(&self.banks.synthesis),
        }
    }

    /// The gradients of the banks that were added up, over the strips from top to bottom.
    pub fn bank_gradients(&self, work: Work<T>) -> Banks<Aligned<T>> {
        let banks = work.strips.into_iter().map(|strip| strip.banks);
        let sum = banks.reduce(|mut total, banks| {
            add_banks(self.arch, &banks, &mut total);
            total
        });
        sum.expect("an image has a strip")
    }

    /// Adds up the other gradients of the strips, from top to bottom.
    fn gather(&self, strips: &[StripState<T>], wanted: Wanted) -> ImageGradients<T> {
        let pitch = self.geometry.pitch();
        let mut data = vec![T::ZERO; if wanted.data { self.geometry.pixels() } else { 0 }];
        let mut levels = vec![T::ZERO; strips[0].levels.len()];
        let mut step = 0.0;
        for (state, strip) in strips.iter().zip(&self.strips) {
            add(self.arch, &state.levels, &mut levels);
            step += state.step;
            if wanted.data {
                data[strip.top * pitch..][..state.data.len()].copy_from_slice(&state.data);
            }
        }
        ImageGradients { data, levels, step }
    }

    /// From the gradient in `z_{t+1}` to that in `z_t`, and from there to `w_{t−1}`. The strips read the
    /// first windows and write the second ones, which are then exchanged.
    fn back(
        &self,
        strips: &mut [StripState<T>],
        windows: &mut [Vec<Aligned<T>>; 2],
        step: &Step<'_, T>,
        loss: &Loss<'_, T, impl Fn(usize, usize) -> T + Sync>,
    ) {
        let [read, write] = windows;
        let tasks = strips.iter_mut().zip(write.iter_mut()).enumerate().collect();
        for_each(
            self.split_images,
            tasks,
            |(k, (strip, write)): (usize, (&mut StripState<T>, _))| {
                let write: &mut Aligned<T> = write;
                if step.t == self.schedule.layers {
                    self.through_decoder(k, strip, step, loss);
                } else {
                    strip.window.fill(T::ZERO);
                    self.assemble(k, T::ONE, read, &mut strip.window);
                    if loss.wanted.data {
                        let owned = self.strips[k].owned * self.geometry.pitch();
                        strip.data.resize(owned, T::ZERO);
                        self.arch.dispatch(AddScaled {
                            factor: self.step,
                            from: &strip.window[..owned],
                            to: &mut strip.data,
                        });
                    }
                    self.through_synthesis(k, strip, step);
                }
                if let Some(residual) = step.residual {
                    self.through_analysis(k, strip, step, residual, write, loss.wanted);
                }
            },
        );
        windows.swap(0, 1);
    }

    /// Adds the decoder's part of the filters' gradient, and writes the gradient on the support of `z_T`.
    fn through_decoder(
        &self,
        k: usize,
        state: &mut StripState<T>,
        step: &Step<'_, T>,
        loss: &Loss<'_, T, impl Fn(usize, usize) -> T + Sync>,
    ) {
        let strip = &self.strips[k];
        let pitch = self.geometry.pitch();
        let goes_on = step.residual.is_some();
        if let Some(code_error) = loss.code_error.filter(|_| goes_on) {
            // On the support of the code, this stays in `u`.
            let first = strip.top / self.geometry.stride[0] * self.geometry.positions()[1];
            for (i, u) in state.u.chunks_exact_mut(self.padded_atoms()).enumerate() {
                for (j, u) in u[..self.geometry.atoms].iter_mut().enumerate() {
                    *u = code_error(j, first + i);
                }
            }
        }
        let StripState { banks, levels, u, scratch, .. } = state;
        self.arch.dispatch(SynthesisBackward {
            arch: self.arch,
            filters: self.banks.for_decoder(),
            bases: self.bases(strip),
            window: &loss.error[strip.top * pitch..][..strip.window * pitch],
            factor: T::ONE,
            step: -T::ONE,
            momentum: T::ZERO,
            code: &step.code[k],
            previous: None,
            gradient: banks.for_decoder_mut(),
            u: if goes_on { u } else { &mut [] },
            v: &mut [],
            levels: self.levels_of(step, levels),
            scratch,
        });
    }

    /// The gradient of the levels that made `z_t`, of those of a strip; empty if it is not wanted.
    fn levels_of<'a>(&self, step: &Step<'_, T>, levels: &'a mut [T]) -> &'a mut [T] {
        let wanted = step.residual.is_some() && !levels.is_empty();
        if !wanted || self.schedule.shrinkage == Shrinkage::Hard {
            return &mut [];
        }
        let padded = self.padded_atoms();
        &mut levels[self.levels.row(step.t - 1) * padded..][..padded]
    }

    /// Adds the part of the filters' gradient that comes through `y_t`, and writes the gradient in `z_t`.
    /// `state.window` holds `w_t`.
    fn through_synthesis(&self, k: usize, state: &mut StripState<T>, step: &Step<'_, T>) {
        let momentum = T::from_f64(self.schedule.weight(step.t));
        let goes_on = step.residual.is_some();
        let StripState { banks, levels, window, u, v, scratch, .. } = state;
        self.arch.dispatch(SynthesisBackward {
            arch: self.arch,
            filters: &self.banks.synthesis,
            bases: self.bases(&self.strips[k]),
            window,
            factor: -self.step,
            step: self.step,
            momentum,
            code: &step.code[k],
            previous: (momentum != T::ZERO).then(|| &step.previous[k]),
            gradient: &mut banks.synthesis,
            u: if goes_on { u } else { &mut [] },
            v: if goes_on { v } else { &mut [] },
            levels: self.levels_of(step, levels),
            scratch,
        });
    }

    /// Takes layer `t − 1` back from the gradient `state.u` in its output: adds the parts of the gradients
    /// of the filters and the step size, and writes `w_{t−1}` to `write`.
    fn through_analysis(
        &self,
        k: usize,
        state: &mut StripState<T>,
        step: &Step<'_, T>,
        residual: &[T],
        write: &mut [T],
        wanted: Wanted,
    ) {
        let strip = &self.strips[k];
        let pitch = self.geometry.pitch();
        let residual = &residual[strip.top * pitch..][..strip.window * pitch];
        let code = &step.code[k];
        // The residual of layer 0 is −x.
        let sign = if step.t == 1 { -T::ONE } else { T::ONE };
        self.arch.dispatch(AnalysisBackward {
            filters: self.banks.for_analysis(),
            bases: self.bases(strip),
            code,
            u: &state.u,
            residual,
            factor: -(self.step * sign),
            gradient: state.banks.for_analysis_mut(),
            window: write,
            scratch: &mut state.scratch,
        });
        if wanted.encoder {
            state.step -= inner(write, residual) * sign.to_f64();
        }
    }
}
