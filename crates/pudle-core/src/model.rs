//! The model: a dictionary, its encoder and decoder, and the objective that trains it.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::config::{Banks, DictionaryConfig, PudleConfig, Step};
use crate::dictionary::{
    ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary, map_value,
};
use crate::encoder::{Encoder, Layer, Layers, StepSize};
use crate::error::ConfigError;
#[cfg(feature = "flex")]
use crate::fused;
use crate::fused::Kernels;
use crate::gradient::{Loss, Response};
use crate::implicit::solve_on_support;
use crate::padding::reflect_to;
use crate::proximal::{Level, Proximal, along_atoms};
use crate::threshold::Threshold;

/// A dictionary that a [`DictionaryConfig`] describes.
pub trait Configured<const D: usize>: Dictionary<D> {
    /// A dictionary of these atoms; `None` where `config` describes another kind.
    fn configured(config: &DictionaryConfig, atoms: Tensor<D>) -> Option<Self>;
}

impl Configured<2> for DenseDictionary {
    fn configured(config: &DictionaryConfig, atoms: Tensor<2>) -> Option<Self> {
        matches!(config, DictionaryConfig::Dense(_)).then(|| Self::new(atoms))
    }
}

impl Configured<3> for ConvDictionary1d {
    fn configured(config: &DictionaryConfig, atoms: Tensor<3>) -> Option<Self> {
        match config {
            DictionaryConfig::Conv1d(config) => Some(Self::new(atoms, config.stride)),
            _ => None,
        }
    }
}

impl Configured<4> for ConvDictionary2d {
    fn configured(config: &DictionaryConfig, atoms: Tensor<4>) -> Option<Self> {
        match config {
            DictionaryConfig::Conv2d(config) => Some(Self::new(atoms, config.stride)),
            _ => None,
        }
    }
}

/// What a learned step size is kept above.
const SMALLEST_STEP: f64 = 1e-6;

fn learned_step(step: Step, dtype: DType, device: &Device) -> Option<Param<Tensor<1>>> {
    let Step::Learned(start) = step else { return None };
    Some(Param::from_tensor(Tensor::full([1], start, (device, dtype))))
}

/// An unrolled dictionary learning network over data of rank `D` (see [`Dictionary`] for shapes).
#[derive(Module, Debug)]
pub struct Pudle<const D: usize, A: Dictionary<D>> {
    /// The dictionary that all layers and the decoder share; that of the layers' synthesis where others
    /// have their own.
    dictionary: A,
    /// Atoms of the layers' analysis, where they are its own.
    analysis: Option<A>,
    /// Atoms of the decoder, where they are its own.
    decoder: Option<A>,
    /// Gains of the dictionary's atoms in the decoder, `[p]`.
    gain: Option<Param<Tensor<1>>>,
    /// Sparsity weights.
    threshold: Threshold,
    /// Learned step size, `[1]`.
    step: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: PudleConfig,
}

/// What a forward pass computes.
#[derive(Clone, Debug)]
pub struct Objective<const D: usize> {
    /// The loss of the configured [`Loss`], mean over the batch, `[1]`; its `backward` is the
    /// configured gradient estimator.
    pub loss: Tensor<1>,
    /// `½‖target − D z‖²`, mean over the batch, `[1]`.
    pub fit: Tensor<1>,
    /// The code `z_T`.
    pub code: Tensor<D>,
    /// The reconstruction `D z_T`, in the shape of the data.
    pub reconstruction: Tensor<D>,
}

