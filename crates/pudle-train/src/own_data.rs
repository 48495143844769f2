//! Settings that follow from a matrix: the shape of the dictionary, and `λ`.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{DenseConfig, DenseDictionary, Dictionary, DictionaryConfig, Noise, Pudle};
use pudle_data::{DataConfig, Matrix, Missing, Opened, Rows};

use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::start::initial_model;
use crate::trainer::Trainer;

/// Atoms for each number of a datum, if nothing else is asked for.
const OVERCOMPLETE: usize = 4;
/// Most atoms, if nothing else is asked for.
const MOST_ATOMS: usize = 1024;
/// Most numbers of a matrix that is checked before a training.
const MOST_CHECKED: usize = 1 << 24;
/// Data in the sample on which `λ` is found.
const SAMPLE: usize = 1000;
/// Steps of the short trainings after which `λ` is found again.
const PILOTS: [usize; 2] = [40, 80];
/// The range below the level at which all codes are zero, in which `λ` is searched.
const RANGE: f64 = 1e-5;

/// How sparse codes are to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sparsity {
    /// Mean number of entries of a code that are not zero, above 0.
    Nonzeros(f64),
    /// Mean share of them, in (0, 1).
    Active(f64),
}

impl Sparsity {
    /// As a share of `atoms`.
    ///
    /// # Errors
    /// Returns an error if it is out of its range.
    fn share(self, atoms: usize) -> Result<f64> {
        let (field, value, share, range) = match self {
            Self::Nonzeros(count) => {
                let range = format!("above 0 and below {atoms}, the number of atoms");
                ("target_nonzeros", count, count / atoms as f64, range)
            }
            Self::Active(share) => ("target_active", share, share, "above 0 and below 1".into()),
        };
        match share > 0.0 && share < 1.0 {
            true => Ok(share),
            false => Err(TrainError::range(field, value, range)),
        }
    }

    /// What is usual: 5 % of the codes, but at least one, and no more than a quarter of the numbers of a datum.
    pub fn usual(dictionary: &DictionaryConfig) -> Self {
        let DictionaryConfig::Dense(DenseConfig { dim, atoms }) = *dictionary else {
            return Self::Active(0.05);
        };
        let most = (dim as f64 / 4.0).max(1.0).min(atoms as f64 / 2.0);
        Self::Nonzeros((0.05 * atoms as f64).max(1.0).min(most))
    }
}

/// A matrix that is open, on which a run is to be trained.
#[derive(Clone, Debug)]
pub struct OwnData {
    matrix: Arc<Matrix>,
}

impl OwnData {
    /// Opens the matrix of a run.
    ///
    /// # Errors
    /// Returns an error if the data are not a matrix, or cannot be read.
    pub fn open(config: &RunConfig) -> Result<Self> {
        config.data.validate()?;
        let DataConfig::Matrix(settings) = &config.data else {
            return Err(TrainError::range("data.kind", config.data.kind(), "matrix"));
        };
        Ok(Self { matrix: Arc::new(settings.matrix()?) })
    }

    /// Gives the dictionary the width of the data, and 4 atoms for each number of a datum, at most 1,024 and at most as many
    /// as data. The batch has at most as many data as training has.
    pub fn fit(&self, config: &mut RunConfig) {
        let DataConfig::Matrix(settings) = &mut config.data else { return };
        let (rows, dim) = (self.matrix.len(), self.matrix.width());
        if rows < 2 {
            settings.validation = 0.0;
        }
        let trained = rows - (rows as f64 * settings.validation).ceil() as usize;
        let atoms = (OVERCOMPLETE * dim).min(MOST_ATOMS).min(trained.max(1));
        config.model.dictionary = DictionaryConfig::Dense(DenseConfig { dim, atoms });
        config.training.batch = config.training.batch.min(trained.max(1));
    }

    /// Adam's learning rate for atoms of unit norm with as many numbers as a datum, which are the smaller the more there are. It is
    /// meant to fall to zero over the run.
    pub fn learning_rate(&self) -> f64 {
        three_digits((0.32 / (self.matrix.width() as f64).sqrt()).min(0.2))
    }

    /// Opens the data for training.
    ///
    /// # Errors
    /// Returns an error if a setting is out of range, or rows cannot be read.
    pub fn batches(&self, config: &RunConfig) -> Result<Opened> {
        config.validate()?;
        self.check(config.data.missing())?;
        config.open_matrix(self.matrix.clone())
    }

