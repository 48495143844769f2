//! The pass on Burn's `flex` backend, by the functions on slices.

use std::fmt;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Element, Shape, Tensor, TensorData};

use crate::banks::Banks;
use crate::conv::{ConvTape, ShiftWindows, conv_forward, conv_shifts};
use crate::dense::{DenseTape, dense_forward};
use crate::encoder::{Encoder, Gradients, Output, Wanted};
use crate::geometry::Geometry;
use crate::op::border::{NetworkGradients, TapedBackend, UnrolledBackend};
use crate::op::network::Network;
use crate::plan::Plan;
use crate::real::Real;
use crate::settings::Problem;
use crate::signal::{SignalTape, signal_forward, takes_signals};

/// The tape of a pass on the `flex` backend, for numbers of either type.
pub struct FlexTape(Box<dyn Recording>);

impl fmt::Debug for FlexTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlexTape({} bytes)", self.0.bytes())
    }
}

/// A tape of numbers of any type.
trait Recording: Send + Sync {
    fn backward(&self, gradient: &FlexTensor, wanted: Wanted) -> NetworkGradients<Flex>;

    fn bytes(&self) -> usize;
}

/// A tape of numbers `T`.
struct Recorded<T> {
    tape: Tape<T>,
    /// How many numbers of the output are codes.
    codes: usize,
    shapes: Shapes,
}

#[expect(clippy::large_enum_variant, reason = "a tape is boxed as a whole")]
enum Tape<T> {
    Dense(DenseTape<T>),
    Conv(ConvTape<T>),
    Signal(SignalTape<T>),
}

/// Shapes of the inputs of a pass.
struct Shapes {
    x: Shape,
    bank: Shape,
    levels: Shape,
}

/// The inputs of a pass.
struct Inputs {
    x: FlexTensor,
    banks: Banks<FlexTensor>,
    step: FlexTensor,
    levels: FlexTensor,
}

impl UnrolledBackend for Flex {
    fn unrolled(
        x: FlexTensor,
        analysis: FlexTensor,
        synthesis: FlexTensor,
        decoder: FlexTensor,
        step: FlexTensor,
        levels: FlexTensor,
        plan: Plan,
    ) -> FlexTensor {
        let banks = plan.tying.banks(analysis, synthesis, decoder);
        Inputs { x, banks, step, levels }.forward(plan, false).0
    }
}

impl TapedBackend for Flex {
    type Tape = FlexTape;

    fn unrolled_taped(
        x: FlexTensor,
        analysis: FlexTensor,
        synthesis: FlexTensor,
        decoder: FlexTensor,
        step: FlexTensor,
        levels: FlexTensor,
        plan: Plan,
    ) -> (FlexTensor, FlexTape) {
        let banks = plan.tying.banks(analysis, synthesis, decoder);
        let (output, tape) = Inputs { x, banks, step, levels }.forward(plan, true);
        (output, tape.expect("a recorded pass has a tape"))
    }

    fn unrolled_backward(
        gradient: FlexTensor,
        tape: &FlexTape,
        _: Plan,
        wanted: Wanted,
    ) -> NetworkGradients<Flex> {
        tape.0.backward(&gradient, wanted)
    }
}

impl Inputs {
    fn forward(self, plan: Plan, record: bool) -> (FlexTensor, Option<FlexTape>) {
        match self.x.dtype() {
            DType::F64 => self.forward_as::<f64>(plan, record),
            _ => self.forward_as::<f32>(plan, record),
        }
    }

