//! The pass as one operation of Burn.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Graph;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, DispatchTensorKind, Flex, TensorMetadata,
    backend_extension,
};
use burn::tensor::{Bytes, DType, Element, Shape, Tensor, TensorData};

use crate::conv::{
    ConvTape, Encoder, Geometry, Gradients, Output, Wanted, conv_forward, conv_shifts,
};
use crate::dense::{DenseTape, dense_forward};
use crate::real::Real;
use crate::settings::{Problem, Schedule};

/// A pass between its forward and its backward half.
#[derive(Clone)]
pub struct Pass(Arc<Inner>);

struct Inner {
    problem: Problem,
    schedule: Schedule,
    /// How many numbers of the output are codes.
    codes: usize,
    /// Whether the forward half leaves a tape.
    record: bool,
    tape: Mutex<Option<Tape>>,
}

enum Tape {
    Dense32(DenseTape<f32>),
    Dense64(DenseTape<f64>),
    Conv32(ConvTape<f32>),
    Conv64(ConvTape<f64>),
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("problem", &self.0.problem)
            .field("schedule", &self.0.schedule)
            .finish_non_exhaustive()
    }
}

impl Pass {
    fn new(problem: Problem, schedule: Schedule, codes: usize, record: bool) -> Self {
        Self(Arc::new(Inner { problem, schedule, codes, record, tape: Mutex::new(None) }))
    }

    /// The same pass, which is to leave a tape, or not.
    fn recording(&self, record: bool) -> Self {
        Self::new(self.0.problem, self.0.schedule.clone(), self.0.codes, record)
    }

    fn leave(&self, tape: Tape) {
        *self.0.tape.lock().unwrap_or_else(PoisonError::into_inner) = Some(tape);
    }
}

/// A backend with the unrolled pass as one operation.
#[backend_extension(Flex, Autodiff)]
pub trait UnrolledBackend: Backend {
    /// Codes and reconstructions of a batch, one after the other in one tensor of rank 1.
    fn unrolled(
        x: FloatTensor<Self>,
        atoms: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        pass: Pass,
    ) -> FloatTensor<Self>;

    /// The gradients of atoms, data, step and levels, flat, from that of the output; one that is not
    /// wanted is empty.
    fn unrolled_backward(
        gradient: FloatTensor<Self>,
        pass: Pass,
        wanted: Wanted,
    ) -> Vec<FloatTensor<Self>>;
}

impl UnrolledBackend for Flex {
    fn unrolled(
        x: FlexTensor,
        atoms: FlexTensor,
        step: FlexTensor,
        levels: FlexTensor,
        pass: Pass,
    ) -> FlexTensor {
        match x.dtype() {
            DType::F64 => forward::<f64>([x, atoms, step, levels], &pass),
            _ => forward::<f32>([x, atoms, step, levels], &pass),
        }
    }

    fn unrolled_backward(gradient: FlexTensor, pass: Pass, wanted: Wanted) -> Vec<FlexTensor> {
        let tape = pass.0.tape.lock().unwrap_or_else(PoisonError::into_inner);
        match tape.as_ref().expect("a recorded pass has a tape") {
            Tape::Dense32(tape) => {
                backward(&gradient, &pass, wanted, |image, code| tape.backward(image, code, wanted))
            }
            Tape::Dense64(tape) => {
                backward(&gradient, &pass, wanted, |image, code| tape.backward(image, code, wanted))
            }
            Tape::Conv32(tape) => {
                backward(&gradient, &pass, wanted, |image, code| tape.backward(image, code, wanted))
            }
            Tape::Conv64(tape) => {
                backward(&gradient, &pass, wanted, |image, code| tape.backward(image, code, wanted))
            }
        }
    }
}

/// A number that Burn knows, with its tapes.
trait Kept: Real + Element {
    fn dense(tape: DenseTape<Self>) -> Tape;
    fn conv(tape: ConvTape<Self>) -> Tape;
}

impl Kept for f32 {
    fn dense(tape: DenseTape<f32>) -> Tape {
        Tape::Dense32(tape)
    }
    fn conv(tape: ConvTape<f32>) -> Tape {
        Tape::Conv32(tape)
    }
}

