//! The pass on GPUs: kernels in CubeCL, which `wgpu` and `cuda` compile from one source.
//!
//! A layer forward is two launches: `residual` makes `D y − x`, and `update` correlates it with the atoms, moves the code
//! and applies the proximal operator. A layer backward is three: `response` makes `A u`, `outer` adds to the gradients of
//! the banks, and `step_back` moves the gradient to the code before. Levels with a gradient take one more, `level_sums`.
//! Nothing is read back to the host.
//!
//! Kernels compute in `f32` or `f64`, as the tensors of the pass say. A pass of filters without a tape can store codes, residuals and banks
//! between launches as `f16`. A matrix has a pass of its own, `matrix`, with the products of Burn.

// The hot kernels run without checks of their indices, which would cost more than their arithmetic. Their indices are in range for
// any input: a unit whose place is not in the batch, or whose tap or pixel there is not, does nothing; what is read of an image
// belongs to a position, which `Geometry::positions` keeps inside; and `Layout` sizes the arrays. Tests on sizes that blocks, vectors and
// parts do not divide hold this, on a driver that checks.
mod analysis;
mod backward;
mod forward;
mod gradients;
mod layout;
mod matrix;
mod numbers;
mod outer;
mod pack;
mod pass;
mod shape;
mod synthesis;
mod tape;

use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use crate::encoder::Wanted;
use crate::op::border::{NetworkGradients, TapedBackend, UnrolledBackend};
use crate::op::cube::matrix::{MatrixPass, MatrixTape};
use crate::op::cube::pass::{Inputs, Pass};
use crate::op::cube::tape::Tape;
use crate::plan::Plan;
use crate::settings::Problem;

/// The tape of a pass on a GPU. Its tensors stay on the device.
#[derive(Debug)]
pub struct CubeTape(Kind);

/// A tape by the kind of the dictionary.
#[derive(Debug)]
enum Kind {
    Filters(Box<Tape>),
    Matrix(Box<MatrixTape>),
}

/// Runs a pass, and records it if `record` is set.
fn run(inputs: Inputs, plan: Plan, record: bool) -> (CubeTensor, Option<CubeTape>) {
    match plan.problem {
        Problem::Dense { .. } => {
            let (output, tape) = MatrixPass::new(inputs, plan, record).forward(record);
            (output, tape.map(|tape| CubeTape(Kind::Matrix(Box::new(tape)))))
        }
        Problem::Conv(geometry) => {
            let (output, tape) = Pass::new(inputs, geometry, plan, record).forward(record);
            (output, tape.map(|tape| CubeTape(Kind::Filters(Box::new(tape)))))
        }
    }
}

impl UnrolledBackend for CubeBackend {
    fn unrolled(
        x: CubeTensor,
        analysis: CubeTensor,
        synthesis: CubeTensor,
        decoder: CubeTensor,
        step: CubeTensor,
        levels: CubeTensor,
        plan: Plan,
    ) -> CubeTensor {
        let banks = plan.tying.banks(analysis, synthesis, decoder);
        run(Inputs::new(x, banks, step, levels), plan, false).0
    }
}

impl TapedBackend for CubeBackend {
    type Tape = CubeTape;

    fn unrolled_taped(
        x: CubeTensor,
        analysis: CubeTensor,
        synthesis: CubeTensor,
        decoder: CubeTensor,
        step: CubeTensor,
        levels: CubeTensor,
        plan: Plan,
    ) -> (CubeTensor, CubeTape) {
        let banks = plan.tying.banks(analysis, synthesis, decoder);
        let (output, tape) = run(Inputs::new(x, banks, step, levels), plan, true);
        (output, tape.expect("a recorded pass has a tape"))
    }

    fn unrolled_backward(
        gradient: CubeTensor,
        tape: &CubeTape,
        plan: Plan,
        wanted: Wanted,
    ) -> NetworkGradients<CubeBackend> {
        match &tape.0 {
            Kind::Filters(tape) => tape.backward(gradient, plan.tying, wanted),
            Kind::Matrix(tape) => tape.backward(gradient, wanted),
        }
    }
}
