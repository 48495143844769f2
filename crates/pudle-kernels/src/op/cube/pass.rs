//! A pass over the tensors of a device: its memory and its launches.

#![expect(unsafe_code, reason = "launches without checks of indices")]

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::client::Client;
use cubecl::prelude::*;

use crate::banks::Banks;
use crate::geometry::Geometry;
use crate::op::cube::layout::{Layout, WIDEST};
use crate::op::cube::numbers::Numbers;
use crate::op::cube::pack::{export_codes, pack_blocks, pack_levels, pack_taps};
use crate::op::cube::shape::{ExtentLaunch, TILE};
use crate::op::cube::synthesis::decode;
use crate::plan::Plan;
use crate::schedule::Schedule;

/// Units of a cube.
const UNITS: u32 = 64;

/// The most cubes along an axis of the grid that every device takes.
const CUBES: usize = 65_535;

/// The inputs of a pass, contiguous.
#[derive(Clone)]
pub(super) struct Inputs {
    pub x: CubeTensor,
    pub banks: Banks<CubeTensor>,
    /// `[1]`.
    pub step: CubeTensor,
    /// `[T or 1, b or 1, p or 1]`.
    pub levels: CubeTensor,
}

/// A pass: its inputs, and the banks and levels in the order of the kernels.
#[derive(Clone)]
pub(super) struct Pass {
    pub layout: Layout,
    pub schedule: Schedule,
    pub inputs: Inputs,
    /// `A`, by taps.
    pub analysis: CubeTensor,
    /// `D`, by blocks.
    pub synthesis: CubeTensor,
    /// The decoder's bank, by blocks.
    pub decoder: CubeTensor,
    /// `[T or 1, b or 1, padded p]`.
    pub levels: CubeTensor,
    /// A vector of numbers, for arguments that a kernel does not use.
    pub spare: CubeTensor,
    /// The data as the kernels store images.
    pub image: CubeTensor,
    /// The numbers that kernels compute with and store.
    pub numbers: Numbers,
    device: CubeDevice,
}

impl Inputs {
    /// The inputs that `plan` counts.
    pub fn new(
        x: CubeTensor,
        banks: Banks<CubeTensor>,
        step: CubeTensor,
        levels: CubeTensor,
    ) -> Self {
        Self {
            x: into_contiguous(x),
            banks: banks.map(into_contiguous),
            step: into_contiguous(step),
            levels: into_contiguous(levels),
        }
    }
}

impl Pass {
    /// A pass. `record` says whether it leaves a tape, which has no numbers of 16 bits.
    pub fn new(inputs: Inputs, geometry: Geometry, plan: Plan, record: bool) -> Self {
        let layout = Layout::new(geometry, inputs.x.shape()[0]);
        let device = inputs.x.device.clone();
        let numbers = Numbers::new(inputs.x.dtype, plan.unrolling.half && !record);
        let spare = empty(&device, WIDEST, numbers.stored);
        let image = match numbers.stored == numbers.tensors {
            true => inputs.x.clone(),
            false => CubeBackend::float_cast(inputs.x.clone(), FloatDType::F16),
        };
        let mut pass = Self {
            layout,
            schedule: Schedule::new(plan.unrolling),
            analysis: spare.clone(),
            synthesis: spare.clone(),
            decoder: spare.clone(),
            levels: spare.clone(),
            spare,
            image: into_contiguous(image),
            numbers,
            inputs,
            device,
        };
        pass.analysis = pass.by_taps(pass.inputs.banks.for_analysis());
        pass.synthesis = pass.by_blocks(&pass.inputs.banks.synthesis);
        pass.decoder = match &pass.inputs.banks.decoder {
            Some(decoder) => pass.by_blocks(decoder),
            None => pass.synthesis.clone(),
        };
        pass.levels = packed_levels(&pass.inputs, pass.layout.atoms, pass.layout.padded_atoms());
        pass
    }

    pub fn client(&self) -> &Client {
        &self.inputs.x.client
    }

    /// Memory for `count` numbers of the arithmetic, not set to anything.
    pub fn empty(&self, count: usize) -> CubeTensor {
        empty(&self.device, count, self.numbers.tensors)
    }

    /// Memory for `count` numbers between launches, not set to anything.
    fn empty_stored(&self, count: usize) -> CubeTensor {
        empty(&self.device, count, self.numbers.stored)
    }

    /// Memory for the codes of the batch.
    pub fn empty_codes(&self) -> CubeTensor {
        self.empty_stored(self.layout.codes())
    }

    /// Memory for images of the batch.
    pub fn empty_images(&self) -> CubeTensor {
        self.empty_stored(self.layout.pixels())
    }