impl<const D: usize, A: Configured<D>> Pudle<D, A> {
    /// A model with atoms drawn from `N(0, 1)` and projected onto the unit sphere, in f32. The draw
    /// depends on `seed` alone, not on the device.
    ///
    /// # Errors
    /// Where `config` does not [`validate`](PudleConfig::validate), or describes a dictionary of
    /// another kind than `A`.
    pub fn new(config: &PudleConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.validate()?;
        let shape = config.dictionary.shape();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let atoms: Vec<f32> =
            (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
        let model = Self::from_data(config, TensorData::new(atoms, shape), device)?;
        Ok(model.project())
    }

    /// A model with these atoms, in the data's own dtype and as they are (see
    /// [`project`](Self::project)).
    ///
    /// # Errors
    /// As [`new`](Self::new), and where the shape of `atoms` is not the configured one.
    pub fn from_data(
        config: &PudleConfig,
        atoms: TensorData,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let expected = config.dictionary.shape();
        if atoms.shape().to_vec() != expected {
            return Err(ConfigError::Shape {
                field: "dictionary.atoms",
                found: atoms.shape().to_vec(),
                expected,
            });
        }
        let kind_mismatch = || {
            ConfigError::range(
                "model.dictionary.kind",
                format!("one with atoms of rank {}", config.dictionary.shape().len()),
                "the kind of the model that is built from it",
            )
        };
        if expected.len() != D {
            return Err(kind_mismatch());
        }
        let dtype: DType = atoms.dtype();
        let atoms = Tensor::from_data(atoms, (device, dtype));
        config.kernels.check(&atoms)?;
        let dictionary =
            || A::configured(&config.dictionary, atoms.clone()).ok_or_else(kind_mismatch);
        let own = |has: bool| has.then(dictionary).transpose();
        let (p, layers) = (config.dictionary.atoms(), config.layers);
        Ok(Self {
            dictionary: dictionary()?,
            analysis: own(config.banks == Banks::Untied)?,
            decoder: own(matches!(config.banks, Banks::Decoder | Banks::Untied))?,
            gain: (config.banks == Banks::Gain)
                .then(|| Param::from_tensor(Tensor::ones([p], (device, dtype)))),
            threshold: Threshold::new(config.threshold, layers, p, dtype, device),
            step: learned_step(config.step, dtype, device),
            config: config.clone(),
        })
    }
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The dictionary.
    pub fn dictionary(&self) -> &A {
        &self.dictionary
    }

    /// The atoms of the layers' analysis: the dictionary's where they are tied.
    pub fn analysis(&self) -> &A {
        self.analysis.as_ref().unwrap_or(&self.dictionary)
    }

    /// The atoms of the decoder, less their [gains](Self::gain): the dictionary's where they are tied.
    pub fn decoder(&self) -> &A {
        self.decoder.as_ref().unwrap_or(&self.dictionary)
    }

    /// The banks of atoms beside the dictionary, by name: `analysis`, `decoder`.
    pub fn own_banks(&self) -> impl Iterator<Item = (&'static str, &A)> {
        let analysis = self.analysis.iter().map(|bank| ("analysis", bank));
        analysis.chain(self.decoder.iter().map(|bank| ("decoder", bank)))
    }

    /// Gains of the dictionary's atoms in the decoder, `[p]`, where there are any.
    pub fn gain(&self) -> Option<Tensor<1>> {
        self.gain.as_ref().map(Param::val)
    }

    /// `D diag(g) z`, without the offset.
    fn synthesize(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        let code = match self.gain() {
            Some(gain) => code * along_atoms(&gain.unsqueeze()),
            None => code,
        };
        self.decoder().synthesize(code, extent)
    }

    /// The learned step size, `[1]`.
    pub fn learned_step(&self) -> Option<Tensor<1>> {
        self.step.as_ref().map(Param::val)
    }

    /// The same model for data of this noise: a level for each datum of a batch, or one for all, in the
    /// unit of the configured `sigma`. Makes a difference where thresholds are noise-adaptive
    /// ([`ThresholdConfig::Learned`](crate::ThresholdConfig::Learned)); without it they are those for `sigma` itself.
    pub fn at_noise(self, noise: &[f64]) -> Self {
        Self { threshold: self.threshold.at_noise(noise), ..self }
    }

    /// The sparsity weights.
    pub fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// The settings.
    pub fn config(&self) -> &PudleConfig {
        &self.config
    }

    /// The same model run by another implementation of the pass.
    ///
    /// # Errors
    /// Where the backend has no fused one, and that is asked for.
    pub fn with_kernels(mut self, kernels: Kernels) -> Result<Self, ConfigError> {
        kernels.check(&self.dictionary.atoms())?;
        self.config.kernels = kernels;
        self.config.validate()?;
        Ok(self)
    }

    /// The same dictionary under other settings. Learned `λ` and a learned step stay as they are where
    /// `config` learns them alike, from wherever it would start them.
    ///
    /// # Errors
    /// Where `config` does not [`validate`](PudleConfig::validate), asks for a fused pass that the
    /// backend has not, or describes another dictionary or other banks.
    pub fn with_config(self, config: PudleConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        if config.dictionary != self.config.dictionary {
            return Err(ConfigError::range(
                "model.dictionary",
                format!("{:?}", config.dictionary.shape()),
                "that of the model whose settings change",
            ));
        }
        if config.banks != self.config.banks {
            let range = "those of the model whose settings change";
            return Err(ConfigError::range("model.banks", config.banks, range));
        }
        let atoms = self.dictionary.atoms();
        config.kernels.check(&atoms)?;
        let (dtype, device) = (atoms.dtype(), atoms.device());
        // From one start, alike settings make weights of the same shape and meaning.
        let alike = config.threshold.with_lambda(0.0) == self.config.threshold.with_lambda(0.0)
            && (config.layers == self.config.layers || self.threshold.is_constant());
        let threshold = match self.threshold.is_learned() && alike {
            true => self.threshold,
            false => {
                let p = self.dictionary.count();
                Threshold::new(config.threshold, config.layers, p, dtype, &device)
            }
        };
        let step = match (self.step, config.step) {
            (Some(step), Step::Learned(_)) => Some(step),
            (_, step) => learned_step(step, dtype, &device),
        };
        Ok(Self { threshold, step, config, ..self })
    }

    /// The model with other atoms in its dictionary, outside any graph; see [`Dictionary::map_atoms`]. They are
    /// taken as they are, so that [`project`](Self::project) follows where they must have unit norm.
    pub fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        Self { dictionary: self.dictionary.map_atoms(f), ..self }
    }

