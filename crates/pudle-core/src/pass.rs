//! The forward pass: encoding and decoding.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::dictionary::Dictionary;
use crate::encoder::{Encoder, Layer};
use crate::fused::Pass;
use crate::given::{Given, masked};
use crate::level::along_atoms;
use crate::model::Pudle;
use crate::noise::Noise;
use crate::padding::reflect_to;
use crate::step::StepSize;

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The code `z_T` of `x`, recorded through all layers on an autodiff device. `noise` is that of the data.
    ///
    /// # Panics
    /// Panics if the atoms do not fit `x`: [`Dictionary::code_shape`] is `None`.
    pub fn encode(&self, x: Tensor<D>, noise: &Noise) -> Tensor<D> {
        let x = self.centred(x);
        let (step, layers) = (self.step_size(x.dims()), self.config().layers);
        match self.fused(&x, &step, noise, layers) {
            Some(pass) => pass.code,
            None => self.composed(&x, Given::nothing(), &step, noise, layers).code,
        }
    }

    /// The code `z_T` of data with missing entries, recorded through all layers on an autodiff device. `mask`, in the shape of
    /// `x`, is 1 where an entry is known and 0 where it is missing. Missing entries have no residual, whatever `x` holds there
    /// (it must be finite). [`decode`](Self::decode) fills them in. The layers run as composed operations.
    ///
    /// # Panics
    /// Panics if [`encode`](Self::encode) panics.
    pub fn encode_masked(&self, x: Tensor<D>, mask: &Tensor<D>, noise: &Noise) -> Tensor<D> {
        let x = masked(self.centred(x), Some(mask));
        let step = self.step_size(x.dims());
        let given = Given { mask: Some(mask), support: None };
        self.composed(&x, given, &step, noise, self.config().layers).code
    }

    /// The code `z_T` of data, zero where `support`, in the shape of a code, is 0, recorded through all layers on an autodiff
    /// device. The layers run as composed operations.
    ///
    /// # Panics
    /// Panics if [`encode`](Self::encode) panics.
    pub fn encode_within(&self, x: Tensor<D>, support: &Tensor<D>, noise: &Noise) -> Tensor<D> {
        let x = self.centred(x);
        let given = Given { mask: None, support: Some(support) };
        let step = self.step_given(x.dims(), given);
        self.composed(&x, given, &step, noise, self.config().layers).code
    }

    /// The codes `z_1, …, z_T` of every layer.
    ///
    /// # Panics
    /// Panics if [`encode`](Self::encode) panics.
    pub fn encode_layers(&self, x: Tensor<D>, noise: &Noise) -> Vec<Tensor<D>> {
        let x = self.centred(x);
        let layers = self.config().layers;
        let mut codes = Vec::with_capacity(layers);
        let encoder = self.encoder(self.step_size(x.dims()), noise);
        encoder.run(&x, None, 0..layers, |layer| codes.push(layer.code.clone()));
        codes
    }

    /// The decoder `D z`, in the shape `extent` of the data, with the configured offset added. Baselines are not in the code.
    pub fn decode(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        self.restored(self.synthesize(code, extent))
    }

    /// `D z_T` of `x`, without a graph, for data of any extent: `x` is reflected at the end of each axis
    /// until the atoms cover it, and the result is cropped back. `noise` is that of the data.
    ///
    /// # Panics
    /// Panics if `x` has other channels, or another dimension, than the atoms.
    pub fn reconstruct(&self, x: Tensor<D>, noise: &Noise) -> Tensor<D> {
        let extent = x.dims();
        let x = reflect_to(x.inner(), self.dictionary().covering(extent));
        self.valid().autoencode(x, noise).slice(extent.map(|length| 0..length))
    }

    /// The code `z_T` and its reconstruction `D z_T`, without a graph, in one pass, for data of any extent: `x` is reflected
    /// as [`reconstruct`](Self::reconstruct) does. The code is that of the reflected data, and the reconstruction has the
    /// extent of `x`. `noise` is that of the data.
    ///
    /// # Panics
    /// Panics if `x` has other channels, or another dimension, than the atoms.
    pub fn encode_and_decode(&self, x: Tensor<D>, noise: &Noise) -> (Tensor<D>, Tensor<D>) {
        let extent = x.dims();
        let model = self.valid();
        let x = model.centred(reflect_to(x.inner(), self.dictionary().covering(extent)));
        let step = model.step_size(x.dims());
        let Pass { code, reconstruction, .. } = model.pass(&x, Given::nothing(), &step, noise, 0);
        (code, model.restored(reconstruction).slice(extent.map(|length| 0..length)))
    }

    /// `D z_T` of data that the atoms cover.
    pub(crate) fn autoencode(&self, x: Tensor<D>, noise: &Noise) -> Tensor<D> {
        let x = self.centred(x);
        let step = self.step_size(x.dims());
        self.restored(self.pass(&x, Given::nothing(), &step, noise, 0).reconstruction)
    }

    /// Code and reconstruction of `x`, which is without the offset. The graph, if there is one, goes through the last
    /// `recorded` layers and the decoder. With a mask, `x` is zero where it is 0; the fused pass has no masks.
    pub(crate) fn pass(
        &self,
        x: &Tensor<D>,
        given: Given<'_, D>,
        step: &StepSize,
        noise: &Noise,
        recorded: usize,
    ) -> Pass<D> {
        let fused = if given.is_nothing() { self.fused(x, step, noise, recorded) } else { None };
        fused.unwrap_or_else(|| {
            let Layer { code, baseline, .. } = self.composed(x, given, step, noise, recorded);
            let synthesis = self.synthesize(code.clone(), x.dims());
            let reconstruction = match &baseline {
                Some(baseline) => synthesis + baseline.clone(),
                None => synthesis,
            };
            Pass { code, baseline, reconstruction }
        })
    }

    /// The layers with the weights that they share.
    pub(crate) fn encoder<'a>(&'a self, step: StepSize, noise: &'a Noise) -> Encoder<'a, A> {
        Encoder {
            analysis: self.analysis(),
            synthesis: self.dictionary(),
            threshold: self.threshold(),
            proximal: self.config().prox,
            algorithm: self.config().algorithm,
            step,
            noise,
            observation: self.config().observation,
            offset: self.config().offset,
            baseline: self.config().baseline,
            shared: self.config().shared,
        }
    }

    /// The last layer by composed operations, recorded through the last `recorded` layers only.
    fn composed(
        &self,
        x: &Tensor<D>,
        given: Given<'_, D>,
        step: &StepSize,
        noise: &Noise,
        recorded: usize,
    ) -> Layer<D> {
        let layers = self.config().layers;
        let first_recorded = layers - recorded;
        let recording = x.is_autodiff();
        let run = |model: &Self, x: &Tensor<D>, step: StepSize, from: Option<Layer<D>>, range| {
            // Masks have no graph, so that one is on the device of x only if x is.
            let beside = |mask: &Tensor<D>| match x.is_autodiff() {
                true => mask.clone().inner().autodiff(),
                false => mask.clone().inner(),
            };
            let (mask, support) = (given.mask.map(beside), given.support.map(beside));
            let given = Given { mask: mask.as_ref(), support: support.as_ref() };
            let encoder = model.encoder(step, noise);
            let state = encoder.run_given(x, given, from, range, |_| ());
            state.expect("a validated configuration has at least one layer")
        };
        let constant = (first_recorded > 0).then(|| {
            let state =
                run(&self.valid(), &x.clone().inner(), step.constant(), None, 0..first_recorded);
            // The rest of the graph is on the device of x.
            state.map(|tensor| if recording { tensor.autodiff() } else { tensor })
        });
        match constant {
            Some(state) if first_recorded == layers => state,
            state => run(self, x, step.clone(), state, first_recorded..layers),
        }
    }

    /// `D diag(g) z`, without the offset.
    pub(crate) fn synthesize(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        let code = match self.gain() {
            Some(gain) => code * along_atoms(&gain.unsqueeze()),
            None => code,
        };
        self.decoder().synthesize(code, extent)
    }
}
