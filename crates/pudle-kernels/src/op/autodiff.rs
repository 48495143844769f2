//! The pass in Burn's graph.

use std::fmt;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use crate::encoder::Wanted;
use crate::op::border::{NetworkGradients, TapedBackend, UnrolledBackend};
use crate::plan::Plan;

/// What the graph stores between the two halves of a pass.
struct State<T> {
    tape: Arc<T>,
    plan: Plan,
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self { tape: self.tape.clone(), plan: self.plan }
    }
}

impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("plan", &self.plan).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Unrolled;

impl<B: TapedBackend> Backward<B, 6> for Unrolled {
    type State = State<B::Tape>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { tape, plan } = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [x, analysis, synthesis, decoder, step, levels] = ops.parents;
        let wanted = Wanted { data: x.is_some(), encoder: step.is_some() || levels.is_some() };
        let gradients = B::unrolled_backward(gradient, &tape, plan, wanted);
        let NetworkGradients { x: of_x, banks, step: of_step, levels: of_levels } = gradients;
        for (node, gradient) in [
            (synthesis, Some(banks.synthesis)),
            (analysis, banks.analysis),
            (decoder, banks.decoder),
            (x, of_x),
            (step, of_step),
            (levels, of_levels),
        ] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
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
        let (x, x_node) = x.into_parts();
        let (analysis, analysis_node) = analysis.into_parts();
        let (synthesis, synthesis_node) = synthesis.into_parts();
        let (decoder, decoder_node) = decoder.into_parts();
        let (step, step_node) = step.into_parts();
        let (levels, levels_node) = levels.into_parts();
        let nodes = [x_node, analysis_node, synthesis_node, decoder_node, step_node, levels_node];
        match Unrolled.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, tape) =
                    B::unrolled_taped(x, analysis, synthesis, decoder, step, levels, plan);
                prepared.finish(State { tape: Arc::new(tape), plan }, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::unrolled(x, analysis, synthesis, decoder, step, levels, plan))
            }
        }
    }
}
