//! The fused pass on Burn's CPU backend.

use std::fmt;

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Element, Shape, Tensor, TensorData};

use crate::conv::{ConvTape, ShiftWindows, conv_forward, conv_shifts};
use crate::dense::{DenseTape, dense_forward};
use crate::encoder::{Banks, Encoder, Gradients, Output, Wanted};
use crate::geometry::Geometry;
use crate::op::border::{TapedBackend, UnrolledBackend, UnrolledGradients, UnrolledInputs};
use crate::op::network::Network;
use crate::plan::{OwnBanks, Plan};
use crate::real::Real;
use crate::settings::Problem;

/// The tape of a pass on the CPU.
pub enum Tape {
    /// Of a matrix, in single precision.
    Dense32(DenseTape<f32>),
    /// Of a matrix, in double precision.
    Dense64(DenseTape<f64>),
    /// Of filters, in single precision.
    Conv32(ConvTape<f32>),
    /// Of filters, in double precision.
    Conv64(ConvTape<f64>),
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Tape::Dense32(tape) => ("Dense32", tape.bytes()),
            Tape::Dense64(tape) => ("Dense64", tape.bytes()),
            Tape::Conv32(tape) => ("Conv32", tape.bytes()),
            Tape::Conv64(tape) => ("Conv64", tape.bytes()),
        };
        write!(f, "Tape::{kind}({bytes} bytes)")
    }
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
        let inputs = UnrolledInputs { x, analysis, synthesis, decoder, step, levels };
        forward_any(inputs, plan, false).0
    }
}

impl TapedBackend for Flex {
    type Tape = Tape;

    fn unrolled_taped(inputs: UnrolledInputs<Flex>, plan: Plan) -> (FlexTensor, Tape) {
        let (output, tape) = forward_any(inputs, plan, true);
        (output, tape.expect("a recorded pass has a tape"))
    }

    fn unrolled_backward(
        gradient: FlexTensor,
        tape: &Tape,
        plan: Plan,
        wanted: Wanted,
    ) -> UnrolledGradients<Flex> {
        match tape {
            Tape::Dense32(tape) => backward(&gradient, plan, |x, z| tape.backward(x, z, wanted)),
            Tape::Dense64(tape) => backward(&gradient, plan, |x, z| tape.backward(x, z, wanted)),
            Tape::Conv32(tape) => backward(&gradient, plan, |x, z| tape.backward(x, z, wanted)),
            Tape::Conv64(tape) => backward(&gradient, plan, |x, z| tape.backward(x, z, wanted)),
        }
    }
}

/// A number that Burn has too, with its tapes.
trait Number: Real + Element {
    fn dense(tape: DenseTape<Self>) -> Tape;
    fn conv(tape: ConvTape<Self>) -> Tape;
}

impl Number for f32 {
    fn dense(tape: DenseTape<f32>) -> Tape {
        Tape::Dense32(tape)
    }
    fn conv(tape: ConvTape<f32>) -> Tape {
        Tape::Conv32(tape)
    }
}

impl Number for f64 {
    fn dense(tape: DenseTape<f64>) -> Tape {
        Tape::Dense64(tape)
    }
    fn conv(tape: ConvTape<f64>) -> Tape {
        Tape::Conv64(tape)
    }
}

fn tensor<T: Number>(numbers: Vec<T>) -> FlexTensor {
    let layout = Layout::contiguous(Shape::new([numbers.len()]));
    FlexTensor::new(Bytes::from_elems(numbers), layout, T::dtype())
}

fn forward_any(
    inputs: UnrolledInputs<Flex>,
    plan: Plan,
    record: bool,
) -> (FlexTensor, Option<Tape>) {
    match inputs.x.dtype() {
        DType::F64 => forward::<f64>(inputs, plan, record),
        _ => forward::<f32>(inputs, plan, record),
    }
}

fn forward<T: Number>(
    inputs: UnrolledInputs<Flex>,
    plan: Plan,
    record: bool,
) -> (FlexTensor, Option<Tape>) {
    let level_shape = inputs.levels.shape().dims::<3>();
    let OwnBanks { analysis, decoder } = plan.own;
    let banks = Banks {
        analysis: analysis.then(|| inputs.analysis.to_contiguous()),
        synthesis: inputs.synthesis.to_contiguous(),
        decoder: decoder.then(|| inputs.decoder.to_contiguous()),
    };
    let [x, step, levels] =
        [inputs.x, inputs.step, inputs.levels].map(|input| input.to_contiguous());
    let encoder = Encoder {
        banks: banks.as_ref().map(FlexTensor::storage::<T>),
        step: step.storage::<T>()[0],
        levels: levels.storage(),
        level_shape,
    };
    let (Output { numbers, .. }, tape) = match plan.problem {
        Problem::Dense { dim } => {
            let (output, tape) = dense_forward(dim, x.storage(), encoder, plan.unrolling, record);
            (output, tape.map(T::dense))
        }
        Problem::Conv(geometry) => {
            let (output, tape) =
                conv_forward(geometry, x.storage(), encoder, plan.unrolling, record);
            (output, tape.map(T::conv))
        }
    };
    (tensor(numbers), tape)
}

fn backward<T: Number>(
    gradient: &FlexTensor,
    plan: Plan,
    run: impl FnOnce(&[T], Option<&[T]>) -> Gradients<T>,
) -> UnrolledGradients<Flex> {
    let gradient = gradient.to_contiguous();
    let (code, image) = gradient.storage::<T>().split_at(plan.codes);
    let asked = code.iter().any(|entry| *entry != T::ZERO);
    let Gradients { banks, data, levels, step } = run(image, asked.then_some(code));
    let Banks { analysis, synthesis, decoder } = banks.map(tensor);
    UnrolledGradients {
        x: data.map(tensor),
        analysis,
        synthesis,
        decoder,
        step: step.map(|step| tensor(vec![step])),
        levels: levels.map(tensor),
    }
}

/// [`Network::run_shifted`] on the CPU.
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

fn shifted_as<T: Number>(
    network: &Network<4>,
    geometry: Geometry,
    x: Tensor<4>,
    windows: &ShiftWindows,
) -> Tensor<4> {
    fn numbers<T: Number>(data: TensorData) -> Vec<T> {
        data.try_into_vec().expect("the data are of this type")
    }
    let (device, [batch, channels, height, width]) = (x.device(), x.dims());
    let level_shape = network.levels.dims();
    let banks = network.banks.as_ref().map(|bank| numbers::<T>(bank.clone().into_data()));
    let step: Vec<T> = numbers(network.step.clone().into_data());
    let levels: Vec<T> = numbers(network.levels.clone().into_data());
    let encoder = Encoder {
        banks: banks.as_ref().map(Vec::as_slice),
        step: step[0],
        levels: &levels,
        level_shape,
    };
    let x: Vec<T> = numbers(x.into_data());
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