    /// Sizes of the arrays of a kernel.
    pub fn extent(&self) -> ExtentLaunch {
        let Layout { batch, image, positions, .. } = self.layout;
        let vectors = self.layout.code_vectors();
        ExtentLaunch::new(batch, image[0], image[1], positions[0], positions[1], vectors)
    }

    /// A grid whose units have `TILE` vectors of codes each.
    pub fn grid_of_codes(&self) -> (CubeCount, CubeDim) {
        let places = self.layout.batch * self.layout.places();
        grid(places.div_ceil(TILE), self.layout.code_vectors())
    }

    /// A grid whose units have vectors of `TILE` blocks of pixels each.
    pub fn grid_of_blocks(&self) -> (CubeCount, CubeDim) {
        let [rows, columns] = self.layout.blocks();
        let blocks = self.layout.batch * rows * columns;
        grid(blocks.div_ceil(TILE), self.layout.block_vectors())
    }

    /// Shape of the levels.
    pub fn level_shape(&self) -> [usize; 3] {
        self.inputs.levels.shape().dims()
    }

    /// A bank by taps, for an analysis.
    pub fn by_taps(&self, bank: &CubeTensor) -> CubeTensor {
        let layout = &self.layout;
        let (padded, taps) = (layout.padded_atoms(), layout.filters.taps());
        let out = self.empty_stored(taps * padded);
        let (cubes, dim) = grid(taps * padded, 1);
        pack_taps::launch(
            self.client(),
            cubes,
            dim,
            argument(bank),
            argument(&out),
            layout.atoms,
            padded,
            self.numbers.types(),
        );
        out
    }

    /// A bank by the pixels of a block, for a synthesis.
    pub fn by_blocks(&self, bank: &CubeTensor) -> CubeTensor {
        let layout = &self.layout;
        let [high, wide] = layout.filters.reach();
        let count = high * wide * layout.padded_atoms() * layout.padded_block();
        let out = self.empty_stored(count);
        let (cubes, dim) = grid(count, 1);
        pack_blocks::launch(
            self.client(),
            cubes,
            dim,
            argument(bank),
            argument(&out),
            layout.atoms,
            layout.padded_atoms(),
            layout.padded_block(),
            layout.filters,
            self.numbers.types(),
        );
        out
    }

    /// The codes and the reconstructions, one after the other.
    pub fn output(&self, code: &CubeTensor) -> CubeTensor {
        let layout = &self.layout;
        let codes = layout.batch * layout.places() * layout.atoms;
        let out = self.empty(codes + layout.pixels());
        let (cubes, dim) = grid(codes, 1);
        export_codes::launch(
            self.client(),
            cubes,
            dim,
            argument(code),
            argument(&out),
            codes,
            layout.atoms,
            layout.padded_atoms(),
            layout.places(),
            self.numbers.types(),
        );
        let (cubes, dim) = self.grid_of_blocks();
        // SAFETY: indices stay in range, as `mod.rs` says.
        unsafe {
            decode::launch_unchecked(
                self.client(),
                cubes,
                dim,
                layout.code_width,
                layout.block_width,
                argument(code),
                argument(&self.decoder),
                argument(&out),
                self.extent(),
                codes,
                layout.filters,
                self.numbers.types(),
            );
        }
        out
    }
}

/// The levels by atoms, `[T or 1, b or 1, padded atoms]`.
pub(super) fn packed_levels(inputs: &Inputs, atoms: usize, padded: usize) -> CubeTensor {
    let [layers, data, given] = inputs.levels.shape().dims();
    let numbers = Numbers::new(inputs.x.dtype, false);
    let out = empty(&inputs.x.device, layers * data * padded, numbers.tensors);
    let (cubes, dim) = grid(layers * data * padded, 1);
    pack_levels::launch(
        &inputs.x.client,
        cubes,
        dim,
        argument(&inputs.levels),
        argument(&out),
        atoms,
        padded,
        given,
        numbers.arithmetic(),
    );
    out
}

/// A tensor as an argument of a kernel, which reads or writes it.
pub(super) fn argument(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().into_buffer_arg()
}

/// A grid with `count` units along the x and z axes, and `vectors` cubes along the y axis.
pub(super) fn grid(count: usize, vectors: usize) -> (CubeCount, CubeDim) {
    let cubes = count.div_ceil(UNITS as usize).max(1);
    let across = cubes.min(CUBES);
    let deep = cubes.div_ceil(across);
    let count = CubeCount::Static(across as u32, vectors as u32, deep as u32);
    (count, CubeDim::new_1d(UNITS))
}

/// Memory for `count` numbers, not set to anything.
pub(super) fn empty(device: &CubeDevice, count: usize, dtype: DType) -> CubeTensor {
    let shape = Shape::new([count]);
    empty_device_contiguous_dtype(device.client(), device.clone(), shape, dtype)
}
