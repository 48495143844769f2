//! The state of an image between two layers.

use crate::aligned::{Aligned, zeros};
use crate::conv::kernels::{Scratch, Synthesis};
use crate::conv::parallel::for_each;
use crate::conv::pass::Pass;
use crate::conv::tape::SegmentStart;
use crate::real::Real;
use crate::sparse::Sparse;

/// The state of an image between two layers, one part per strip.
pub(crate) struct State<T> {
    /// Code `z_t`, `[positions, padded atoms]`.
    pub dense: Vec<Aligned<T>>,
    /// Code `z_{t−1}`, as `dense`; empty if no layer extrapolates.
    pub dense_previous: Vec<Aligned<T>>,
    /// `D z_t`, then `D z_{t−1}` if layers extrapolate, and memory for the next one.
    pub syntheses: Vec<Vec<Aligned<T>>>,
    /// Sums of the residuals of all layers before, if atoms are linear.
    pub totals: Vec<Aligned<T>>,
    pub workspaces: Vec<Workspace<T>>,
    /// `z_t`.
    pub code: Vec<Sparse<T>>,
    /// `z_{t−1}` if layers extrapolate. Otherwise this is memory for the next code, or empty.
    pub previous: Vec<Sparse<T>>,
}

/// Memory that the layers of a strip work in.
pub(crate) struct Workspace<T> {
    /// The window of the residual.
    pub residual: Aligned<T>,
    pub scratch: Scratch<T>,
}

/// A strip whose codes are restored.
struct StripTask<'a, T> {
    /// Number of the strip.
    k: usize,
    sparse: &'a Sparse<T>,
    /// Receives the code.
    dense: &'a mut Aligned<T>,
    /// Receives the synthesis of the code.
    window: &'a mut Aligned<T>,
    scratch: &'a mut Scratch<T>,
}

impl<T: Real> Pass<T> {
    /// The state before layer 0, `z_0 = 0`.
    pub fn start(&self) -> State<T> {
        let extrapolates = self.schedule.extrapolates();
        State {
            dense: self.dense_codes(),
            dense_previous: if extrapolates { self.dense_codes() } else { Vec::new() },
            syntheses: (0..if extrapolates { 3 } else { 2 }).map(|_| self.windows()).collect(),
            totals: if self.linear.is_some() { self.windows() } else { Vec::new() },
            workspaces: self.each_strip(|strip| Workspace {
                residual: zeros(strip.window * self.geometry.pitch()),
                scratch: Scratch::new(&self.banks.synthesis),
            }),
            code: self.sparse_codes(),
            previous: if extrapolates { self.sparse_codes() } else { Vec::new() },
        }
    }

    /// Sets a state to that before layer 0.
    pub fn reset(&self, state: &mut State<T>) {
        state.dense.iter_mut().chain(&mut state.dense_previous).for_each(|code| code.fill(T::ZERO));
        state.totals.iter_mut().for_each(|total| total.fill(T::ZERO));
        state.code = self.sparse_codes();
        state.previous =
            if state.dense_previous.is_empty() { Vec::new() } else { self.sparse_codes() };
    }

    /// Sets a state to that before a segment of layers.
    pub fn restore(&self, state: &mut State<T>, start: &SegmentStart<T>) {
        let State { dense, dense_previous, syntheses, workspaces, .. } = state;
        self.restore_code(&start.code, dense, &mut syntheses[0], workspaces);
        state.code = start.code.clone();
        if self.schedule.extrapolates() {
            self.restore_code(&start.previous, dense_previous, &mut syntheses[1], workspaces);
            state.previous = start.previous.clone();
        } else {
            state.previous = Vec::new();
        }
    }

    fn restore_code(
        &self,
        code: &[Sparse<T>],
        dense: &mut [Aligned<T>],
        windows: &mut [Aligned<T>],
        workspaces: &mut [Workspace<T>],
    ) {
        let strips = code.iter().zip(dense).zip(windows).zip(workspaces);
        let tasks = strips.enumerate().map(|(k, (((sparse, dense), window), workspace))| {
            StripTask { k, sparse, dense, window, scratch: &mut workspace.scratch }
        });
        for_each(self.split_images, tasks.collect(), |task: StripTask<'_, T>| {
            let StripTask { k, sparse, dense, window, scratch } = task;
            dense.fill(T::ZERO);
            sparse.expand(dense, self.padded_atoms());
            self.arch.dispatch(Synthesis {
                arch: self.arch,
                filters: &self.banks.synthesis,
                bases: self.bases(&self.strips[k]),
                code: dense,
                sparse: &mut Sparse::new(self.padded_atoms()),
                values: false,
                linear: None,
                window,
                scratch,
            });
        });
    }
}
