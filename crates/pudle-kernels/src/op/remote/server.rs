//! The worker's side of a pass.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::server::RemoteServer;
use burn_ir::{BackendIr, CustomOpIr, HandleContainer, ScalarIr};

use crate::encoder::Wanted;
use crate::op::border::{NetworkGradients, TapedBackend};
use crate::op::remote::wire::{BACKWARD, FORWARD, codes, gradients_in_order};
use crate::plan::Plan;
use crate::settings::Problem;

/// The same server, which runs passes as its backend runs them. `on_cpu` says whether its devices are those of the CPU backend
/// `flex` or GPUs.
pub fn serve_passes(server: RemoteServer, on_cpu: bool) -> RemoteServer {
    match on_cpu {
        #[cfg(feature = "flex")]
        true => with_passes::<burn::backend::Flex>(server),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        false => with_passes::<burn_cubecl::CubeBackend>(server),
        #[allow(unreachable_patterns, reason = "backends are features of Cargo")]
        _ => server,
    }
}

fn with_passes<B: BackendIr + TapedBackend>(server: RemoteServer) -> RemoteServer {
    server
        .with_custom_op::<B, _>(FORWARD, |handles, operation, _| forward::<B>(handles, operation))
        .with_custom_op::<B, _>(BACKWARD, |handles, operation, _| backward::<B>(handles, operation))
}

/// The plan of a message.
///
/// # Panics
/// Panics if the integers are no plan. A panic ends the session of the client alone.
fn plan(scalars: &[ScalarIr]) -> Plan {
    let integers: Option<Vec<u64>> = scalars
        .iter()
        .map(|scalar| match scalar {
            ScalarIr::UInt(integer) => Some(*integer),
            _ => None,
        })
        .collect();
    integers.and_then(|integers| Plan::from_scalars(&integers)).expect("a plan of this version")
}

/// The product of sizes that come from another machine.
///
/// # Panics
/// Panics if it is out of range: a product that wraps around would pass for another one.
fn product(sizes: &[usize]) -> usize {
    let all = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    all.expect("sizes in range")
}

/// Checks the shapes of a pass, which come from another machine, before a kernel trusts them.
///
/// # Panics
/// Panics if they do not fit each other.
fn check<B: TapedBackend>(tensors: &[FloatTensor<B>; 6], plan: Plan) {
    let [x, banks @ .., step, levels] = tensors;
    let shape = x.shape();
    let layers = plan.unrolling.layers;
    assert!(layers > 0 && plan.unrolling.recorded <= layers, "{layers} layers");
    assert!(!plan.unrolling.half, "numbers of 16 bits");
    let atoms = match plan.problem {
        Problem::Dense { dim } => {
            assert_eq!((shape.num_dims(), shape[1]), (2, dim), "data of a matrix");
            let bank = banks[1].shape();
            assert_eq!((bank.num_dims(), bank[0]), (2, dim), "a matrix");
            bank[1]
        }
        Problem::Conv(geometry) => {
            let [kernel, stride] = [geometry.kernel, geometry.stride];
            assert!(stride.iter().chain(&kernel).all(|length| *length > 0), "filters");
            assert!(kernel[0] <= geometry.height && kernel[1] <= geometry.width, "filters");
            let data = product(&[shape[0], geometry.channels, geometry.height, geometry.width]);
            assert_eq!(shape.num_elements(), data, "data of filters");
            let weights = product(&[geometry.atoms, geometry.channels, kernel[0], kernel[1]]);
            assert_eq!(banks[1].shape().num_elements(), weights, "filters");
            let [rows, columns] = geometry.positions();
            product(&[shape[0], geometry.atoms, rows, columns]);
            geometry.atoms
        }
    };
    let bank = banks[1].shape();
    assert!(banks.iter().all(|other| other.shape() == bank), "banks of one shape");
    assert_eq!(step.shape().num_elements(), 1, "a step size");
    let levels: [usize; 3] = levels.shape().dims();
    for (axis, all) in levels.into_iter().zip([layers, shape[0], atoms]) {
        assert!(axis == 1 || axis == all, "levels {levels:?}");
    }
    assert!(tensors.iter().all(|tensor| tensor.dtype() == x.dtype()), "tensors of one type");
}

fn forward<B: BackendIr + TapedBackend>(
    handles: &mut HandleContainer<B::Handle>,
    operation: &CustomOpIr,
) {
    let (inputs, [output]) = operation.as_fixed::<6, 1>();
    let tensors = inputs.each_ref().map(|input| handles.get_float_tensor::<B>(input));
    let plan = plan(&operation.scalars);
    check::<B>(&tensors, plan);
    let [x, analysis, synthesis, decoder, step, levels] = tensors;
    let numbers = B::unrolled(x, analysis, synthesis, decoder, step, levels, plan);
    handles.register_float_tensor::<B>(&output.id, numbers);
}

fn backward<B: BackendIr + TapedBackend>(
    handles: &mut HandleContainer<B::Handle>,
    operation: &CustomOpIr,
) {
    let inputs: &[_; 7] = operation.inputs.as_slice().try_into().expect("seven tensors");
    let [gradient, tensors @ ..] =
        inputs.each_ref().map(|input| handles.get_float_tensor::<B>(input));
    let [ScalarIr::Bool(data), ScalarIr::Bool(encoder), integers @ ..] = &operation.scalars[..]
    else {
        panic!("a plan of this version");
    };
    let (plan, wanted) = (plan(integers), Wanted { data: *data, encoder: *encoder });
    check::<B>(&tensors, plan);
    let [x, analysis, synthesis, decoder, step, levels] = tensors;
    let numbers = codes(&x.shape(), &synthesis.shape(), plan.problem) + x.shape().num_elements();
    assert_eq!(gradient.shape().num_elements(), numbers, "a gradient of the output");
    let (_, tape) = B::unrolled_taped(x, analysis, synthesis, decoder, step, levels, plan);
    let NetworkGradients { x, banks, step, levels } =
        B::unrolled_backward(gradient, &tape, plan, wanted);
    let gradients = gradients_in_order(banks, [x, step, levels]);
    assert_eq!(gradients.len(), operation.outputs.len(), "a tensor for each gradient");
    for (output, gradient) in operation.outputs.iter().zip(gradients) {
        handles.register_float_tensor::<B>(&output.id, gradient);
    }
}
