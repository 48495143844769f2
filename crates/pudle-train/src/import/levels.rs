//! Thresholds of other programs.

use std::path::Path;

use burn::tensor::TensorData;
use pudle_core::{Learned, Proximal, PudleConfig, Step, ThresholdConfig};

use super::array::Array;
use crate::error::{Result, TrainError};

/// Thresholds as a schedule of `λ` with its weights.
#[derive(Debug)]
pub(super) struct Levels {
    pub schedule: ThresholdConfig,
    /// `λ` for each atom, `[1, p]` or `[T, p]`; none if all are the same.
    pub weights: Option<TensorData>,
    /// A line about thresholds below zero.
    pub note: Option<String>,
}

impl Levels {
    /// The thresholds of a tensor. They are levels `θ` of the operator; the weights are `λ = θ/α`.
    ///
    /// # Errors
    /// Returns an error if their number is neither 1 nor that of the atoms, perhaps times that of the layers, if the step size
    /// is not a number, or if the operator does not take thresholds below zero.
    pub fn of(array: Array, config: &PudleConfig, path: &Path) -> Result<Self> {
        let name = &array.name;
        let wrong = |reason: String| TrainError::weights(path, reason);
        let Step::Given(step) = config.step else {
            return Err(wrong(format!(
                "{name:?} holds levels αλ, so the step size α must be a number, but it is {}",
                config.step
            )));
        };
        if !matches!(config.prox, Proximal::Soft | Proximal::Relu) {
            return Err(wrong(format!(
                "thresholds of the file are for the operators soft and relu, not for {}",
                config.prox
            )));
        }
        let (p, layers) = (config.dictionary.atoms(), config.layers);
        let squeezed: Vec<usize> = array.shape.iter().copied().filter(|axis| *axis != 1).collect();
        let rows = match squeezed[..] {
            [] => 1,
            [count] if count == p => 1,
            [rows, count] if rows == layers && count == p => rows,
            _ if p == 1 && squeezed == [layers] => layers,
            _ => {
                return Err(wrong(format!(
                    "{name:?} has shape {:?}, but thresholds have 1, {p} or {layers}×{p} numbers",
                    array.shape
                )));
            }
        };
        let lambda: Vec<f32> =
            array.values.iter().map(|level| (f64::from(*level) / step) as f32).collect();
        let below = lambda.iter().filter(|lambda| **lambda < 0.0).count();
        if squeezed.is_empty() && below == 0 {
            let schedule = ThresholdConfig::constant(f64::from(lambda[0]));
            return Ok(Self { schedule, weights: None, note: None });
        }
        let lambda = if squeezed.is_empty() { vec![lambda[0]; p] } else { lambda };
        let mean = lambda.iter().map(|v| f64::from(v.max(0.0))).sum::<f64>() / lambda.len() as f64;
        let learned = Learned { lambda: mean, per_layer: rows > 1, sigma: None, signed: below > 0 };
        let note = (below > 0).then(|| {
            let what = match config.prox {
                Proximal::Relu => "they add to the code, as biases do: max(v − θ, 0)",
                _ => "there the operator is max(v − θ, 0) − max(−v − θ, 0), which enlarges codes",
            };
            format!("{below} of {} thresholds in {name:?} are below zero; {what}", lambda.len())
        });
        Ok(Self {
            schedule: ThresholdConfig::Learned(learned),
            weights: Some(TensorData::new(lambda, [rows, p])),
            note,
        })
    }
}
