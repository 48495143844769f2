//! The layers of a pass through a matrix: a product and a launch each, the first layer a launch.

#![expect(unsafe_code, reason = "launches without checks of indices")]

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use crate::op::cube::matrix::kernels::descend;
use crate::op::cube::matrix::pass::{MatrixPass, multiply, reshaped, transposed};
use crate::op::cube::matrix::tape::{MatrixTape, State};
use crate::op::cube::pass::argument;

impl MatrixPass {
    /// Codes and reconstructions of the batch, one after the other, and a tape if `record` is set.
    pub fn forward(self, record: bool) -> (CubeTensor, Option<MatrixTape>) {
        let mut state = State::default();
        let (first, end) = (self.schedule.first_recorded(), self.schedule.layers);
        let mut starts = Vec::new();
        let mut codes = (record && !self.schedule.recompute).then(Vec::new);
        if record {
            self.run(&mut state, 0..first, None);
            for segment in self.schedule.segments() {
                starts.push(state.clone());
                self.run(&mut state, segment, codes.as_mut());
            }
        } else {
            self.run(&mut state, 0..end, None);
        }
        let code = state.code.expect("a pass has at least one layer");
        let image = multiply(code.clone(), transposed(self.dictionary()));
        let flat = |a, length| reshaped(a, [length]);
        let output = CubeBackend::float_cat(
            vec![flat(code.clone(), self.batch * self.atoms), flat(image, self.batch * self.dim)],
            0,
        );
        let tape = record.then(|| MatrixTape { pass: self, code, starts, codes });
        (output, tape)
    }

    /// Runs `layers`, and appends their codes `z_{t+1}` to `recorded` if it is given.
    pub(super) fn run(
        &self,
        state: &mut State,
        layers: Range<usize>,
        mut recorded: Option<&mut Vec<CubeTensor>>,
    ) {
        for t in layers {
            let point = state.point.take().or_else(|| state.code.clone());
            let (next, next_point) = self.layer(point, state.code.as_ref(), t);
            if let Some(recorded) = recorded.as_deref_mut() {
                recorded.push(next.clone());
            }
            let code = state.code.replace(next);
            state.previous = code.filter(|_| self.schedule.extrapolates());
            state.point = next_point;
        }
    }

    /// `z_{t+1}`, and `y_{t+1}` if it is another.
    fn layer(
        &self,
        point: Option<CubeTensor>,
        code: Option<&CubeTensor>,
        t: usize,
    ) -> (CubeTensor, Option<CubeTensor>) {
        let momentum = match t + 1 < self.schedule.layers {
            true => self.schedule.weight(t + 1),
            false => 0.0,
        };
        let products = match &point {
            Some(point) => self.product(point.clone()),
            None => self.spare.clone(),
        };
        let next = self.rows(self.batch);
        let next_point = (momentum != 0.0).then(|| self.rows(self.batch));
        let [level_row, level_stride] = self.level_row(t);
        let (cubes, dim) = self.grid();
        // SAFETY: a unit works on the vectors of one place, which all arrays that it reads or writes have, and on a row of the
        // levels that there is.
        unsafe {
            descend::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.width,
                argument(&products),
                argument(&self.correlations),
                argument(point.as_ref().unwrap_or(&self.spare)),
                argument(code.unwrap_or(&self.spare)),
                argument(&self.levels),
                argument(&self.inputs.step),
                argument(&next),
                argument(next_point.as_ref().unwrap_or(&self.spare)),
                self.atoms / self.width,
                self.numbers.scalar(momentum),
                level_row,
                level_stride,
                self.schedule.shrinkage,
                point.is_none(),
                momentum != 0.0,
                self.numbers.arithmetic(),
            );
        }
        (next, next_point)
    }
}
