//! The model: a dictionary, its encoder and decoder, and the objective that trains it.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::config::{DictionaryConfig, PudleConfig, Step};
use crate::dictionary::{ConvDictionary1d, ConvDictionary2d, DenseDictionary, Dictionary};
use crate::encoder::{Encoder, Layer};
use crate::error::ConfigError;
#[cfg(feature = "flex")]
use crate::fused;
use crate::fused::Kernels;
use crate::gradient::{Loss, Response};
use crate::implicit::solve_on_support;
use crate::padding::reflect_to;
use crate::proximal::{Level, Proximal, along_atoms};
use crate::threshold::{Threshold, ThresholdConfig};

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

/// An unrolled dictionary learning network over data of rank `D` (see [`Dictionary`] for shapes).
#[derive(Module, Debug)]
pub struct Pudle<const D: usize, A: Dictionary<D>> {
    /// The dictionary that all layers and the decoder share.
    dictionary: A,
    /// Sparsity weights.
    threshold: Threshold,
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
        let dictionary = A::configured(&config.dictionary, atoms).ok_or_else(kind_mismatch)?;
        let threshold = Threshold::new(config.threshold, config.dictionary.atoms(), dtype, device);
        Ok(Self { dictionary, threshold, config: config.clone() })
    }
}

impl<const D: usize, A: Dictionary<D>> Pudle<D, A> {
    /// The dictionary.
    pub fn dictionary(&self) -> &A {
        &self.dictionary
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

    /// The same dictionary under other settings. Learned `λ` stay as they are where `config` learns them
    /// too, from wherever it would start them.
    ///
    /// # Errors
    /// Where `config` does not [`validate`](PudleConfig::validate), asks for a fused pass that the
    /// backend has not, or describes another dictionary.
    pub fn with_config(self, config: PudleConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        if config.dictionary != self.config.dictionary {
            return Err(ConfigError::range(
                "model.dictionary",
                format!("{:?}", config.dictionary.shape()),
                "that of the model whose settings change",
            ));
        }
        let atoms = self.dictionary.atoms();
        config.kernels.check(&atoms)?;
        let threshold = match (self.threshold.is_learned(), config.threshold) {
            (true, ThresholdConfig::Learned { .. }) => self.threshold,
            (_, threshold) => {
                Threshold::new(threshold, self.dictionary.count(), atoms.dtype(), &atoms.device())
            }
        };
        Ok(Self { dictionary: self.dictionary, threshold, config })
    }

    /// The model with other atoms, outside any graph; see [`Dictionary::map_atoms`]. They are taken as they
    /// are, so that [`project`](Self::project) follows where they must have unit norm.
    pub fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        Self { dictionary: self.dictionary.map_atoms(f), ..self }
    }

    /// Projection of the weights onto what they must be: atoms of unit norm, learned `λ ≥ 0`. To be
    /// called after every update.
    pub fn project(self) -> Self {
        Self {
            dictionary: self.dictionary.project(),
            threshold: self.threshold.project(),
            config: self.config,
        }
    }

    /// The step size `α` on data of shape `extent`.
    pub fn step(&self, extent: [usize; D]) -> f64 {
        match self.config.step {
            Step::Given(step) => step,
            Step::Auto => {
                let norm = self.dictionary.valid().squared_norm(extent);
                if norm > 0.0 { 1.0 / norm } else { 1.0 }
            }
        }
    }

    /// The code `z_T` of `x`, recorded through all layers on an autodiff device.
    ///
    /// # Panics
    /// Where [`Dictionary::code_shape`] of `x` is `None`.
    pub fn encode(&self, x: Tensor<D>) -> Tensor<D> {
        let encoder = self.encoder(x.dims());
        match self.fused(&encoder, &x, self.config.layers) {
            Some((code, _)) => code,
            None => self.run(&encoder, &x, None, 0, self.config.layers).code,
        }
    }

    /// The codes `z_1, …, z_T` of every layer.
    pub fn encode_layers(&self, x: Tensor<D>) -> Vec<Tensor<D>> {
        let mut codes = Vec::with_capacity(self.config.layers);
        self.encoder(x.dims()).run(
            &self.dictionary,
            &self.threshold,
            &x,
            None,
            0..self.config.layers,
            |layer| codes.push(layer.code.clone()),
        );
        codes
    }

    /// The decoder `D z`, in the shape `extent` of the data.
    pub fn decode(&self, code: Tensor<D>, extent: [usize; D]) -> Tensor<D> {
        self.dictionary.synthesize(code, extent)
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
        let encoder = self.encoder(extent);
        match self.fused(&encoder, &x, 0) {
            Some((_, reconstruction)) => reconstruction,
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
            return fused::run(encoder, &self.dictionary, &self.threshold, x, layers);
        }
        let _ = (encoder, x, recorded);
        None
    }

    /// The forward pass of `x` against `target` (the datum itself, or the clean datum behind a
    /// noisy `x`), with the graph that the configured gradient estimator needs and no more.
    pub fn objective(&self, x: Tensor<D>, target: Tensor<D>) -> Objective<D> {
        let encoder = self.encoder(x.dims());
        let layers = self.config.layers;
        let recorded = match self.config.gradient.response {
            Response::All => layers,
            Response::Last(k) => k.min(layers),
            Response::Dropped | Response::Implicit => 0,
        };
        let extent = x.dims();
        let (code, reconstruction) = match self.fused(&encoder, &x, recorded) {
            Some(pair) => pair,
            None => {
                let code = self.run_last(&encoder, &x, recorded);
                (code.clone(), self.decode(code, extent))
            }
        };
        let batch = extent[0] as f64;
        let fit = (reconstruction.clone() - target.clone()).square().sum() * (0.5 / batch);
        let mut loss = match self.config.gradient.loss {
            Loss::Fit => fit.clone(),
            Loss::Lasso => fit.clone() + self.regularizer(code.clone()) / batch,
        };
        if self.config.gradient.response == Response::Implicit && x.is_autodiff() {
            loss = loss + self.implicit_response(&encoder, x, target, code.clone());
        }
        Objective { loss, fit, code, reconstruction }
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
            step: self.step(extent),
        }
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
            .run(&self.dictionary, &self.threshold, x, from, start..end, |_| ())
            .expect("a validated configuration has at least one layer")
    }

    /// The code, recorded through the last `recorded` layers only.
    fn run_last(&self, encoder: &Encoder, x: &Tensor<D>, recorded: usize) -> Tensor<D> {
        let layers = self.config.layers;
        let first_recorded = layers - recorded;
        let constant = (first_recorded > 0).then(|| {
            let state = self.valid().run(encoder, &x.clone().inner(), None, 0, first_recorded);
            // The rest of the graph lives on the device of x.
            state.map(|tensor| if x.is_autodiff() { tensor.autodiff() } else { tensor })
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
        let error = constant.decode(z.clone(), extent) - target.inner();
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
        let residual = x - self.decode(z, extent);
        let mut term = (self.decode(u.clone(), extent) * residual).sum();
        if encoder.proximal != Proximal::Hard
            && let Level::PerAtom(lambda) = lambda
        {
            term = term - (u * sign * along_atoms(&lambda)).sum();
        }
        let term = term / extent[0] as f64;
        term.clone() - term.detach()
    }
}
