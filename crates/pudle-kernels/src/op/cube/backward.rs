//! The layers of a pass, backward: three launches each, and one more for the gradient of the levels.
//!
//! The formulas are those of the pass on the CPU (`conv/backward.rs`). Here, `u_t` is kept for all codes, with zeros off the
//! support of `z_{t+1}`. The gradient of the step size needs no sum of its own:
//! `Σ ⟨A u_t, r_t⟩ = ⟨A, Σ r_t ⊗ u_t⟩`, and the second sum is a part of the gradient of `A`.

#![expect(unsafe_code, reason = "launches without checks of indices")]

use std::mem::replace;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::banks::Tying;
use crate::encoder::Wanted;
use crate::op::border::NetworkGradients;
use crate::op::cube::analysis::{start_back, step_back};
use crate::op::cube::outer::{Products, level_sums, outer};
use crate::op::cube::pass::{Pass, argument, grid};
use crate::op::cube::shape::TILE;
use crate::op::cube::synthesis::response;
use crate::op::cube::tape::{Layers, State, Tape};
use crate::settings::Shrinkage;

/// Least positions of a part of a sum over positions, if there are as many.
const ROWS: usize = 64;

/// Most parts of a sum over positions.
const PARTS: usize = 128;

/// Most numbers of the parts of the banks' gradients, unless one part has more.
const NUMBERS: usize = 1 << 24;

/// Positions of a part of the gradient of the levels.
const CHUNK: usize = 32;

/// Most units of a cube of `outer`.
const UNITS: usize = 32;

