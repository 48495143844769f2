//! The layers of an image, strip by strip.

use std::mem::{replace, take};
use std::ops::Range;

use crate::aligned::{Aligned, zeros};
use crate::conv::image::Image;
use crate::conv::kernels::{LinearAtoms, ProximalStep, Synthesis};
use crate::conv::parallel::for_each;
use crate::conv::pass::Pass;
use crate::conv::state::{State, Workspace};
use crate::conv::tape::{ImageTape, RecordedLayers, SegmentStart};
use crate::geometry::{Geometry, Strip};
use crate::real::Real;
use crate::sparse::Sparse;
use crate::vector::{Negate, add};

/// A layer of an image.
#[derive(Clone, Copy)]
struct Layer<'a, T> {
    /// Number of the layer.
    t: usize,
    x: Image<'a, T>,
    /// Number of the image in the batch.
    i: usize,
    /// Whether the values of the next code are needed in sparse form.
    values: bool,
}

/// A strip in a layer.
struct StripTask<'a, T> {
    /// Number of the strip.
    k: usize,
    code: &'a mut Aligned<T>,
    previous: &'a mut [T],
    /// The sum of all residuals, if atoms are linear.
    total: &'a mut [T],
    workspace: &'a mut Workspace<T>,
    /// Receives `D z_{t+1}`.
    synthesis: &'a mut Aligned<T>,
    /// Receives `z_{t+1}`.
    sparse: &'a mut Sparse<T>,
    /// Receives the first rows of the residual, as many as it holds.
    residual: &'a mut [T],
}

impl<T: Real> Pass<T> {
    /// Runs image `i` of the batch through all layers, and records what the backward pass needs if
    /// `record` is set. The tape does not hold the image yet. What `state` holds before does not count;
    /// afterwards, it is that behind the last layer.
    pub fn forward(
        &self,
        state: &mut State<T>,
        x: Image<'_, T>,
        i: usize,
        record: bool,
    ) -> Option<ImageTape<T>> {
        let schedule = &self.schedule;
        self.reset(state);
        if !record {
            self.run(state, x, i, 0..schedule.layers, None);
            return None;
        }
        self.run(state, x, i, 0..schedule.first_recorded(), None);
        let mut layers = (!schedule.recompute).then(RecordedLayers::default);
        let mut starts = Vec::new();
        for segment in schedule.segments() {
            let extrapolates = schedule.extrapolates();
            let previous = if extrapolates { state.previous.clone() } else { Vec::new() };
            starts.push(SegmentStart { code: state.code.clone(), previous });
            self.run(state, x, i, segment, layers.as_mut());
        }
        let code = state.code.clone();
        Some(ImageTape { x: Vec::new(), code, starts, layers })
    }

    /// Runs `layers` on image `i` of the batch, and records them if `recorded` is given.
    pub fn run(
        &self,
        state: &mut State<T>,
        x: Image<'_, T>,
        i: usize,
        layers: Range<usize>,
        mut recorded: Option<&mut RecordedLayers<T>>,
    ) {
        let extrapolates = self.schedule.extrapolates();
        let end = layers.end;
        for t in layers {
            let with_residual = recorded.is_some() && t > 0;
            let length = if with_residual { self.geometry.pixels() } else { 0 };
            let mut residual = vec![T::ZERO; length];
            let mut next = take(&mut state.previous);
            if next.is_empty() {
                next = state.code.iter().map(|_| Sparse::new(self.padded_atoms())).collect();
                next.iter_mut().zip(&state.code).for_each(|(next, code)| next.reserve(code));
            }
            // Values are needed of recorded codes, at the start of a segment, and at the end.
            let values = recorded.is_some() || t + 1 >= end || (t + 2 == end && extrapolates);
            self.layer(state, Layer { t, x, i, values }, &mut residual, &mut next);
            let code = replace(&mut state.code, next);
            match recorded.as_deref_mut() {
                None => state.previous = code,
                Some(recorded) => {
                    state.previous = if extrapolates { code.clone() } else { Vec::new() };
                    recorded.codes.push(code);
                    recorded.residuals.push(residual);
                }
            }
        }
        if let Some(recorded) = recorded {
            recorded.codes.push(state.code.clone());
        }
    }

