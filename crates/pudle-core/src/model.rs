//! The model: a dictionary with unrolled layers.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::config::PudleConfig;
use crate::dictionary::{Configured, Dictionary};
use crate::error::ConfigError;
use crate::given::Given;
use crate::kernels::Kernels;
use crate::step::{Step, StepSize};
use crate::threshold::Threshold;
use crate::tying::WeightTying;

/// An unrolled dictionary learning network over data of rank `D` (see [`Dictionary`] for shapes).
#[derive(Module, Debug)]
pub struct Pudle<const D: usize, A: Dictionary<D>> {
    /// The dictionary that all layers and the decoder share. If others have atoms of their own, it is that of the layers'
    /// synthesis.
    dictionary: A,
    /// Atoms of the layers' analysis, if it has its own.
    analysis: Option<A>,
    /// Atoms of the decoder, if it has its own.
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

fn learned_step(step: Step, dtype: DType, device: &Device) -> Option<Param<Tensor<1>>> {
    let Step::Learned(start) = step else { return None };
    Some(Param::from_tensor(Tensor::full([1], start, (device, dtype))))
}

impl<const D: usize, A: Configured<D>> Pudle<D, A> {
    /// A model with atoms drawn from `N(0, 1)` and projected onto the unit sphere, in f32, or onto its non-negative part. The
    /// draw depends only on `seed`, not on the device. Banks of atoms of their own start as those of the dictionary.
    ///
    /// # Errors
    /// Returns an error if `config` is not [valid](PudleConfig::validate), or describes a dictionary of
    /// another kind than `A`.
    pub fn new(config: &PudleConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        config.validate()?;
        let shape = config.dictionary.shape();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let atoms: Vec<f32> =
            (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut rng)).collect();
        let model = Self::from_data(config, TensorData::new(atoms, shape), device)?;
        let model = model.map_dictionary(A::project);
        let (analysis, decoder) = (model.analysis.map(A::project), model.decoder.map(A::project));
        let model = Self { analysis, decoder, ..model };
        Ok(if config.nonnegative { model.project() } else { model })
    }

