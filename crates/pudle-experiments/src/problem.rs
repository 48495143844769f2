//! Problems `x = D* z*` with a known dictionary, and what is measured against it.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{DenseDictionary, Pudle, PudleConfig};
use pudle_data::{Amplitude, Batch, SignRule, Source, SparseCoding, SparseCodingConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Result;

/// A matrix model.
pub type Dense = Pudle<2, DenseDictionary>;

/// The law of the amplitudes: `uniform:LOW:HIGH` with a sign for every entry, `one-sign:LOW:HIGH` with one
/// sign for all entries of a datum, `normal:MEAN:SD` times a sign for every entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law(pub Amplitude);

impl Law {
    /// Uniform with one sign for all entries of a datum.
    pub const fn one_sign(low: f32, high: f32) -> Self {
        Self(Amplitude::Uniform { low, high, sign: SignRule::PerDatum })
    }

    /// Uniform with a sign for every entry.
    pub const fn uniform(low: f32, high: f32) -> Self {
        Self(Amplitude::Uniform { low, high, sign: SignRule::PerEntry })
    }

    /// Normal times a sign for every entry.
    pub const fn normal(mean: f32, sd: f32) -> Self {
        Self(Amplitude::Gaussian { mean, sd })
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Amplitude::Uniform { low, high, sign: SignRule::PerDatum } => {
                write!(f, "one-sign:{low}:{high}")
            }
            Amplitude::Uniform { low, high, .. } => write!(f, "uniform:{low}:{high}"),
            Amplitude::Gaussian { mean, sd } => write!(f, "normal:{mean}:{sd}"),
        }
    }
}

impl FromStr for Law {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("\"{text}\" is none of uniform:LOW:HIGH, one-sign:LOW:HIGH and normal:MEAN:SD")
        };
        let parts: Vec<&str> = text.split(':').collect();
        let [name, a, b] = parts[..] else { return Err(wrong()) };
        let (a, b) = (a.parse().map_err(|_| wrong())?, b.parse().map_err(|_| wrong())?);
        match name {
            "uniform" => Ok(Self::uniform(a, b)),
            "one-sign" => Ok(Self::one_sign(a, b)),
            "normal" => Ok(Self::normal(a, b)),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Law {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Law {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Data with their dictionary and codes, on a plain device.
pub struct Problem {
    draws: SparseCoding,
    device: Device,
}

impl Problem {
    /// Draws the dictionary.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range.
    pub fn new(config: SparseCodingConfig, device: &Device) -> Result<Self> {
        Ok(Self { draws: SparseCoding::new(config)?, device: device.clone() })
    }

    /// `D*`, `[m, p]`.
    pub fn dictionary(&self) -> Tensor<2> {
        self.matrix(self.draws.dictionary().to_vec())
    }

    /// `normalise(D* + sd · N(0, 1))`, `[m, p]`.
    pub fn near(&self, sd: f64, seed: u64) -> Tensor<2> {
        self.matrix(self.draws.perturbed(sd as f32, seed))
    }

    fn matrix(&self, values: Vec<f32>) -> Tensor<2> {
        let config = self.draws.config();
        Tensor::from_data(TensorData::new(values, [config.dim, config.atoms]), &self.device)
    }

    /// The first `count` data, `[count, m]`, and their codes, `[count, p]`.
    pub fn data(&self, count: usize) -> (Tensor<2>, Tensor<2>) {
        let config = self.draws.config();
        let (mut x, mut z) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (datum, code) = self.draws.datum(i);
            x.extend(datum);
            z.extend(code);
        }
        let x = TensorData::new(x, [count, config.dim]);
        let z = TensorData::new(z, [count, config.atoms]);
        (Tensor::from_data(x, &self.device), Tensor::from_data(z, &self.device))
    }

    /// The data of a step, `[batch, m]`; step 0 is the first.
    ///
    /// # Errors
    /// Drawn data never return one.
    pub fn batch(&self, step: u64) -> Result<Batch> {
        Ok(self.draws.batch(step)?)
    }

    /// Whether every step sees all data.
    pub fn is_full_batch(&self) -> bool {
        self.draws.config().batch == self.draws.config().count
    }
}

/// A model of these atoms, on their device and in their dtype.
pub(crate) fn model(config: &PudleConfig, atoms: &Tensor<2>) -> Result<Dense> {
    Ok(Dense::from_data(config, atoms.to_data(), &atoms.device())?)
}

/// In double precision.
pub(crate) fn double(tensor: Tensor<2>) -> Tensor<2> {
    tensor.cast(DType::F64)
}

/// Frobenius norm.
pub(crate) fn norm(tensor: Tensor<2>) -> f64 {
    tensor.square().sum().into_scalar::<f64>().sqrt()
}

/// All entries, row after row.
pub(crate) fn values(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_round_trip() {
        for law in [Law::uniform(1.0, 2.0), Law::one_sign(0.5, 2.5), Law::normal(5.0, 1.0)] {
            assert_eq!(law.to_string().parse(), Ok(law));
        }
        for text in ["", "uniform", "uniform:1", "uniform:a:2", "normal:1:2:3", "cauchy:0:1"] {
            assert!(text.parse::<Law>().is_err(), "{text}");
        }
    }
}
