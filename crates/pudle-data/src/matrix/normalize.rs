//! Normalisation of data, and its inverse.

use pudle_core::RangeError;
use serde::{Deserialize, Serialize};

/// How data are normalised before they are encoded.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
pub enum Normalize {
    /// Not at all.
    #[default]
    #[serde(rename = "none")]
    #[strum(serialize = "none")]
    None,
    /// The mean of every column is subtracted.
    #[serde(rename = "center")]
    #[strum(serialize = "center")]
    Center,
    /// Every column is divided by its standard deviation.
    #[serde(rename = "scale")]
    #[strum(serialize = "scale")]
    Scale,
    /// The mean is subtracted, then the column is divided by its standard deviation.
    #[serde(rename = "center+scale")]
    #[strum(serialize = "center+scale")]
    CenterScale,
    /// Every datum is divided by its norm. Its code is multiplied by it, so that decoding gives the datum.
    #[serde(rename = "unit")]
    #[strum(serialize = "unit")]
    Unit,
}

/// A [`Normalize`] with its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Numbers")]
pub struct Normalization {
    kind: Normalize,
    /// Means of the columns; empty if they are not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mean: Vec<f32>,
    /// Standard deviations of the columns; empty if they are not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scale: Vec<f32>,
}

/// A [`Normalization`] in a file, whose numbers are not checked yet.
#[derive(Deserialize)]
struct Numbers {
    kind: Normalize,
    #[serde(default)]
    mean: Vec<f32>,
    #[serde(default)]
    scale: Vec<f32>,
}

impl TryFrom<Numbers> for Normalization {
    type Error = RangeError;

    fn try_from(Numbers { kind, mean, scale }: Numbers) -> Result<Self, RangeError> {
        Self::new(kind, mean.len().max(scale.len()), mean, scale)
    }
}

impl Normalization {
    /// The normalisation of data of `width` numbers with these means and standard deviations. Each is empty if the kind
    /// does not use it.
    ///
    /// # Errors
    /// Returns an error if their number is wrong, or a number is not finite, or a standard deviation is not above 0.
    pub fn new(
        kind: Normalize,
        width: usize,
        mean: Vec<f32>,
        scale: Vec<f32>,
    ) -> Result<Self, RangeError> {
        let length = |used: bool| if used { width } else { 0 };
        let count = |field: &'static str, values: &[f32], used: bool| {
            if values.len() == length(used) {
                return Ok(());
            }
            let range = format!("{} numbers for the normalisation {kind}", length(used));
            Err(RangeError::new(field, format!("of {} numbers", values.len()), range))
        };
        count("mean", &mean, kind.centers())?;
        count("scale", &scale, kind.scales())?;
        if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
            return Err(RangeError::new("mean", value, "finite"));
        }
        if let Some(value) = scale.iter().find(|value| !(**value > 0.0 && value.is_finite())) {
            return Err(RangeError::new("scale", value, "finite and > 0"));
        }
        Ok(Self { kind, mean, scale })
    }

    /// No normalisation.
    pub fn none() -> Self {
        Self { kind: Normalize::None, mean: vec![], scale: vec![] }
    }

    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        self.kind == Normalize::None
    }

    /// The numbers of a datum that it is for; `None` if any.
    pub fn width(&self) -> Option<usize> {
        Some(self.mean.len().max(self.scale.len())).filter(|width| *width > 0)
    }

    /// The kind.
    pub fn kind(&self) -> Normalize {
        self.kind
    }

    /// Means of the columns; empty if they are not used.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Standard deviations of the columns; empty if they are not used.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }

    /// Normalises a datum. Missing numbers (`NaN`) stay missing. Returns the number by which the datum's code is
    /// multiplied: its norm for [`Normalize::Unit`], otherwise 1.
    pub fn apply(&self, datum: &mut [f32]) -> f32 {
        if self.kind == Normalize::Unit {
            let squares: f32 = datum.iter().filter(|v| !v.is_nan()).map(|v| v * v).sum();
            let norm = squares.sqrt();
            if norm > 0.0 {
                datum.iter_mut().for_each(|value| *value /= norm);
            }
            return norm;
        }
        datum.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
        datum.iter_mut().zip(&self.scale).for_each(|(value, scale)| *value /= scale);
        1.0
    }

    /// Undoes [`apply`](Self::apply) on a datum that is decoded from a code which was multiplied by the factor of `apply`.
    pub fn undo(&self, datum: &mut [f32]) {
        datum.iter_mut().zip(&self.scale).for_each(|(value, scale)| *value *= scale);
        datum.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value += mean);
    }
}

impl Normalize {
    /// Whether means are used.
    pub fn centers(self) -> bool {
        matches!(self, Self::Center | Self::CenterScale)
    }

    /// Whether standard deviations are used.
    pub fn scales(self) -> bool {
        matches!(self, Self::Scale | Self::CenterScale)
    }
}

/// Means and standard deviations of columns, from rows that come one by one.
pub(super) struct Moments {
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// The first number of every column, subtracted before the sums so that they do not lose digits.
    pivot: Vec<f64>,
}

impl Moments {
    pub fn new(width: usize) -> Self {
        let zeros = vec![0.0; width];
        Self { count: zeros.clone(), sum: zeros.clone(), squares: zeros.clone(), pivot: zeros }
    }

    /// Adds a row; missing numbers are left out.
    pub fn add(&mut self, row: &[f32]) {
        for (c, value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            if self.count[c] == 0.0 {
                self.pivot[c] = f64::from(*value);
            }
            let value = f64::from(*value) - self.pivot[c];
            self.count[c] += 1.0;
            self.sum[c] += value;
            self.squares[c] += value * value;
        }
    }

    /// The normalisation. A column without any variance is not scaled.
    pub fn normalization(&self, kind: Normalize) -> Normalization {
        let columns = 0..self.count.len();
        let mean = |c: usize| self.sum[c] / self.count[c].max(1.0);
        let sd = |c: usize| {
            let variance = self.squares[c] / self.count[c].max(1.0) - mean(c).powi(2);
            let sd = variance.max(0.0).sqrt() as f32;
            if sd > 1e-12 && sd.is_finite() { sd } else { 1.0 }
        };
        let means = columns.clone().map(|c| (mean(c) + self.pivot[c]) as f32);
        Normalization {
            kind,
            mean: if kind.centers() { means.collect() } else { vec![] },
            scale: if kind.scales() { columns.map(sd).collect() } else { vec![] },
        }
    }
}