    /// A model with these atoms. They keep their dtype and are not projected (see
    /// [`project`](Self::project)).
    ///
    /// # Errors
    /// Returns the errors of [`new`](Self::new), and an error if the shape of `atoms` is not the configured one.
    pub fn from_data(
        config: &PudleConfig,
        atoms: TensorData,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let expected = config.dictionary.shape();
        let found = atoms.shape().to_vec();
        if found != expected {
            return Err(ConfigError::Shape { field: "dictionary.atoms", found, expected });
        }
        let other_kind = || {
            let range = "the kind of the model that is built from it";
            ConfigError::range("model.dictionary.kind", config.dictionary.kind(), range)
        };
        if expected.len() != D {
            return Err(other_kind());
        }
        let dtype: DType = atoms.dtype();
        let atoms = Tensor::from_data(atoms, (device, dtype));
        config.kernels.check(&atoms)?;
        let dictionary = || A::configured(&config.dictionary, atoms.clone()).ok_or_else(other_kind);
        let own = |has: bool| has.then(dictionary).transpose();
        let (p, layers, tying) = (config.dictionary.atoms(), config.layers, config.tying);
        Ok(Self {
            dictionary: dictionary()?,
            analysis: own(tying == WeightTying::Untied)?,
            decoder: own(matches!(tying, WeightTying::Decoder | WeightTying::Untied))?,
            gain: (tying == WeightTying::Gain)
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

    /// The atoms of the layers' analysis: the dictionary's if they are tied.
    pub fn analysis(&self) -> &A {
        self.analysis.as_ref().unwrap_or(&self.dictionary)
    }

    /// The atoms of the decoder, without their [gains](Self::gain): the dictionary's if they are tied.
    pub fn decoder(&self) -> &A {
        self.decoder.as_ref().unwrap_or(&self.dictionary)
    }

    /// Gains of the dictionary's atoms in the decoder, `[p]`, if it has any.
    pub fn gain(&self) -> Option<Tensor<1>> {
        self.gain.as_ref().map(Param::val)
    }

    /// The learned step size, `[1]`, if it is learned.
    pub fn learned_step(&self) -> Option<Tensor<1>> {
        self.step.as_ref().map(Param::val)
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
    /// Returns an error if the fused pass is asked for and the backend has none, or if the settings do not go together.
    pub fn with_kernels(mut self, kernels: Kernels) -> Result<Self, ConfigError> {
        kernels.check(&self.dictionary.atoms())?;
        self.config.kernels = kernels;
        self.config.validate()?;
        Ok(self)
    }

    /// The same dictionary with other settings. Learned `λ` and a learned step keep their values if
    /// `config` [learns them alike](crate::ThresholdConfig::learns_alike).
    ///
    /// # Errors
    /// Returns an error if `config` is not [valid](PudleConfig::validate), requires a fused pass that the
    /// backend does not have, or describes another dictionary or weight tying.
    pub fn with_config(self, config: PudleConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        if config.dictionary != self.config.dictionary {
            let shape = format!("{:?}", config.dictionary.shape());
            let range = "that of the model whose settings change";
            return Err(ConfigError::range("model.dictionary", shape, range));
        }
        if config.tying != self.config.tying {
            let range = "that of the model whose settings change";
            return Err(ConfigError::range("model.tying", config.tying, range));
        }
        let atoms = self.dictionary.atoms();
        config.kernels.check(&atoms)?;
        let (dtype, device) = (atoms.dtype(), atoms.device());
        let own = &self.config;
        let threshold =
            match own.threshold.learns_alike(own.layers, &config.threshold, config.layers) {
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
    /// taken as they are: call [`project`](Self::project) if they must have unit norm.
    pub fn map_atoms(self, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        self.map_dictionary(|dictionary| dictionary.map_atoms(f))
    }

    /// The model with the first `count` atoms of `other` in place of its own, in the dictionary and in every bank of atoms of
    /// its own, outside any graph.
    ///
    /// # Panics
    /// Panics if `other` has atoms of another shape, or fewer than `count`.
    pub fn with_first_atoms_of(self, other: &Self, count: usize) -> Self {
        if count == 0 {
            return self;
        }
        let axis = A::ATOM_AXIS;
        let replace = |bank: A, from: &A| {
            let first = from.atoms().inner().narrow(axis, 0, count);
            bank.map_atoms(|atoms| match atoms.dims()[axis] - count {
                0 => first,
                rest => Tensor::cat(vec![first, atoms.narrow(axis, count, rest)], axis),
            })
        };
        let own = |bank: Option<A>, from: &Option<A>| Some(replace(bank?, from.as_ref()?));
        Self {
            dictionary: replace(self.dictionary, &other.dictionary),
            analysis: own(self.analysis, &other.analysis),
            decoder: own(self.decoder, &other.decoder),
            ..self
        }
    }

    fn map_dictionary(self, f: impl FnOnce(A) -> A) -> Self {
        Self { dictionary: f(self.dictionary), ..self }
    }

    /// The step size `α` on data of shape `extent`, as a number.
    pub fn step(&self, extent: [usize; D]) -> f64 {
        self.step_size(extent).value()
    }

    /// The step size `α` on data of shape `extent`.
    pub(crate) fn step_size(&self, extent: [usize; D]) -> StepSize {
        match (&self.step, self.config.step) {
            (Some(step), _) => StepSize::Learned(step.val()),
            (None, Step::Given(step) | Step::Learned(step)) => StepSize::Given(step),
            (None, Step::Auto) => self.safe_step(self.dictionary.valid().squared_norm(extent)),
        }
    }

    /// The step size on data of which something is known. An automatic one is larger on a small support, where the norm of
    /// `D` is smaller: the test of Schur, with ones on the support, says that it is at most the largest entry of `|D|ᵀ|D|`
    /// times them.
    pub(crate) fn step_given(&self, extent: [usize; D], given: Given<'_, D>) -> StepSize {
        let (Some(support), Step::Auto, None) = (given.support, self.config.step, &self.step)
        else {
            return self.step_size(extent);
        };
        let dictionary = self.dictionary.valid();
        let anywhere = dictionary.squared_norm(extent);
        let absolute = dictionary.map_atoms(|atoms| atoms.abs());
        let support = support.clone().inner();
        let sums = absolute.analyze(absolute.synthesize(support.clone(), extent)) * support;
        self.safe_step(anywhere.min(sums.max().into_scalar::<f64>()))
    }

    /// The largest step size with which the layers descend for sure, for `‖D‖²`.
    fn safe_step(&self, norm: f64) -> StepSize {
        // Code and baseline move at once, each with half a step.
        let parts = if self.config.baseline { 2.0 } else { 1.0 };
        let largest = norm * self.config.observation.curvature() * parts;
        StepSize::Given(if largest > 0.0 { 1.0 / largest } else { 1.0 })
    }

    /// `x` minus the offset; counts stay as they are.
    pub(crate) fn centred(&self, x: Tensor<D>) -> Tensor<D> {
        match self.config.observation.is_gaussian() && self.config.offset != 0.0 {
            true => x - self.config.offset,
            false => x,
        }
    }

    /// The mean of the data for a synthesis `D z`.
    pub(crate) fn restored(&self, synthesis: Tensor<D>) -> Tensor<D> {
        let u = match self.config.offset {
            0.0 => synthesis,
            offset => synthesis + offset,
        };
        self.config.observation.mean(u)
    }
}