    /// Projection of the weights onto what they must be: atoms of the dictionary of unit norm, learned
    /// `λ ≥ 0`, a learned step > 0. To be called after every update.
    pub fn project(self) -> Self {
        let positive =
            |step: Param<Tensor<1>>| map_value(step, |step| step.clamp_min(SMALLEST_STEP));
        Self {
            dictionary: self.dictionary.project(),
            threshold: self.threshold.project(),
            step: self.step.map(positive),
            ..self
        }
    }

    /// The step size `α` on data of shape `extent`.
    pub fn step(&self, extent: [usize; D]) -> f64 {
        match (&self.step, self.config.step) {
            (Some(step), _) => step.val().into_scalar::<f64>(),
            (None, Step::Given(step) | Step::Learned(step)) => step,
            (None, Step::Auto) => {
                let norm = self.dictionary.valid().squared_norm(extent);
                if norm > 0.0 { 1.0 / norm } else { 1.0 }
            }
        }
    }

    /// `x` less the offset.
    pub(crate) fn centred(&self, x: Tensor<D>) -> Tensor<D> {
        if self.config.offset == 0.0 { x } else { x - self.config.offset }
    }

    /// `x` and the offset.
    pub(crate) fn restored(&self, x: Tensor<D>) -> Tensor<D> {
        if self.config.offset == 0.0 { x } else { x + self.config.offset }
    }

    /// The code `z_T` of `x`, recorded through all layers on an autodiff device.
    ///
    /// # Panics
    /// Where [`Dictionary::code_shape`] of `x` is `None`.
    pub fn encode(&self, x: Tensor<D>) -> Tensor<D> {
        let x = self.centred(x);
        let encoder = self.encoder(x.dims());
        match self.fused(&encoder, &x, self.config.layers) {
            Some((code, _)) => code,
            None => self.run(&encoder, &x, None, 0, self.config.layers).code,
        }
    }

