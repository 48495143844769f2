//! A model over data of whatever rank.

use burn::tensor::{Device, TensorData};

use crate::config::PudleConfig;
use crate::dictionary::{Configured, DictionaryConfig, for_each_kind};
use crate::error::{ConfigError, WeightError};
use crate::kernels::Kernels;
use crate::model::Pudle;
use crate::noise::Noise;
use crate::weight::Weight;

/// Work on a model of whatever kind; see [`AnyPudle::visit`] and [`DictionaryConfig::visit`].
pub trait ModelVisitor {
    /// What the work gives.
    type Output;

    /// Works on data of rank `D` and dictionaries `A`. `wrap` makes a model of them one of any kind, and `model` is the one
    /// that is visited, if there is one already.
    fn visit<const D: usize, A: Configured<D>>(
        self,
        model: Option<Pudle<D, A>>,
        wrap: fn(Pudle<D, A>) -> AnyPudle,
    ) -> Self::Output;
}

macro_rules! any {
    ($($(#[$doc:meta])* $kind:ident($config:ty): $rank:literal, $dictionary:ty, $name:literal, $shape:literal;)*) => {
        /// A model over any of the kinds of dictionaries.
        #[derive(Clone, Debug)]
        pub enum AnyPudle {
            $($(#[$doc])* $kind(Pudle<$rank, $dictionary>),)*
        }

        impl AnyPudle {
            /// Runs the visitor on this model.
            pub fn visit<V: ModelVisitor>(self, visitor: V) -> V::Output {
                match self {
                    $(AnyPudle::$kind(model) => visitor.visit(Some(model), AnyPudle::$kind),)*
                }
            }

            /// The settings.
            pub fn config(&self) -> &PudleConfig {
                match self {
                    $(AnyPudle::$kind(model) => model.config(),)*
                }
            }

            /// The learned weights.
            pub fn weights(&self) -> Vec<Weight> {
                match self {
                    $(AnyPudle::$kind(model) => model.weights(),)*
                }
            }

            /// The same model with these values for all of its weights.
            ///
            /// # Errors
            /// Returns the errors of [`Pudle::with_weights`].
            pub fn with_weights(
                self,
                values: impl IntoIterator<Item = (String, TensorData)>,
            ) -> Result<Self, WeightError> {
                Ok(match self {
                    $(AnyPudle::$kind(model) => AnyPudle::$kind(model.with_weights(values)?),)*
                })
            }

            /// The same model with another implementation of the pass.
            ///
            /// # Errors
            /// Returns the errors of [`Pudle::with_kernels`].
            pub fn with_kernels(self, kernels: Kernels) -> Result<Self, ConfigError> {
                Ok(match self {
                    $(AnyPudle::$kind(model) => AnyPudle::$kind(model.with_kernels(kernels)?),)*
                })
            }

            /// `λ` of layer `t = 0, 1, …` for data of this noise: one number, one per atom, or one per datum and atom.
            pub fn lambda(&self, layer: usize, noise: &Noise) -> Vec<f32> {
                let lambda = match self {
                    $(AnyPudle::$kind(model) => model.threshold().lambda(layer, noise),)*
                };
                match lambda {
                    crate::Level::Scalar(lambda) => vec![lambda as f32],
                    crate::Level::PerAtom(lambda) => lambda.into_data().iter::<f32>().collect(),
                }
            }
        }

        impl DictionaryConfig {
            /// Runs the visitor for models over this kind of dictionary, without a model.
            pub fn visit<V: ModelVisitor>(&self, visitor: V) -> V::Output {
                match self {
                    $(DictionaryConfig::$kind(_) => {
                        visitor.visit::<$rank, $dictionary>(None, AnyPudle::$kind)
                    })*
                }
            }
        }
    };
}
for_each_kind!(any);

impl AnyPudle {
    /// A model with random atoms.
    ///
    /// # Errors
    /// Returns the errors of [`Pudle::new`].
    pub fn new(config: &PudleConfig, seed: u64, device: &Device) -> Result<Self, ConfigError> {
        struct New<'a>(&'a PudleConfig, u64, &'a Device);
        impl ModelVisitor for New<'_> {
            type Output = Result<AnyPudle, ConfigError>;

            fn visit<const D: usize, A: Configured<D>>(
                self,
                _: Option<Pudle<D, A>>,
                wrap: fn(Pudle<D, A>) -> AnyPudle,
            ) -> Self::Output {
                Ok(wrap(Pudle::new(self.0, self.1, self.2)?))
            }
        }
        config.dictionary.visit(New(config, seed, device))
    }

    /// A model with these atoms. They are not projected.
    ///
    /// # Errors
    /// Returns the errors of [`Pudle::from_data`].
    pub fn from_data(
        config: &PudleConfig,
        atoms: TensorData,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        struct FromData<'a>(&'a PudleConfig, TensorData, &'a Device);
        impl ModelVisitor for FromData<'_> {
            type Output = Result<AnyPudle, ConfigError>;

            fn visit<const D: usize, A: Configured<D>>(
                self,
                _: Option<Pudle<D, A>>,
                wrap: fn(Pudle<D, A>) -> AnyPudle,
            ) -> Self::Output {
                Ok(wrap(Pudle::from_data(self.0, self.1, self.2)?))
            }
        }
        config.dictionary.visit(FromData(config, atoms, device))
    }

    /// The weight of this path, if the model has it.
    pub fn weight(&self, path: &str) -> Option<Weight> {
        self.weights().into_iter().find(|weight| weight.path == path)
    }

    /// The dictionary's atoms, flat, in f32; their shape is that of the configured dictionary.
    pub fn atoms(&self) -> Vec<f32> {
        self.weight("dictionary.atoms").expect("every model has a dictionary").to_vec()
    }
}
