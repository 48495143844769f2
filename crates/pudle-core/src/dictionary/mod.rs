//! The dictionary `D` as a linear operator, over the rank of its data.

pub(crate) mod conv;
pub(crate) mod dense;
mod kind;
mod operator;
mod settings;
mod spectrum;

pub use conv::{ConvConfig, ConvDictionary, ConvDictionary1d, ConvDictionary2d, Convolution};
pub use dense::{DenseConfig, DenseDictionary};
pub(crate) use kind::for_each_kind;
pub use kind::{Configured, DictionaryConfig};
pub use operator::Dictionary;
pub(crate) use operator::{map_value, nonnegative_unit_norm, rank_one, unit_norm};
