//! The kinds of dictionaries: the one list of them.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::operator::Dictionary;
use super::settings::KindConfig;
use crate::error::RangeError;

/// More weights than this (1 GiB in f32) count as a typing error.
const MOST_WEIGHTS: usize = 1 << 28;

/// Hands the list of kinds to a macro: name, settings, rank of the data, dictionary, word in a file, shape of the atoms.
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            /// A matrix, for vectors.
            Dense($crate::dictionary::dense::DenseConfig): 2, $crate::dictionary::dense::DenseDictionary, "dense", "m×p";
            /// Filters along a signal.
            Conv1d($crate::dictionary::conv::ConvConfig): 3, $crate::dictionary::conv::ConvDictionary<3>, "conv1d", "p×C×k";
            /// Filters over an image.
            Conv2d($crate::dictionary::conv::ConvConfig): 4, $crate::dictionary::conv::ConvDictionary<4>, "conv2d", "p×C×k×k";
        }
    };
}
pub(crate) use for_each_kind;

/// A dictionary that a [`DictionaryConfig`] describes.
pub trait Configured<const D: usize>: Dictionary<D> {
    /// A dictionary of these atoms; `None` if `config` describes another kind.
    fn configured(config: &DictionaryConfig, atoms: Tensor<D>) -> Option<Self>;
}

macro_rules! config {
    ($($(#[$doc:meta])* $kind:ident($config:ty): $rank:literal, $dictionary:ty, $name:literal, $shape:literal;)*) => {
        /// Kind and shape of a dictionary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "lowercase")]
        pub enum DictionaryConfig {
            $($(#[$doc])* $kind($config),)*
        }

        impl DictionaryConfig {
            /// The kind's word in a file, `conv2d` for example.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(DictionaryConfig::$kind(_) => $name,)*
                }
            }

            /// What the axes of the tensor of atoms are, `p×C×k×k` for example.
            pub fn axes(&self) -> &'static str {
                match self {
                    $(DictionaryConfig::$kind(_) => $shape,)*
                }
            }

            /// Number of atoms `p`.
            pub fn atoms(&self) -> usize {
                match self {
                    $(DictionaryConfig::$kind(config) => KindConfig::<$rank>::atoms(config),)*
                }
            }

            /// Samples between positions of an atom along each axis; `None` for a matrix.
            pub fn stride(&self) -> Option<usize> {
                match self {
                    $(DictionaryConfig::$kind(config) => KindConfig::<$rank>::stride(config),)*
                }
            }

            /// Shape of the tensor of atoms: `[m, p]`, `[p, C, k]` or `[p, C, k, k]`.
            pub fn shape(&self) -> Vec<usize> {
                match self {
                    $(DictionaryConfig::$kind(config) => KindConfig::<$rank>::shape(config),)*
                }
            }

            fn validate_kind(&self) -> Result<(), RangeError> {
                match self {
                    $(DictionaryConfig::$kind(config) => KindConfig::<$rank>::validate(config),)*
                }
            }
        }

        $(impl Configured<$rank> for $dictionary {
            fn configured(config: &DictionaryConfig, atoms: Tensor<$rank>) -> Option<Self> {
                match config {
                    DictionaryConfig::$kind(config) => Some(KindConfig::<$rank>::dictionary(config, atoms)),
                    _ => None,
                }
            }
        })*
    };
}
for_each_kind!(config);

impl DictionaryConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Returns an error for the first field that is out of its range.
    pub(crate) fn validate(&self) -> Result<(), RangeError> {
        if self.atoms() == 0 {
            return Err(RangeError::new("model.dictionary.atoms", 0, "at least 1"));
        }
        self.validate_kind()?;
        let weights = self.shape().iter().try_fold(1usize, |n, axis| n.checked_mul(*axis));
        if weights.is_none_or(|weights| weights > MOST_WEIGHTS) {
            let shape = format!("{:?}", self.shape());
            return Err(RangeError::new("model.dictionary", shape, "at most 2^28 weights"));
        }
        Ok(())
    }
}
