//! The layers of a pass: two launches each, the first layer one.

#![expect(unsafe_code, reason = "launches without checks of indices")]

use std::ops::Range;

use burn_cubecl::tensor::CubeTensor;

use crate::op::cube::analysis::update;
use crate::op::cube::pass::{Pass, argument};
use crate::op::cube::synthesis::residual;
use crate::op::cube::tape::{Layers, State, Tape};

impl Pass {
    /// Codes and reconstructions of the batch, and a tape if `record` is set.
    pub fn forward(self, record: bool) -> (CubeTensor, Option<Tape>) {
        let mut state = State::default();
        let (first, end) = (self.schedule.first_recorded(), self.schedule.layers);
        let mut starts = Vec::new();
        let mut layers = (record && !self.schedule.recompute).then(Layers::default);
        if record {
            self.run(&mut state, 0..first, None);
            for segment in self.schedule.segments() {
                starts.push(state.clone());
                self.run(&mut state, segment, layers.as_mut());
            }
        } else {
            self.run(&mut state, 0..end, None);
        }
        let code = state.code.expect("a pass has at least one layer");
        let output = self.output(&code);
        let tape = record.then(|| Tape { pass: self, code, starts, layers });
        (output, tape)
    }

    /// Runs `layers`, and records them if `recorded` is given.
    pub fn run(&self, state: &mut State, layers: Range<usize>, mut recorded: Option<&mut Layers>) {
        for t in layers {
            let residual = self.residual(state, t);
            let next = self.update(state, residual.as_ref(), t);
            if let Some(recorded) = recorded.as_deref_mut() {
                recorded.residuals.push(residual);
                recorded.codes.push(next.clone());
            }
            let code = state.code.replace(next);
            state.previous = code.filter(|_| self.schedule.extrapolates());
        }
    }

    /// `m_t`, and `z_{t−1}` if `m_t` is not zero. Otherwise this is any tensor of codes.
    pub fn momentum<'a>(&self, state: &'a State, t: usize) -> (f64, &'a CubeTensor) {
        let code = state.code.as_ref().expect("layers after the first one have a code");
        match (self.schedule.weight(t), &state.previous) {
            (weight, Some(previous)) if weight != 0.0 => (weight, previous),
            _ => (0.0, code),
        }
    }

    /// `D y_t − x`; `None` in layer 0, where it is `−x`.
    fn residual(&self, state: &State, t: usize) -> Option<CubeTensor> {
        let code = state.code.as_ref()?;
        let (momentum, previous) = self.momentum(state, t);
        let out = self.empty_images();
        let (cubes, dim) = self.grid_of_blocks();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            residual::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                self.layout.block_width,
                argument(code),
                argument(previous),
                argument(&self.synthesis),
                argument(&self.inputs.x),
                argument(&out),
                self.extent(),
                self.numbers.scalar(momentum),
                self.layout.filters,
                momentum != 0.0,
                self.numbers.types(),
            );
        }
        Some(out)
    }

    /// `z_{t+1}`.
    fn update(&self, state: &State, residual: Option<&CubeTensor>, t: usize) -> CubeTensor {
        let (momentum, code, previous) = match &state.code {
            Some(code) => {
                let (momentum, previous) = self.momentum(state, t);
                (momentum, code, previous)
            }
            None => (0.0, &self.spare, &self.spare),
        };
        let [layers, data, _] = self.level_shape();
        let out = self.empty_codes();
        let (cubes, dim) = self.grid_of_codes();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            update::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                argument(residual.unwrap_or(&self.image)),
                argument(&self.analysis),
                argument(code),
                argument(previous),
                argument(&self.levels),
                argument(&self.inputs.step),
                argument(&out),
                self.extent(),
                self.numbers.scalar(momentum),
                t.min(layers - 1) * data,
                usize::from(data > 1),
                self.layout.filters,
                self.schedule.shrinkage,
                state.code.is_none(),
                momentum != 0.0,
                self.numbers.types(),
            );
        }
        out
    }
}