    /// Checks the numbers of a matrix that is read in a moment, so that a training of a few steps does not end in the middle.
    /// A larger one is checked as training reads it.
    fn check(&self, missing: Missing) -> Result<()> {
        let (rows, width) = (self.matrix.len(), self.matrix.width());
        if rows.saturating_mul(width) > MOST_CHECKED {
            return Ok(());
        }
        let mut row = vec![0.0; width];
        for number in 0..rows {
            self.matrix.read(number, &mut row)?;
            self.matrix.check(number, &row, missing)?;
        }
        Ok(())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.matrix.len()
    }

    /// Sets the `λ` at which codes have the wanted sparsity, to three digits, and returns it. It is found by bisection on a
    /// sample of 1,000 data, first for the initial atoms, then twice for the atoms of a short training with the `λ` of before.
    /// These trainings are not part of the run.
    ///
    /// # Errors
    /// Returns an error if the operator of the model has no level, the wanted sparsity is out of range, or data cannot be read.
    pub fn find_lambda(
        config: &mut RunConfig,
        opened: &Opened,
        wanted: Sparsity,
        device: &Device,
    ) -> Result<f64> {
        let dictionary = config.model.dictionary;
        let wanted = wanted.share(dictionary.atoms())?;
        if config.model.prox.level_name().is_none() || config.model.threshold.is_learned() {
            let range =
                "soft, relu or hard, with a λ that is not learned, to find it from the data";
            return Err(TrainError::range("model.prox", config.model.prox, range));
        }
        let sample = sample(opened, device)?;
        let start = initial_model::<2, DenseDictionary>(config, opened, false, device)?;
        let mut lambda = Search { model: start.clone(), sample: &sample, config }.run(wanted)?;
        let mut trained = start;
        for steps in PILOTS {
            config.model = config.model.clone().with_lambda(lambda);
            let model = trained.with_config(config.model.clone())?;
            let mut trainer =
                Trainer::new(model, config.training.update()).with_missing(config.data.missing());
            for step in 0..steps {
                trainer.step(opened.training.batch(step as u64)?)?;
            }
            trained = trainer.model();
            lambda = Search { model: trained.clone(), sample: &sample, config }.run(wanted)?;
        }
        config.model = config.model.clone().with_lambda(lambda);
        Ok(lambda)
    }
}

/// Data of the first batches, `[n, m]`. Missing numbers are zero.
fn sample(opened: &Opened, device: &Device) -> Result<Tensor<2>> {
    let (mut values, mut count, mut width, mut step) = (Vec::new(), 0, 1, 0);
    while count < SAMPLE {
        let batch = opened.training.batch(step)?;
        width = batch.shape[1];
        count += batch.shape[0];
        values.extend(batch.input);
        step += 1;
    }
    values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
    Ok(Tensor::from_data(TensorData::new(values, [count, width]), device))
}

/// The search for `λ` with one dictionary.
struct Search<'a> {
    model: Pudle<2, DenseDictionary>,
    sample: &'a Tensor<2>,
    config: &'a RunConfig,
}

impl Search<'_> {
    /// The `λ` at which the share of codes that are not zero is `wanted`.
    fn run(&self, wanted: f64) -> Result<f64> {
        let largest = self.sample.clone().matmul(self.model.dictionary().atoms()).abs().max();
        let largest = largest.into_scalar::<f64>();
        if !(largest > 0.0 && largest.is_finite()) {
            let reason = "the data have no λ: all numbers of the first rows are zero or not finite";
            return Err(TrainError::Unsuitable(reason.into()));
        }
        let (mut low, mut high) = ((RANGE * largest).ln(), largest.ln());
        for _ in 0..14 {
            let middle = 0.5 * (low + high);
            if self.active(middle.exp())? > wanted { low = middle } else { high = middle }
        }
        Ok(three_digits((0.5 * (low + high)).exp()))
    }

    /// The share of codes that are not zero at this `λ`.
    fn active(&self, lambda: f64) -> Result<f64> {
        let config = self.config.model.clone().with_lambda(lambda);
        let model = self.model.clone().with_config(config)?;
        let code = model.encode(self.sample.clone(), &Noise::Unknown);
        Ok(code.not_equal_elem(0.0).float().mean().into_scalar::<f64>())
    }
}

/// A number above 0, rounded to three digits.
fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