impl Kept for f64 {
    fn dense(tape: DenseTape<f64>) -> Tape {
        Tape::Dense64(tape)
    }
    fn conv(tape: ConvTape<f64>) -> Tape {
        Tape::Conv64(tape)
    }
}

fn tensor<T: Kept>(numbers: Vec<T>) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new([numbers.len()]));
    FlexTensor::new(Bytes::from_elems(numbers), layout, T::dtype())
}

fn forward<T: Kept>(inputs: [FlexTensor; 4], pass: &Pass) -> FlexTensor {
    let level_shape = inputs[3].shape().dims::<3>();
    let inputs = inputs.map(|input| input.to_contiguous());
    let [x, atoms, step, levels] = inputs.each_ref().map(FlexTensor::storage::<T>);
    let encoder = Encoder { atoms, step: step[0], levels, level_shape };
    let Inner { problem, schedule, record, .. } = &*pass.0;
    let Output { numbers, .. } = match *problem {
        Problem::Dense { dim } => {
            let (output, tape) = dense_forward(dim, x, encoder, schedule, *record);
            if let Some(tape) = tape {
                pass.leave(T::dense(tape));
            }
            output
        }
        Problem::Conv(geometry) => {
            let (output, tape) = conv_forward(geometry, x, encoder, schedule, *record);
            if let Some(tape) = tape {
                pass.leave(T::conv(tape));
            }
            output
        }
    };
    tensor(numbers)
}

fn backward<T: Kept>(
    gradient: &FlexTensor,
    pass: &Pass,
    wanted: Wanted,
    run: impl FnOnce(&[T], Option<&[T]>) -> Gradients<T>,
) -> Vec<FlexTensor> {
    let gradient = gradient.to_contiguous();
    let gradient: &[T] = gradient.storage();
    let (code, image) = gradient.split_at(pass.0.codes);
    let asked = code.iter().any(|entry| *entry != T::ZERO);
    let Gradients { atoms, data, levels, step } = run(image, asked.then_some(code));
    debug_assert_eq!(data.is_some(), wanted.data);
    let step = step.map(|step| vec![step]);
    vec![
        tensor(atoms),
        tensor(data.unwrap_or_default()),
        tensor(step.unwrap_or_default()),
        tensor(levels.unwrap_or_default()),
    ]
}

#[derive(Debug)]
struct Unrolled;

/// What the backward half of the operation needs: the pass, and the shapes of its four inputs.
type Kept4 = (Pass, [Shape; 4]);

impl<B: UnrolledBackend> Backward<B, 4> for Unrolled {
    type State = Kept4;

    fn backward(self, ops: Ops<Kept4, 4>, grads: &mut Graph, _: &mut Checkpointer) {
        let (pass, shapes) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [x, atoms, step, levels] = ops.parents;
        let wanted = Wanted { data: x.is_some(), encoder: step.is_some() || levels.is_some() };
        let gradients = B::unrolled_backward(gradient, pass, wanted);
        let [x_shape, atoms_shape, step_shape, levels_shape] = shapes;
        let inputs =
            [(atoms, atoms_shape), (x, x_shape), (step, step_shape), (levels, levels_shape)];
        for ((parent, shape), gradient) in inputs.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, B::float_reshape(gradient, shape));
            }
        }
    }
}

impl<B: UnrolledBackend, C: CheckpointStrategy> UnrolledBackend for Autodiff<B, C> {
    fn unrolled(
        x: FloatTensor<Self>,
        atoms: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        pass: Pass,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (atoms, atoms_node)) = (x.into_parts(), atoms.into_parts());
        let ((step, step_node), (levels, levels_node)) = (step.into_parts(), levels.into_parts());
        let shapes = [x.shape(), atoms.shape(), step.shape(), levels.shape()];
        let nodes = [x_node, atoms_node, step_node, levels_node];
        match Unrolled.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let pass = pass.recording(true);
                let output = B::unrolled(x, atoms, step, levels, pass.clone());
                prepared.finish((pass, shapes), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::unrolled(x, atoms, step, levels, pass.recording(false)))
            }
        }
    }

    fn unrolled_backward(
        gradient: FloatTensor<Self>,
        pass: Pass,
        wanted: Wanted,
    ) -> Vec<FloatTensor<Self>> {
        // Not recorded: gradients of gradients are not to be had.
        let gradients = B::unrolled_backward(gradient.into_primitive(), pass, wanted);
        gradients.into_iter().map(Self::from_inner).collect()
    }
}