    /// The codes `z_1, …, z_T` of every layer.
    pub fn encode_layers(&self, x: Tensor<D>) -> Vec<Tensor<D>> {
        let mut codes = Vec::with_capacity(self.config.layers);
        let x = self.centred(x);
        self.encoder(x.dims()).run(
            &self.layers(),
            &self.threshold,
            &x,
            None,
            0..self.config.layers,
            |layer| codes.push(layer.code.clone()),
        );
        codes
    }

    /// The decoder `D z`, in the shape `extent` of the data; the configured offset is added.
    pub fn decode(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        self.restored(self.synthesize(code, extent))
    }

    /// `D z_T` of `x`, without a graph. Data of any extent: `x` is reflected at the end of each axis
    /// until the atoms cover it, and the result cropped back.
    ///
    /// # Panics
    /// Where `x` has other channels, or another dimension, than the atoms.
    pub fn reconstruct(&self, x: Tensor<D>) -> Tensor<D> {
        let model = self.valid();
        let extent = x.dims();
        let x = reflect_to(x.inner(), self.dictionary.covering(extent));
        model.autoencode(x).slice(extent.map(|length| 0..length))
    }

    /// The model outside any graph.
    pub(crate) fn inference(&self) -> Self {
        self.valid()
    }

    /// `D z_T` of data that the atoms cover.
    pub(crate) fn autoencode(&self, x: Tensor<D>) -> Tensor<D> {
        let extent = x.dims();
        let x = self.centred(x);
        let encoder = self.encoder(extent);
        match self.fused(&encoder, &x, 0) {
            Some((_, reconstruction)) => self.restored(reconstruction),
            None => self.decode(self.run(&encoder, &x, None, 0, self.config.layers).code, extent),
        }
    }

    /// The fused pass, where it is to be used.
    fn fused(
        &self,
        encoder: &Encoder,
        x: &Tensor<D>,
        recorded: usize,
    ) -> Option<(Tensor<D>, Tensor<D>)> {
        #[cfg(feature = "flex")]
        if self.config.kernels != Kernels::Composed {
            let layers = (self.config.layers, recorded, self.config.recompute);
            return fused::run(encoder, self, x, layers);
        }
        let _ = (encoder, x, recorded);
        None
    }

    /// The forward pass of `x` against `target` (the datum itself, or the clean datum behind a
    /// noisy `x`), with the graph that the configured gradient estimator needs and no more.
    pub fn objective(&self, x: Tensor<D>, target: Tensor<D>) -> Objective<D> {
        let (x, target) = (self.centred(x), self.centred(target));
        let encoder = self.encoder(x.dims());
        let (code, reconstruction) = self.forward(&encoder, &x);
        let batch = x.dims()[0] as f64;
        let fit = (reconstruction.clone() - target.clone()).square().sum() * (0.5 / batch);
        let mut loss = match self.config.gradient.loss {
            Loss::Fit => fit.clone(),
            Loss::Lasso => fit.clone() + self.regularizer(code.clone()) / batch,
        };
        if self.config.gradient.response == Response::Implicit && x.is_autodiff() {
            loss = loss + self.implicit_response(&encoder, x, target, code.clone());
        }
        Objective { loss, fit, code, reconstruction: self.restored(reconstruction) }
    }

    /// Code and reconstruction of `x`, both without the offset, with the graph that the configured gradient
    /// estimator needs.
    fn forward(&self, encoder: &Encoder, x: &Tensor<D>) -> (Tensor<D>, Tensor<D>) {
        let layers = self.config.layers;
        let recorded = match self.config.gradient.response {
            Response::All => layers,
            Response::Last(k) => k.min(layers),
            Response::Dropped | Response::Implicit => 0,
        };
        self.fused(encoder, x, recorded).unwrap_or_else(|| {
            let code = self.run_last(encoder, x, recorded);
            (code.clone(), self.synthesize(code, x.dims()))
        })
    }

