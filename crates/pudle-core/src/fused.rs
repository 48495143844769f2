//! The pass as one fused operation, for the models and backends that have one.

use burn::tensor::{Tensor, TensorData};
use pudle_kernels::{Banks, Extrapolation, Network, ShiftWindows, Shrinkage, Unrolling};

use crate::dictionary::{ConvDictionary2d, Dictionary};
use crate::encoder::Algorithm;
use crate::kernels::Kernels;
use crate::level::Level;
use crate::model::Pudle;
use crate::noise::Noise;
use crate::step::StepSize;
use crate::tying::WeightTying;

/// Code and reconstruction of a batch, both without the model's offset.
pub(crate) struct Pass<const D: usize> {
    pub code: Tensor<D>,
    /// The baselines that are inferred, if there are any. They are part of the reconstruction.
    pub baseline: Option<Tensor<D>>,
    pub reconstruction: Tensor<D>,
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The result of the fused pass; `None` if it is not selected or not available.
    pub(crate) fn fused(
        &self,
        x: &Tensor<D>,
        step: &StepSize,
        noise: &Noise,
        recorded: usize,
    ) -> Option<Pass<D>> {
        let code = self.dictionary().code_shape(x.dims()).unwrap_or_else(|| {
            let atoms = self.dictionary().atoms().dims();
            panic!("data of shape {:?} do not fit atoms of shape {atoms:?}", x.dims())
        });
        let network = self.network(x, x.dims(), step, noise, recorded)?;
        let (code, reconstruction) = network.run(x.clone(), code)?;
        // A code that no layer was recorded for is a constant, as the composed one is.
        let code = if recorded == 0 { code.detach() } else { code };
        Some(Pass { code, baseline: None, reconstruction })
    }

    /// The network as the fused pass takes it, for data of shape `extent` like `x`.
    fn network(
        &self,
        x: &Tensor<D>,
        extent: [usize; D],
        step: &StepSize,
        noise: &Noise,
        recorded: usize,
    ) -> Option<Network<D>> {
        let config = self.config();
        if !config.kernels.takes_fused(x) || config.without_kernel().is_some() {
            return None;
        }
        let shrinkage = match (config.prox.kernel()?, config.threshold.is_signed()) {
            (Shrinkage::Soft, true) if recorded > 0 => return None,
            (Shrinkage::Soft, true) => Shrinkage::SignedSoft,
            (shrinkage, _) => shrinkage,
        };
        let unrolling = Unrolling {
            layers: config.layers,
            shrinkage,
            extrapolation: match config.algorithm {
                Algorithm::Ista => Extrapolation::None,
                Algorithm::Fista => Extrapolation::Fista,
            },
            recorded,
            recompute: config.recompute,
            half: config.kernels == Kernels::Half,
        };
        let options = (&x.device(), x.dtype());
        let rows = if config.threshold.varies_over_layers() { config.layers } else { 1 };
        let levels = (0..rows)
            .map(|t| match self.threshold().level(t, config.prox, step, noise) {
                Level::PerAtom(level) => level.unsqueeze(),
                Level::Scalar(level) => Tensor::from_data(TensorData::from([[[level]]]), options),
            })
            .collect();
        Some(Network {
            problem: self.dictionary().problem(extent)?,
            unrolling,
            banks: self.banks(),
            step: match step {
                StepSize::Given(step) => Tensor::from_data(TensorData::from([*step]), options),
                StepSize::Learned(step) => step.clone(),
            },
            levels: Tensor::cat(levels, 0),
        })
    }

    /// The atoms of all banks.
    fn banks(&self) -> Banks<Tensor<D>> {
        let synthesis = self.dictionary().atoms();
        let (analysis, decoder) = match self.config().tying {
            WeightTying::Tied => (None, None),
            WeightTying::Gain => {
                let gain = self.gain().expect("the decoder has gains");
                let mut shape = [1; D];
                shape[A::ATOM_AXIS] = gain.dims()[0];
                (None, Some(synthesis.clone() * gain.reshape(shape)))
            }
            WeightTying::Decoder => (None, Some(self.decoder().atoms())),
            WeightTying::Untied => (Some(self.analysis().atoms()), Some(self.decoder().atoms())),
        };
        Banks { analysis, synthesis, decoder }
    }
}

impl Pudle<4, ConvDictionary2d> {
    /// The mean of the reconstructions of the windows of `x` by the fused pass, each of shape `extent` and shifted back to
    /// its position. `None` if the fused pass is not selected or not available.
    pub(crate) fn fused_shifts(
        &self,
        x: &Tensor<4>,
        extent: [usize; 4],
        windows: &ShiftWindows,
        noise: &Noise,
    ) -> Option<Tensor<4>> {
        let network = self.network(x, extent, &self.step_size(extent), noise, 0)?;
        let mean = network.run_shifted(self.centred(x.clone()), windows)?;
        Some(self.restored(mean))
    }
}
