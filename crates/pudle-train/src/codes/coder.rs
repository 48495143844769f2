//! Codes of batches, and data from codes.

use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use pudle_core::{
    Algorithm, AnyPudle, DictionaryConfig, Noise, Proximal, PudleConfig, Step, WeightTying,
};
use pudle_data::{Missing, Normalization};

use super::lasso::Lasso;
use super::work::{Decode, Encode, ShapeOf, With, solved};
use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::learning::flat;
use crate::sigma::check_sigma;
use crate::stability::step_above_bound;

/// Encodes and decodes with a checkpoint, without a graph.
///
/// The shape of data is `[b, m]` for vectors, `[b, C, n]` for signals and `[b, C, H, W]` for pictures, and that of codes
/// `[b, p]`, `[b, p, n']` and `[b, p, H', W']`.
#[derive(Clone, Debug)]
pub struct Coder {
    model: AnyPudle,
    normalization: Normalization,
    noise: Noise,
    /// What a number of the data means that is NaN.
    missing: Missing,
    device: Device,
    /// Finds the lasso's solution instead of running the layers.
    lasso: Option<Arc<Lasso>>,
}

/// The codes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// Shape of the codes.
    pub shape: Vec<usize>,
    /// The codes.
    pub code: Vec<f32>,
    /// `x̂ = D z`, in the shape of the data.
    pub reconstruction: Vec<f32>,
}

impl Coder {
    /// Encodes with the settings of a checkpoint.
    ///
    /// # Errors
    /// Returns an error if the settings do not fit the weights, which those of a checkpoint do, or if codes are at known onsets.
    pub fn new(checkpoint: Checkpoint, device: &Device) -> Result<Self> {
        let Checkpoint { model, normalization, .. } = checkpoint;
        if model.config().shared || model.config().baseline {
            let reason = "the codes of this model are at known onsets: events.csv in the folder of its run has them";
            return Err(TrainError::Unsuitable(reason.into()));
        }
        let (device, missing) = (device.clone(), Missing::Error);
        let coder =
            Self { model, normalization, noise: Noise::Unknown, missing, device, lasso: None };
        coder.with_known_step()
    }

    /// The same coder with another number of layers, at least 1.
    ///
    /// # Errors
    /// Returns an error if thresholds are learned for each layer.
    pub fn with_layers(self, layers: usize) -> Result<Self> {
        let config = self.config();
        if config.threshold.is_learned()
            && config.threshold.varies_over_layers()
            && layers != config.layers
        {
            let range =
                format!("{}: its thresholds are learned for each of these layers", config.layers);
            return Err(TrainError::range("layers", layers, range));
        }
        let config = config.clone().with_layers(layers);
        self.with_config(config)
    }