    /// The [`objective`](Self::objective) of the mean of reconstructions of several parts of `x`, each moved
    /// back to its place, as [`reconstruct_shifted`](Pudle::reconstruct_shifted) takes it. Part `k` begins at
    /// `starts[k]` along the last axes, and is `reach` shorter than `x` along each; what is compared with
    /// the target, and returned, is what all parts of any start have: `x` less `reach` on every side. The
    /// codes of all parts come one after the other.
    ///
    /// The fit is that of the mean of `averaged` parts, of which `starts` are a draw without repetition: with
    /// `S` of `K` drawn and errors `e_k`,
    /// `½ (a ⟨‖e_k‖²⟩ + b ‖⟨e_k⟩‖²)`, `b = (1 − 1/K)/(1 − 1/S)`, `a = 1/K − b/S`, has the expectation
    /// `½ ‖(1/K) Σ e_k‖²`, for `⟨‖e‖²⟩` counts each part's own error and `‖⟨e⟩‖²` less the `S`-th of it only what parts
    /// have in common. For `K = S` this is the mean of those drawn itself. A single draw can be below zero.
    ///
    /// # Panics
    /// Where a start is beyond `reach`, `starts` is empty or a single one for more `averaged`, data are vectors, or the
    /// gradient is an implicit one.
    pub fn shifted_objective(
        &self,
        x: Tensor<D>,
        target: Tensor<D>,
        starts: &[[usize; 2]],
        reach: usize,
        averaged: usize,
    ) -> Objective<D> {
        assert!(D > 2, "vectors have no axis to shift along");
        let drawn = starts.len();
        assert!(averaged >= drawn, "{drawn} parts were drawn of {averaged}");
        assert!(drawn > 1 || averaged == drawn, "one part tells nothing of what parts share");
        assert!(
            self.config.gradient.response != Response::Implicit,
            "no implicit gradient of a mean"
        );
        let narrow = |x: Tensor<D>, start: &dyn Fn(usize) -> usize, shorter: usize| {
            (2..D).fold(x, |x, axis| {
                let length = x.dims()[axis] - shorter;
                x.narrow(axis, start(axis), length)
            })
        };
        let (x, target) = (self.centred(x), self.centred(target));
        let target = narrow(target, &|_| reach, 2 * reach);
        let parts = starts.iter().map(|at| narrow(x.clone(), &|axis| at[axis - 2], reach));
        let x = Tensor::cat(parts.collect(), 0);
        let (code, reconstructions) = self.forward(&self.encoder(x.dims()), &x);
        let batch = target.dims()[0];
        let moved = starts.iter().zip(reconstructions.split(batch, 0));
        let moved: Vec<Tensor<D>> =
            moved.map(|(at, part)| narrow(part, &|axis| reach - at[axis - 2], reach)).collect();
        let sum = moved.iter().cloned().reduce(|sum, part| sum + part);
        let reconstruction = sum.expect("at least one part") / drawn as f64;
        let squares =
            |part: Tensor<D>| (part - target.clone()).square().sum() * (0.5 / batch as f64);
        let mut fit = squares(reconstruction.clone());
        if averaged > drawn {
            let [drawn, averaged] = [drawn, averaged].map(|count| count as f64);
            let shared = (1.0 - 1.0 / averaged) / (1.0 - 1.0 / drawn);
            let own = 1.0 / averaged - shared / drawn;
            let each = moved.into_iter().map(squares).reduce(|sum, part| sum + part);
            fit = fit * shared + each.expect("at least one part") * (own / drawn);
        }
        let loss = match self.config.gradient.loss {
            Loss::Fit => fit.clone(),
            Loss::Lasso => fit.clone() + self.regularizer(code.clone()) / (batch * drawn) as f64,
        };
        Objective { loss, fit, code, reconstruction: self.restored(reconstruction) }
    }

    /// [`objective`](Self::objective) on data of any extent, for validation: both are reflected as in
    /// [`reconstruct`](Self::reconstruct); the reconstruction is cropped back, and fit and loss count
    /// the data alone.
    pub fn covered_objective(&self, x: Tensor<D>, target: Tensor<D>) -> Objective<D> {
        let extent = x.dims();
        let covered = self.dictionary.covering(extent);
        if covered == extent {
            return self.objective(x, target);
        }
        let padded = self.objective(reflect_to(x, covered), reflect_to(target.clone(), covered));
        let reconstruction = padded.reconstruction.slice(extent.map(|length| 0..length));
        let fit = (reconstruction.clone() - target).square().sum() * (0.5 / extent[0] as f64);
        let loss = padded.loss - padded.fit + fit.clone();
        Objective { loss, fit, code: padded.code, reconstruction }
    }