/// The gradients that the layers add to.
pub(super) struct Work {
    /// The gradient in `z_{t+1}`, on its support.
    u: CubeTensor,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`.
    carried: CubeTensor,
    /// The parts of the layers' products, `[parts, 2, taps, padded atoms]`.
    pub layers: CubeTensor,
    /// The gradient of the data.
    pub data: CubeTensor,
    /// The parts of the gradient of the levels, `[T or 1, b, chunks, padded atoms]`.
    pub levels: CubeTensor,
    /// Whether no layer has added to them.
    fresh: bool,
}

/// A layer to take back.
struct Layer<'a> {
    t: usize,
    /// `z_{t+1}`.
    next: &'a CubeTensor,
    /// `z_t` and `z_{t−1}`.
    state: &'a State,
    /// `r_t`; `None` for layer 0.
    residual: Option<&'a CubeTensor>,
}

impl Tape {
    /// The gradients of the inputs from `gradient`, that of the output.
    pub(super) fn backward(
        &self,
        gradient: CubeTensor,
        tying: Tying,
        wanted: Wanted,
    ) -> NetworkGradients<CubeBackend> {
        let pass = &self.pass;
        let gradient = into_contiguous(gradient);
        let decoder = pass.decoder_products(&gradient, &self.code);
        if pass.schedule.recorded == 0 {
            return pass.gradients(None, &decoder, tying, wanted);
        }
        // D, for the gradients in the codes. A tied bank has it for the analysis.
        let weights = match &pass.inputs.banks.analysis {
            Some(_) => pass.by_taps(&pass.inputs.banks.synthesis),
            None => pass.analysis.clone(),
        };
        // A, for the responses.
        let analysis = match &pass.inputs.banks.analysis {
            Some(analysis) => pass.by_blocks(analysis),
            None => pass.synthesis.clone(),
        };
        let mut work = pass.work(&gradient, &self.code, wanted);
        let segments = pass.schedule.segments();
        for (segment, start) in segments.into_iter().zip(&self.starts).rev() {
            let mut again = Layers::default();
            let layers = self.layers.as_ref().unwrap_or_else(|| {
                pass.run(&mut start.clone(), segment.clone(), Some(&mut again));
                &again
            });
            // Stored layers are one segment, and so both kinds count from the start of it.
            for t in segment.clone().rev() {
                let k = t - segment.start;
                let state = layers.state(k, start, pass.schedule.extrapolates());
                let (next, residual) = (&layers.codes[k], layers.residuals[k].as_ref());
                let layer = Layer { t, next, state: &state, residual };
                pass.back(&mut work, &layer, &analysis, &weights, wanted);
            }
        }
        pass.gradients(Some(&work), &decoder, tying, wanted)
    }
}

impl Layers {
    /// `z_t` and `z_{t−1}` of layer `k` of a segment that starts with `start`.
    fn state(&self, k: usize, start: &State, extrapolates: bool) -> State {
        if k == 0 {
            return start.clone();
        }
        let previous = match k {
            1 => start.code.clone(),
            _ => Some(self.codes[k - 2].clone()),
        };
        State { code: Some(self.codes[k - 1].clone()), previous: previous.filter(|_| extrapolates) }
    }
}

impl Pass {
    /// Parts of the sums over positions, and positions of each.
    pub fn parts(&self) -> [usize; 2] {
        let places = self.layout.batch * self.layout.places();
        let size = 2 * self.layout.filters.taps() * self.layout.padded_atoms();
        let most = PARTS.min(NUMBERS / size).max(1);
        let rows = places.div_ceil(most).max(ROWS);
        [places.div_ceil(rows), rows]
    }

    /// Parts of a datum's sums for the gradient of the levels.
    pub fn chunks(&self) -> usize {
        self.layout.places().div_ceil(CHUNK)
    }

    /// The grid of `outer`, for one product or two.
    fn grid_of_parts(&self, products: usize) -> (CubeCount, CubeDim) {
        let [parts, _] = self.parts();
        let units = self.layout.filters.taps().div_ceil(TILE);
        let cubes = units.div_ceil(UNITS);
        let dim = units.div_ceil(cubes);
        let vectors = self.layout.code_vectors();
        let count = CubeCount::Static(cubes as u32, vectors as u32, (products * parts) as u32);
        (count, CubeDim::new_1d(dim as u32))
    }

    /// The parts of the decoder's product, `[parts, taps, padded atoms]`.
    fn decoder_products(&self, gradient: &CubeTensor, code: &CubeTensor) -> CubeTensor {
        let [parts, rows] = self.parts();
        let size = self.layout.filters.taps() * self.layout.padded_atoms();
        let out = self.empty(parts * size);
        let products = Products { second: false, origin: false, extrapolates: false, fresh: true };
        let (cubes, dim) = self.grid_of_parts(1);
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            outer::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                argument(gradient),
                argument(code),
                argument(&self.spare),
                argument(&self.spare),
                argument(&self.spare),
                argument(&out),
                self.extent(),
                1.0,
                self.numbers.scalar(0.0),
                gradient.shape().num_elements() - self.layout.pixels(),
                rows,
                self.layout.filters,
                products,
                self.numbers.arithmetic(),
            );
        }
        out
    }

    /// The gradient in `z_T`, and memory for the layers.
    fn work(&self, gradient: &CubeTensor, code: &CubeTensor, wanted: Wanted) -> Work {
        let layout = &self.layout;
        let u = self.empty_codes();
        let decoder = match self.inputs.banks.iter().count() {
            // One bank for all.
            1 => self.analysis.clone(),
            _ => self.by_taps(self.inputs.banks.for_decoder()),
        };
        let (cubes, dim) = self.grid_of_codes();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            start_back::launch_unchecked(
                self.client(),
                cubes,
                dim,
                layout.code_width,
                argument(gradient),
                argument(&decoder),
                argument(code),
                argument(&u),
                self.extent(),
                layout.atoms,
                gradient.shape().num_elements() - layout.pixels(),
                layout.filters,
                self.numbers.arithmetic(),
            );
        }
        let [parts, _] = self.parts();
        let size = layout.filters.taps() * layout.padded_atoms();
        let [layers, _, _] = self.level_shape();
        let levels = layers * layout.batch * self.chunks() * layout.padded_atoms();
        let extrapolates = self.schedule.extrapolates();
        Work {
            u,
            carried: if extrapolates {
                self.zeros(Shape::new([layout.codes()]))
            } else {
                self.spare.clone()
            },
            layers: self.empty(2 * parts * size),
            data: if wanted.data { self.empty_images() } else { self.spare.clone() },
            levels: if self.sums_levels(wanted) {
                // Rows of layers that are not recorded stay zero.
                self.zeros(Shape::new([levels]))
            } else {
                self.spare.clone()
            },
            fresh: true,
        }
    }

    /// Whether the gradient of the levels is added up: that of a hard threshold is zero.
    pub fn sums_levels(&self, wanted: Wanted) -> bool {
        wanted.encoder && self.schedule.shrinkage != Shrinkage::Hard
    }

    /// A tensor of zeros.
    pub fn zeros(&self, shape: Shape) -> CubeTensor {
        let device = self.inputs.x.device.clone();
        zeros_client(self.client().clone(), device, shape, self.numbers.tensors)
    }

    /// Takes a layer back.
    fn back(
        &self,
        work: &mut Work,
        layer: &Layer<'_>,
        analysis: &CubeTensor,
        weights: &CubeTensor,
        wanted: Wanted,
    ) {
        let &Layer { t, next, state, .. } = layer;
        let fresh = replace(&mut work.fresh, false);
        let w = self.response(work, analysis, wanted.data, fresh);
        self.add_products(work, layer, &w, fresh);
        if self.sums_levels(wanted) {
            self.add_levels(work, next, t);
        }
        if t > self.schedule.first_recorded() {
            self.step_back(work, state, t, &w, weights);
        }
    }

    /// `w = A u`.
    fn response(&self, work: &Work, analysis: &CubeTensor, data: bool, fresh: bool) -> CubeTensor {
        let out = self.empty_images();
        let (cubes, dim) = self.grid_of_blocks();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            response::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                self.layout.block_width,
                argument(&work.u),
                argument(analysis),
                argument(&self.inputs.step),
                argument(&out),
                argument(&work.data),
                self.extent(),
                self.layout.filters,
                data,
                fresh,
                self.numbers.arithmetic(),
            );
        }
        out
    }

    /// Adds `r_t ⊗ u_t` and `w_t ⊗ y_t`.
    fn add_products(&self, work: &Work, layer: &Layer<'_>, w: &CubeTensor, fresh: bool) {
        let (momentum, code, previous) = match &layer.state.code {
            Some(code) => {
                let (momentum, previous) = self.momentum(layer.state, layer.t);
                (momentum, code, previous)
            }
            None => (0.0, &self.spare, &self.spare),
        };
        // The residual of layer 0 is −x.
        let (image, sign) = match layer.residual {
            Some(residual) => (residual, 1.0),
            None => (&self.inputs.x, -1.0),
        };
        let products = Products {
            second: true,
            origin: layer.state.code.is_none(),
            extrapolates: momentum != 0.0,
            fresh,
        };
        let [_, rows] = self.parts();
        let (cubes, dim) = self.grid_of_parts(2);
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            outer::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                argument(image),
                argument(&work.u),
                argument(w),
                argument(code),
                argument(previous),
                argument(&work.layers),
                self.extent(),
                sign,
                self.numbers.scalar(momentum),
                0,
                rows,
                self.layout.filters,
                products,
                self.numbers.arithmetic(),
            );
        }
    }

    /// Adds the gradient of the levels of layer `t`.
    fn add_levels(&self, work: &Work, next: &CubeTensor, t: usize) {
        let [layers, _, _] = self.level_shape();
        let (cubes, dim) = grid(self.layout.batch * self.chunks(), self.layout.code_vectors());
        level_sums::launch(
            self.client(),
            cubes,
            dim,
            self.layout.code_width,
            argument(&work.u),
            argument(next),
            argument(&work.levels),
            self.extent(),
            t.min(layers - 1),
            CHUNK,
            self.numbers.arithmetic(),
        );
    }

    /// From the gradient in `z_{t+1}` to that in `z_t`.
    fn step_back(
        &self,
        work: &Work,
        state: &State,
        t: usize,
        w: &CubeTensor,
        weights: &CubeTensor,
    ) {
        let code = state.code.as_ref().expect("a layer after the first recorded one has a code");
        let (cubes, dim) = self.grid_of_codes();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            step_back::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.layout.code_width,
                argument(w),
                argument(weights),
                argument(code),
                argument(&self.inputs.step),
                argument(&work.u),
                argument(&work.carried),
                self.extent(),
                self.numbers.scalar(self.schedule.weight(t)),
                self.layout.filters,
                self.schedule.extrapolates(),
                self.numbers.arithmetic(),
            );
        }
    }
}