/// Whether the pass runs on the backend of `tensor`, as one operation.
pub fn supports<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn flex(kind: &DispatchTensorKind) -> bool {
        match kind {
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => flex(inner),
            #[allow(unreachable_patterns, reason = "other backends are cargo features")]
            _ => false,
        }
    }
    matches!(tensor.dtype(), DType::F32 | DType::F64) && flex(&tensor.clone().into_dispatch().kind)
}

/// The unrolled pass on a backend that [`supports`] it: the codes, of shape `code`, and the
/// reconstructions, in the shape of the data.
///
/// The gradient reaches `atoms`, `x`, `step` (`[1]`) and `levels` (`[T or 1, batch or 1, p or 1]`, the
/// levels `θ ≥ 0`) through the last `schedule.recorded` layers and the decoder, wherever it is asked for.
/// All four are of one dtype, and on one device.
///
/// # Panics
/// Where shapes do not fit, or the backend does not support the pass.
pub fn unrolled<const D: usize>(
    problem: Problem,
    schedule: Schedule,
    x: Tensor<D>,
    atoms: Tensor<D>,
    step: Tensor<1>,
    levels: Tensor<3>,
    code: [usize; D],
) -> (Tensor<D>, Tensor<D>) {
    let extent = x.dims();
    let codes: usize = code.iter().product();
    let pass = Pass::new(problem, schedule, codes, false);
    let output = Tensor::<1>::from_dispatch(Dispatch::unrolled(
        x.into_dispatch(),
        atoms.into_dispatch(),
        step.into_dispatch(),
        levels.into_dispatch(),
        pass,
    ));
    let end = output.dims()[0];
    let reconstruction = output.clone().narrow(0, codes, end - codes).reshape(extent);
    (output.narrow(0, 0, codes).reshape(code), reconstruction)
}

/// The mean of the reconstructions of parts of images, each moved back to its place: see
/// [`conv_shifts`]. `x` is `[b, C, H, W]`, `geometry` that of a part, `window` the first pixel and the
/// size of what is returned; atoms, step and levels are as for [`unrolled`]. Without a graph.
///
/// # Panics
/// As [`conv_shifts`], and where the backend does not support the pass.
pub fn shifted(
    geometry: Geometry,
    schedule: Schedule,
    x: Tensor<4>,
    starts: &[[usize; 2]],
    window: ([usize; 2], [usize; 2]),
    (atoms, step, levels): (Tensor<4>, Tensor<1>, Tensor<3>),
) -> Tensor<4> {
    fn run<T: Kept>(
        geometry: Geometry,
        schedule: &Schedule,
        x: Tensor<4>,
        starts: &[[usize; 2]],
        window: ([usize; 2], [usize; 2]),
        (atoms, step, levels): (Tensor<4>, Tensor<1>, Tensor<3>),
    ) -> Tensor<4> {
        let (device, [batch, channels, height, width]) = (x.device(), x.dims());
        let level_shape = levels.dims();
        let numbers = |data: TensorData| data.try_into_vec::<T>().expect("the dtype was asked for");
        let [x, atoms, step, levels] =
            [x.into_data(), atoms.into_data(), step.into_data(), levels.into_data()].map(numbers);
        let encoder = Encoder { atoms: &atoms, step: step[0], levels: &levels, level_shape };
        let means: Vec<T> = x
            .chunks_exact(channels * height * width)
            .flat_map(|x| {
                conv_shifts(geometry, (x, [height, width]), starts, window, encoder, schedule)
            })
            .collect();
        let shape = [batch, channels, window.1[0], window.1[1]];
        Tensor::from_data(TensorData::new(means, shape), (&device, T::dtype()))
    }
    let run = if x.dtype() == DType::F64 { run::<f64> } else { run::<f32> };
    run(geometry, &schedule, x, starts, window, (atoms, step, levels))
}