    pub(crate) fn encoder(&self, extent: [usize; D]) -> Encoder {
        Encoder {
            proximal: self.config.prox,
            algorithm: self.config.algorithm,
            step: match &self.step {
                Some(step) => StepSize::Learned(step.val()),
                None => StepSize::Given(self.step(extent)),
            },
        }
    }

    fn layers(&self) -> Layers<'_, A> {
        Layers { analysis: self.analysis(), synthesis: &self.dictionary }
    }

    fn run(
        &self,
        encoder: &Encoder,
        x: &Tensor<D>,
        from: Option<Layer<D>>,
        start: usize,
        end: usize,
    ) -> Layer<D> {
        encoder
            .run(&self.layers(), &self.threshold, x, from, start..end, |_| ())
            .expect("a validated configuration has at least one layer")
    }

    /// The code, recorded through the last `recorded` layers only.
    fn run_last(&self, encoder: &Encoder, x: &Tensor<D>, recorded: usize) -> Tensor<D> {
        let layers = self.config.layers;
        let first_recorded = layers - recorded;
        let recording = x.is_autodiff();
        let constant = (first_recorded > 0).then(|| {
            let x = x.clone().inner();
            let state = self.valid().run(&encoder.constant(), &x, None, 0, first_recorded);
            // The rest of the graph lives on the device of x.
            state.map(|tensor| if recording { tensor.autodiff() } else { tensor })
        });
        match constant {
            Some(state) if first_recorded == layers => state.code,
            state => self.run(encoder, x, state, first_recorded, layers).code,
        }
    }

    /// `λ‖z‖₁`, summed over the batch, with the last layer's `λ`. Learned weights are constants
    /// here: the loss is smallest without any, and would drive them to zero.
    fn regularizer(&self, code: Tensor<D>) -> Tensor<1> {
        match self.threshold.lambda(self.config.layers - 1) {
            Level::Scalar(lambda) => code.abs().sum() * lambda,
            Level::PerAtom(lambda) => (code.abs() * along_atoms(&lambda.detach())).sum(),
        }
    }

    /// A term of value zero whose gradient is the response of the fixed point (see
    /// [`crate::implicit`]); `code` is a constant.
    fn implicit_response(
        &self,
        encoder: &Encoder,
        x: Tensor<D>,
        target: Tensor<D>,
        code: Tensor<D>,
    ) -> Tensor<1> {
        let extent = x.dims();
        let constant = self.valid();
        let z = code.inner();
        let lambda = self.threshold.lambda(self.config.layers - 1);
        let sign = z.clone().sign();
        let support = sign.clone().abs();
        let error = constant.dictionary.synthesize(z.clone(), extent) - target.inner();
        let mut g = constant.dictionary.analyze(error);
        if self.config.gradient.loss == Loss::Lasso {
            g = g + match &lambda {
                Level::Scalar(lambda) => sign.clone() * *lambda,
                Level::PerAtom(lambda) => sign.clone() * along_atoms(&lambda.clone().inner()),
            };
        }
        let u = solve_on_support(&constant.dictionary, g, &support, extent);
        // ⟨u, F⟩ with u and z constant: its gradient is uᵀ ∂F/∂θ.
        let (u, z, sign) = (u.autodiff(), z.autodiff(), sign.autodiff());
        let synthesize = |code| self.dictionary.synthesize(code, extent);
        let residual = x - synthesize(z);
        let mut term = (synthesize(u.clone()) * residual).sum();
        if encoder.proximal != Proximal::Hard
            && let Level::PerAtom(lambda) = lambda
        {
            term = term - (u * sign * along_atoms(&lambda)).sum();
        }
        let term = term / extent[0] as f64;
        term.clone() - term.detach()
    }
}