    fn forward_as<T: Real + Element>(
        self,
        plan: Plan,
        record: bool,
    ) -> (FlexTensor, Option<FlexTape>) {
        let Self { x, banks, step, levels } = self;
        let shapes = Shapes { x: x.shape(), bank: banks.synthesis.shape(), levels: levels.shape() };
        // A contiguous tensor is not copied.
        let [x, step, levels] = [x, step, levels].map(|input| input.to_contiguous());
        let banks = banks.map(|bank| bank.to_contiguous());
        let encoder = Encoder {
            banks: banks.as_ref().map(|bank| bank.storage::<T>()),
            step: step.storage::<T>()[0],
            levels: levels.storage(),
            level_shape: shapes.levels.dims(),
        };
        let (Output { numbers, codes }, tape) = match plan.problem {
            Problem::Dense { dim } => {
                let (output, tape) =
                    dense_forward(dim, x.storage(), encoder, plan.unrolling, record);
                (output, tape.map(Tape::Dense))
            }
            Problem::Conv(geometry) if takes_signals(&geometry) => {
                let (output, tape) =
                    signal_forward(geometry, x.storage(), encoder, plan.unrolling, record);
                (output, tape.map(Tape::Signal))
            }
            Problem::Conv(geometry) => {
                let (output, tape) =
                    conv_forward(geometry, x.storage(), encoder, plan.unrolling, record);
                (output, tape.map(Tape::Conv))
            }
        };
        let tape = tape.map(|tape| FlexTape(Box::new(Recorded { tape, codes, shapes })));
        (tensor(numbers, Shape::new([codes + x.shape().num_elements()])), tape)
    }
}

impl<T: Real + Element> Recording for Recorded<T> {
    fn backward(&self, gradient: &FlexTensor, wanted: Wanted) -> NetworkGradients<Flex> {
        let gradient = gradient.to_contiguous();
        let gradient: &[T] = gradient.storage();
        let (code, image) = gradient.split_at(self.codes);
        // Without a gradient in the codes, the backward pass has less to do.
        let code = code.iter().any(|entry| *entry != T::ZERO).then_some(code);
        let Gradients { banks, data, levels, step } = match &self.tape {
            Tape::Dense(tape) => tape.backward(image, code, wanted),
            Tape::Conv(tape) => tape.backward(image, code, wanted),
            Tape::Signal(tape) => tape.backward(image, code, wanted),
        };
        NetworkGradients {
            x: data.map(|data| tensor(data, self.shapes.x.clone())),
            banks: banks.map(|bank| tensor(bank, self.shapes.bank.clone())),
            step: step.map(|step| tensor(vec![step], Shape::new([1]))),
            levels: levels.map(|levels| tensor(levels, self.shapes.levels.clone())),
        }
    }

    fn bytes(&self) -> usize {
        match &self.tape {
            Tape::Dense(tape) => tape.bytes(),
            Tape::Conv(tape) => tape.bytes(),
            Tape::Signal(tape) => tape.bytes(),
        }
    }
}

fn tensor<T: Element>(numbers: Vec<T>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape), T::dtype())
}

/// [`Network::run_shifted`] on the `flex` backend.
pub(super) fn shifted(
    network: &Network<4>,
    geometry: Geometry,
    x: Tensor<4>,
    windows: &ShiftWindows,
) -> Tensor<4> {
    match x.dtype() {
        DType::F64 => shifted_as::<f64>(network, geometry, x, windows),
        _ => shifted_as::<f32>(network, geometry, x, windows),
    }
}

fn shifted_as<T: Real + Element>(
    network: &Network<4>,
    geometry: Geometry,
    x: Tensor<4>,
    windows: &ShiftWindows,
) -> Tensor<4> {
    let numbers = |data: TensorData| data.try_into_vec::<T>().expect("the data are of this type");
    let (device, [batch, channels, height, width]) = (x.device(), x.dims());
    let banks = network.banks.as_ref().map(|bank| numbers(bank.to_data()));
    let [x, step, levels] =
        [x.into_data(), network.step.to_data(), network.levels.to_data()].map(numbers);
    let encoder = Encoder {
        banks: banks.as_ref().map(Vec::as_slice),
        step: step[0],
        levels: &levels,
        level_shape: network.levels.dims(),
    };
    let means: Vec<T> = x
        .chunks_exact(channels * height * width)
        .flat_map(|x| {
            conv_shifts(geometry, x, [height, width], windows, encoder, network.unrolling)
        })
        .collect();
    let [rows, columns] = windows.size;
    let shape = [batch, channels, rows, columns];
    Tensor::from_data(TensorData::new(means, shape), (&device, T::dtype()))
}