    /// Runs one layer. Writes its residual `D y_t − x` to `residual`, unless this is empty, and `z_{t+1}`
    /// to `next`.
    fn layer(
        &self,
        state: &mut State<T>,
        layer: Layer<'_, T>,
        residual: &mut [T],
        next: &mut [Sparse<T>],
    ) {
        let Layer { t, x, i, values } = layer;
        let momentum = T::from_f64(self.schedule.weight(t));
        let levels = self.levels.of(t, i);
        let (new, past) = state.syntheses.split_last_mut().expect("two syntheses or three");
        let mut tasks = Vec::with_capacity(self.strips.len());
        let mut rest = residual;
        let mut previous = state.dense_previous.iter_mut();
        let mut totals = state.totals.iter_mut();
        for (k, (((code, workspace), synthesis), sparse)) in
            state.dense.iter_mut().zip(&mut state.workspaces).zip(new).zip(next).enumerate()
        {
            let owned = (self.strips[k].owned * self.geometry.pitch()).min(rest.len());
            let (residual, later) = rest.split_at_mut(owned);
            rest = later;
            let previous = previous.next().map(|codes| &mut **codes).unwrap_or_default();
            let total = totals.next().map(|total| &mut **total).unwrap_or_default();
            tasks.push(StripTask {
                k,
                code,
                previous,
                total,
                workspace,
                synthesis,
                sparse,
                residual,
            });
        }
        let past = &*past;
        // The decoder follows the last layer.
        let filters = match t + 1 == self.schedule.layers {
            true => self.banks.for_decoder(),
            false => &self.banks.synthesis,
        };
        for_each(self.split_images, tasks, |task: StripTask<'_, T>| {
            let StripTask { k, code, previous, total, workspace, synthesis, sparse, residual } =
                task;
            let Workspace { residual: window, scratch } = workspace;
            let strip = &self.strips[k];
            self.write_negative(strip, x, window);
            if t > 0 {
                self.assemble(k, T::ONE + momentum, &past[0], window);
                if momentum != T::ZERO {
                    self.assemble(k, -momentum, &past[1], window);
                }
            }
            residual.copy_from_slice(&window[..residual.len()]);
            let bases = self.bases(strip);
            let mut step = |atoms, window: &[T]| {
                self.arch.dispatch(ProximalStep {
                    filters: self.banks.for_analysis(),
                    atoms,
                    bases,
                    window,
                    step: self.step,
                    levels,
                    shrinkage: self.schedule.shrinkage,
                    momentum,
                    previous,
                    code,
                });
            };
            let mut linear_atoms = None;
            if let Some(linear) = &self.linear {
                let leaving = linear.leaving(t);
                step(0..leaving.start, window);
                let square = linear.square(t);
                if square.is_some() || !leaving.is_empty() {
                    add(self.arch, window, total);
                    step(leaving, total);
                }
                linear_atoms =
                    square.map(|square| LinearAtoms { square, total, factor: -self.step });
            } else {
                step(0..self.padded_atoms(), window);
            }
            self.arch.dispatch(Synthesis {
                arch: self.arch,
                filters,
                bases,
                code,
                sparse,
                values,
                linear: linear_atoms,
                window: synthesis,
                scratch,
            });
        });
        state.syntheses.rotate_right(1);
    }

    /// Writes `−x` to the window of a strip.
    fn write_negative(&self, strip: &Strip, x: Image<'_, T>, window: &mut [T]) {
        let Geometry { channels, width, .. } = self.geometry;
        for (k, row) in window.chunks_exact_mut(width).enumerate() {
            let x = x.row(strip.top + k / channels, k % channels, channels, width);
            self.arch.dispatch(Negate { from: x, to: row });
        }
    }

    /// Passes `D z_t` to `write` in parts: the number of a first row, and rows `[·, C, W]` from there on.
    pub fn decode(&self, state: &State<T>, mut write: impl FnMut(usize, &[T])) {
        let pitch = self.geometry.pitch();
        for (k, strip) in self.strips.iter().enumerate() {
            let mut rows = zeros(strip.window * pitch);
            self.assemble(k, T::ONE, &state.syntheses[0], &mut rows);
            write(strip.top, &rows[..strip.owned * pitch]);
        }
    }
}
