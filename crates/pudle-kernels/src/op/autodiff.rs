//! The backward half of the pass in Burn's graph.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Graph;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata};
use burn::tensor::Shape;

use crate::encoder::Wanted;
use crate::op::border::{TapedBackend, UnrolledBackend, UnrolledGradients, UnrolledInputs};
use crate::plan::Plan;

#[derive(Debug)]
struct Unrolled;

/// What the backward half needs.
#[derive(Debug)]
struct State<B: TapedBackend> {
    plan: Plan,
    tape: Arc<B::Tape>,
    /// Shapes of the inputs, in the order of [`UnrolledBackend::unrolled`].
    shapes: [Shape; 6],
}

impl<B: TapedBackend> Clone for State<B> {
    fn clone(&self) -> Self {
        Self { plan: self.plan, tape: self.tape.clone(), shapes: self.shapes.clone() }
    }
}

impl<B: TapedBackend> Backward<B, 6> for Unrolled {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 6>, grads: &mut Graph, _: &mut Checkpointer) {
        let State { plan, tape, shapes } = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [x, _, _, _, step, levels] = &ops.parents;
        let wanted = Wanted { data: x.is_some(), encoder: step.is_some() || levels.is_some() };
        let UnrolledGradients { x, analysis, synthesis, decoder, step, levels } =
            B::unrolled_backward(gradient, &tape, plan, wanted);
        let gradients = [x, analysis, Some(synthesis), decoder, step, levels];
        for ((parent, shape), gradient) in ops.parents.into_iter().zip(shapes).zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, B::float_reshape(gradient, shape));
            }
        }
    }
}

impl<B: TapedBackend, C: CheckpointStrategy> UnrolledBackend for Autodiff<B, C> {
    fn unrolled(
        x: FloatTensor<Self>,
        analysis: FloatTensor<Self>,
        synthesis: FloatTensor<Self>,
        decoder: FloatTensor<Self>,
        step: FloatTensor<Self>,
        levels: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        let inputs = [x, analysis, synthesis, decoder, step, levels];
        let shapes = inputs.each_ref().map(TensorMetadata::shape);
        let [x, analysis, synthesis, decoder, step, levels] =
            inputs.map(|input| input.into_parts());
        let nodes = [x.1, analysis.1, synthesis.1, decoder.1, step.1, levels.1];
        let inputs = UnrolledInputs::<B> {
            x: x.0,
            analysis: analysis.0,
            synthesis: synthesis.0,
            decoder: decoder.0,
            step: step.0,
            levels: levels.0,
        };
        match Unrolled.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, tape) = B::unrolled_taped(inputs, plan);
                prepared.finish(State { plan, tape: Arc::new(tape), shapes }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(untracked(inputs, plan)),
        }
    }
}

fn untracked<B: TapedBackend>(inputs: UnrolledInputs<B>, plan: Plan) -> FloatTensor<B> {
    let UnrolledInputs { x, analysis, synthesis, decoder, step, levels } = inputs;
    B::unrolled(x, analysis, synthesis, decoder, step, levels, plan)
}