    /// The same coder with another iteration in its layers.
    ///
    /// # Errors
    /// Returns an error if the model does not allow it.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self> {
        let config = self.config().clone().with_algorithm(algorithm);
        self.with_config(config)
    }

    /// A coder for the solution of the lasso, `½‖x − D z‖² + λ‖z‖₁` at its minimum over `z` (over `z ≥ 0` for `relu`), to which
    /// the layers converge. It is found by coordinate descent, faster than by many layers.
    ///
    /// # Errors
    /// Returns an error if the layers do not converge to a lasso: for filters, banks of their own, other operators, or `λ` that
    /// changes over layers or with the noise.
    pub fn exact(self) -> Result<Self> {
        let config = self.config();
        let AnyPudle::Dense(model) = &self.model else {
            return Err(no_lasso("its atoms are filters"));
        };
        if config.tying == WeightTying::Untied {
            return Err(no_lasso("analysis and synthesis have atoms of their own"));
        }
        if !matches!(config.prox, Proximal::Soft | Proximal::Relu) {
            return Err(no_lasso("its operator is neither soft nor relu"));
        }
        let threshold = &config.threshold;
        if threshold.varies_over_layers() || threshold.depends_on_noise() || threshold.is_signed() {
            return Err(no_lasso("λ is not one number for each atom"));
        }
        let lambda = self.model.lambda(0, &Noise::Unknown);
        let lasso = Some(Arc::new(Lasso::new(model, &lambda)));
        Ok(Self { lasso, ..self })
    }

    /// The same coder for data with noise of this standard deviation, on the scale 0 … 255, between 0.01 and 255.
    ///
    /// # Errors
    /// Returns an error if it is out of range, or if no threshold depends on the noise.
    pub fn with_sigma(self, sigma: f32) -> Result<Self> {
        check_sigma("sigma", sigma)?;
        if !self.depends_on_noise() {
            let reason = "the thresholds of this model do not depend on the noise, so a noise level has no effect";
            return Err(TrainError::Unsuitable(reason.into()));
        }
        Ok(Self { noise: Noise::Same(f64::from(sigma)), ..self })
    }

    /// The same coder with this meaning of numbers that are NaN. The default is [`Missing::Error`]. Missing numbers have no
    /// residual in the layers, and the reconstruction fills them in.
    ///
    /// # Errors
    /// Returns an error if numbers may be missing and the model is not a matrix of atoms, or finds the lasso's solution.
    pub fn with_missing(self, missing: Missing) -> Result<Self> {
        let reason = match (missing, &self.model, &self.lasso) {
            (Missing::Error, ..) | (Missing::Nan, AnyPudle::Dense(_), None) => {
                return Ok(Self { missing, ..self });
            }
            (Missing::Nan, AnyPudle::Dense(_), Some(_)) => {
                "the lasso is solved for whole data only; where numbers are missing, the layers find the codes"
            }
            (Missing::Nan, ..) => "numbers can be missing in the data of a matrix of atoms only",
        };
        Err(TrainError::Unsuitable(reason.into()))
    }

    /// What a number of the data means that is NaN.
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// The settings of the model.
    pub fn config(&self) -> &PudleConfig {
        self.model.config()
    }

    /// Whether the thresholds depend on the noise of the data.
    pub fn depends_on_noise(&self) -> bool {
        self.config().threshold.depends_on_noise()
    }

    /// The normalisation of the data.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Number of atoms.
    pub fn atoms(&self) -> usize {
        self.config().dictionary.atoms()
    }

    /// Number of axes of a datum: 1 for vectors, 2 for signals and 3 for pictures.
    pub fn axes(&self) -> usize {
        self.config().dictionary.shape().len() - 1
    }

    /// The numbers of a vector, or the channels of a signal or picture.
    pub fn channels(&self) -> usize {
        match self.config().dictionary {
            DictionaryConfig::Dense(dense) => dense.dim,
            _ => self.config().dictionary.shape()[1],
        }
    }

    /// The shape of the code of a datum of this shape, both without the batch. Signals and pictures are reflected at the
    /// end of each axis until the atoms cover them.
    ///
    /// # Errors
    /// Returns an error if the atoms do not fit the datum.
    pub fn code_shape(&self, datum: &[usize]) -> Result<Vec<usize>> {
        let misfit = || {
            let atoms = self.config().dictionary.shape();
            TrainError::Unsuitable(format!(
                "data of shape {datum:?} do not fit atoms of shape {atoms:?}"
            ))
        };
        if datum.len() != self.axes() || datum[0] != self.channels() || datum.contains(&0) {
            return Err(misfit());
        }
        self.model.clone().visit(ShapeOf { datum }).ok_or_else(misfit)
    }

    /// The shape of the data whose code has this shape, both without the batch.
    ///
    /// # Errors
    /// Returns an error if no code of the model has this shape.
    pub fn datum_shape(&self, code: &[usize]) -> Result<Vec<usize>> {
        let config = self.config().dictionary;
        if code.len() != self.axes() || code[0] != self.atoms() || code.contains(&0) {
            let reason = format!("codes of shape {code:?} do not belong to {} atoms", self.atoms());
            return Err(TrainError::Unsuitable(reason));
        }
        let (atoms, stride) = (config.shape(), config.stride().unwrap_or(1));
        let mut shape = vec![self.channels()];
        shape.extend((1..code.len()).map(|axis| (code[axis] - 1) * stride + atoms[axis + 1]));
        Ok(shape)
    }

    /// Encodes a batch of data of this shape, as [`Coder`] describes it. The data are normalised first, and the
    /// reconstruction is on their scale. Numbers that are NaN are missing if [`with_missing`](Self::with_missing) says so.
    ///
    /// # Errors
    /// Returns an error if the atoms do not fit the data, or if the layers diverge.
    ///
    /// # Panics
    /// Panics if there are more or fewer numbers than the shape says.
    pub fn encode(&self, data: &[f32], shape: &[usize]) -> Result<Coded> {
        let code_shape = self.code_shape(&shape[1..])?;
        let width: usize = shape[1..].iter().product();
        let mut x = data.to_vec();
        let factors: Vec<f32> =
            x.chunks_exact_mut(width).map(|datum| self.normalization.apply(datum)).collect();
        let mask = match self.missing {
            Missing::Error => None,
            Missing::Nan => split_missing(&mut x),
        };
        let data = TensorData::new(x, shape.to_vec());
        let mask = mask.map(|mask| TensorData::new(mask, shape.to_vec()));
        let (mut code, mut reconstruction) = match (&self.lasso, &self.model) {
            (Some(lasso), AnyPudle::Dense(model)) => solved(lasso, model, data, &self.device),
            _ => {
                let work = Encode { data, mask, noise: &self.noise, device: &self.device };
                self.model.clone().visit(work)
            }
        };
        if code.iter().chain(&reconstruction).any(|value| !value.is_finite()) {
            let cause = step_above_bound(&self.model)
                .unwrap_or_else(|| "the data are too large, or the weights do not fit".into());
            return Err(TrainError::Unsuitable(format!("the codes are not finite: {cause}")));
        }
        let codes = code.chunks_exact_mut(code_shape.iter().product());
        for ((factor, code), datum) in
            factors.iter().zip(codes).zip(reconstruction.chunks_exact_mut(width))
        {
            if *factor != 1.0 {
                code.iter_mut().chain(&mut *datum).for_each(|value| *value *= factor);
            }
            self.normalization.undo(datum);
        }
        let shape = [&shape[..1], &code_shape].concat();
        Ok(Coded { shape, code, reconstruction })
    }

    /// Data `D z` of a batch of codes of this shape, on the scale before normalisation. They have the shape `datum`, which
    /// the codes' atoms cover, and are cropped to it.
    ///
    /// # Errors
    /// Returns an error if the shapes do not fit each other.
    ///
    /// # Panics
    /// Panics if there are more or fewer numbers than the shape says.
    pub fn decode(&self, code: &[f32], shape: &[usize], datum: &[usize]) -> Result<Vec<f32>> {
        let covered = self.datum_shape(&shape[1..])?;
        if self.code_shape(datum)? != shape[1..] {
            let reason = format!(
                "codes of shape {:?} are not those of data of shape {datum:?}",
                &shape[1..]
            );
            return Err(TrainError::Unsuitable(reason));
        }
        let code = TensorData::new(code.to_vec(), shape.to_vec());
        let mut data = self.model.clone().visit(Decode {
            code,
            covered: &covered,
            datum,
            device: &self.device,
        });
        let width: usize = datum.iter().product();
        data.chunks_exact_mut(width).for_each(|datum| self.normalization.undo(datum));
        Ok(data)
    }

    /// The codes of rows, for a matrix of atoms.
    ///
    /// # Errors
    /// Returns the errors of [`encode`](Self::encode), and an error if the lengths of the rows differ.
    pub fn encode_rows(&self, rows: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.in_parts(rows, |values, shape| Ok(self.encode(values, shape)?.code))
    }

    /// The data of codes, for a matrix of atoms.
    ///
    /// # Errors
    /// Returns the errors of [`decode`](Self::decode), and an error if the lengths of the codes differ.
    pub fn decode_rows(&self, codes: &[impl AsRef<[f32]>]) -> Result<Vec<Vec<f32>>> {
        self.in_parts(codes, |values, shape| self.decode(values, shape, &[self.channels()]))
    }

    /// Works on some thousand rows at a time.
    fn in_parts(
        &self,
        rows: &[impl AsRef<[f32]>],
        work: impl Fn(&[f32], &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut results = Vec::with_capacity(rows.len());
        for part in rows.chunks(1 << 12) {
            let (values, width) = flat(part)?;
            let result = work(&values, &[part.len(), width])?;
            results.extend(result.chunks_exact(result.len() / part.len()).map(<[f32]>::to_vec));
        }
        Ok(results)
    }

    fn with_config(self, config: PudleConfig) -> Result<Self> {
        let model = self.model.visit(With { config })?;
        Ok(Self { model, ..self })
    }

    /// The step size of vectors is the same for all of them, so it is computed once.
    fn with_known_step(self) -> Result<Self> {
        let config = self.config();
        let DictionaryConfig::Dense(_) = config.dictionary else { return Ok(self) };
        match (config.step, crate::network_file::step(&self.model)) {
            (Step::Auto, Some(step)) => {
                let config = config.clone().with_step(step);
                self.with_config(config)
            }
            _ => Ok(self),
        }
    }
}

/// The mask of data: 1 where a number is known, 0 where it is missing. Missing numbers become zero. `None` if there are none.
fn split_missing(data: &mut [f32]) -> Option<Vec<f32>> {
    if !data.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mask = data.iter().map(|value| if value.is_nan() { 0.0 } else { 1.0 }).collect();
    data.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
    Some(mask)
}

fn no_lasso(reason: &str) -> TrainError {
    TrainError::Unsuitable(format!("the layers of this model do not converge to a lasso: {reason}"))
}
