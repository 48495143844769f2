//! The pass on the devices of another machine, through Burn's remote backend.
//!
//! A pass travels as one message forward and one backward, with its [`Plan`] as integers, and the worker runs it on its own
//! backend. The tape of the forward pass stays with no one: the backward message names the inputs, which are on the worker, and
//! the worker runs the layers again. Neither a lost answer nor a worker that starts anew can thus mix two steps.

mod server;
mod wire;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Remote, TensorMetadata};
use burn::remote::CustomOpClient;
use burn::tensor::{DType, Shape};
use burn_ir::{CustomOpIr, ScalarIr, TensorIr};

use crate::encoder::Wanted;
use crate::op::border::{NetworkGradients, TapedBackend, UnrolledBackend};
use crate::op::remote::wire::{BACKWARD, FORWARD, codes};
use crate::plan::Plan;

pub use server::serve_passes;

/// The inputs of a pass, which are on the worker.
#[derive(Clone, Debug)]
pub struct RemoteTape(Inputs<FloatTensor<Remote>>);

/// The tensors of a pass in the order of the messages.
#[derive(Clone, Debug)]
struct Inputs<T> {
    x: T,
    analysis: T,
    synthesis: T,
    decoder: T,
    step: T,
    levels: T,
}

impl<T> Inputs<T> {
    fn into_array(self) -> [T; 6] {
        let Self { x, analysis, synthesis, decoder, step, levels } = self;
        [x, analysis, synthesis, decoder, step, levels]
    }
}

impl UnrolledBackend for Remote {
    fn unrolled(
        x: FloatTensor<Self>,
        analysis: FloatTensor<Self>,
        synthesis: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        let client = CustomOpClient::new(&x.device());
        let dtype = x.dtype();
        let numbers =
            codes(&x.shape(), &synthesis.shape(), plan.problem) + x.shape().num_elements();
        let output = TensorIr::uninit(client.create_empty_handle(), Shape::new([numbers]), dtype);
        let inputs = Inputs { x, analysis, synthesis, decoder, step, levels };
        let inputs = inputs.into_array().map(|tensor| tensor.into_ir());
        let plan = plan.to_scalars().into_iter().map(ScalarIr::UInt).collect();
        let operation = CustomOpIr::with_scalars(FORWARD, &inputs, &[output], plan);
        client.register(operation).swap_remove(0)
    }
}

impl TapedBackend for Remote {
    type Tape = RemoteTape;

    fn unrolled_taped(
        x: FloatTensor<Self>,
        analysis: FloatTensor<Self>,
        synthesis: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, RemoteTape) {
        let tape = Inputs {
            x: x.clone(),
            analysis: analysis.clone(),
            synthesis: synthesis.clone(),
            decoder: decoder.clone(),
            step: step.clone(),
            levels: levels.clone(),
        };
        let output = Self::unrolled(x, analysis, synthesis, decoder, step, levels, plan);
        (output, RemoteTape(tape))
    }

    fn unrolled_backward(
        gradient: FloatTensor<Self>,
        tape: &RemoteTape,
        plan: Plan,
        wanted: Wanted,
    ) -> NetworkGradients<Self> {
        let client = CustomOpClient::new(&gradient.device());
        let inputs = tape.0.clone();
        let wants = [wanted.data, wanted.encoder, wanted.encoder];
        let shapes = gradient_shapes(&inputs, plan, wants);
        let dtype: DType = gradient.dtype();
        let outputs: Vec<TensorIr> = shapes
            .into_iter()
            .map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, dtype))
            .collect();
        let [x, analysis, synthesis, decoder, step, levels] = inputs.into_array();
        let inputs = [gradient, x, analysis, synthesis, decoder, step, levels]
            .map(|tensor| tensor.into_ir());
        let mut scalars = vec![ScalarIr::Bool(wanted.data), ScalarIr::Bool(wanted.encoder)];
        scalars.extend(plan.to_scalars().into_iter().map(ScalarIr::UInt));
        let operation = CustomOpIr::with_scalars(BACKWARD, &inputs, &outputs, scalars);
        let mut outputs = client.register(operation).into_iter();
        let mut next = || outputs.next().expect("a tensor for each gradient");
        let banks = plan.tying.banks((), (), ()).map(|()| next());
        let [x, step, levels] = wants.map(|wanted| wanted.then(&mut next));
        NetworkGradients { x, banks, step, levels }
    }
}

/// Shapes of the gradients in the order of a message: of the banks that count, then of the data, the step size and the levels
/// if they are wanted.
fn gradient_shapes(
    inputs: &Inputs<FloatTensor<Remote>>,
    plan: Plan,
    wants: [bool; 3],
) -> Vec<Shape> {
    let banks = plan.tying.banks(&inputs.analysis, &inputs.synthesis, &inputs.decoder);
    let mut shapes: Vec<Shape> = banks.iter().map(|bank| bank.shape()).collect();
    let rest = [&inputs.x, &inputs.step, &inputs.levels].into_iter().zip(wants);
    shapes.extend(rest.filter(|(_, wanted)| *wanted).map(|(tensor, _)| tensor.shape()));
    shapes
}
