//! Dictionary learning on rows in memory, without a settings file or a run directory.

use std::sync::Arc;

use pudle_core::{
    Algorithm, AnyPudle, Backend, DenseConfig, DenseDictionary, GradientEstimator, Pudle,
    PudleConfig, Step,
};
use pudle_data::{Matrix, MatrixBatches, Missing, Normalize, Rows, Source};

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::start::with_atoms;
use crate::start_data::atoms_from_data;
use crate::trainer::Trainer;
use crate::update::{Update, UpdateRule};

/// Learns a dictionary `D` with unit-norm atoms for rows `x ≈ D z`, so that `½‖x − D z‖² + λ‖z‖₁` is small for the codes `z`
/// that the unrolled layers find.
///
/// ```
/// use pudle_core::Backend;
/// use pudle_train::{Coder, DictionaryLearning};
///
/// // Each row is a multiple of one of three directions.
/// let rows: Vec<[f32; 4]> = (0..300)
///     .map(|i| {
///         let a = 1.0 + (i / 3) as f32 / 100.0;
///         [[a, 0.0, 0.0, 0.0], [0.0, a, a, 0.0], [0.0, 0.0, a, -a]][i % 3]
///     })
///     .collect();
/// let learning = DictionaryLearning { steps: 200, ..DictionaryLearning::new(3, 0.05) };
/// let checkpoint = learning.fit(&rows)?;
///
/// let coder = Coder::new(checkpoint, &Backend::default().device()?)?;
/// let codes = coder.encode_rows(&rows)?;
/// let decoded = coder.decode_rows(&codes)?;
/// assert_eq!((codes[0].len(), decoded[0].len()), (3, 4));
/// let distance = |i: usize| -> f32 { rows[i].iter().zip(&decoded[i]).map(|(x, y)| (x - y).powi(2)).sum() };
/// assert!(distance(0) < 0.1 && distance(1) < 0.1 && distance(2) < 0.1);
/// # Ok::<(), pudle_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DictionaryLearning {
    /// Number of atoms, at least 1.
    pub atoms: usize,
    /// Sparsity weight λ, at least 0, on the scale of the normalised rows.
    pub lambda: f64,
    /// Number of unrolled layers of FISTA, at least 1.
    pub layers: usize,
    /// Normalisation of the rows, which decoding undoes.
    pub normalize: Normalize,
    /// How a step changes the atoms. Online dictionary learning takes codes as constants, whatever the gradient.
    pub update: UpdateRule,
    /// Gradient of the dictionary for Adam.
    pub gradient: GradientEstimator,
    /// Number of training steps.
    pub steps: u64,
    /// Rows of a step.
    pub batch: usize,
    /// Adam's learning rate at the start, above 0 and at most 1: it falls to zero as a cosine. For online dictionary learning, the
    /// part of the way that an atom moves to its best value, which stays the same.
    pub learning_rate: f64,
    /// Seed of the start and of the order of rows.
    pub seed: u64,
}

impl DictionaryLearning {
    /// The defaults: 30 layers of step `1/‖D‖²`, no normalisation, and 1000 steps of 64 rows of online dictionary learning. Those of
    /// Adam start at `update: UpdateRule::Adam, learning_rate: 0.01`.
    pub fn new(atoms: usize, lambda: f64) -> Self {
        Self {
            atoms,
            lambda,
            layers: 30,
            normalize: Normalize::None,
            update: UpdateRule::Online,
            gradient: GradientEstimator::AE_LASSO,
            steps: 1000,
            batch: 64,
            learning_rate: 1.0,
            seed: 0,
        }
    }

    /// Learns from rows in memory, all of the same length.
    ///
    /// # Errors
    /// Returns an error if there are no rows, their lengths differ, a number is not finite, a setting is out of range, or the
    /// training diverges.
    pub fn fit(&self, rows: &[impl AsRef<[f32]>]) -> Result<Checkpoint> {
        let (values, width) = flat(rows)?;
        self.fit_matrix(Matrix::of_values(values, width)?)
    }

    /// Learns from a matrix, which may lie in files; see [`Matrix::open`].
    ///
    /// # Errors
    /// Returns the errors of [`fit`](Self::fit), and an error if a file cannot be read.
    pub fn fit_matrix(&self, matrix: Matrix) -> Result<Checkpoint> {
        let rate = self.learning_rate;
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(TrainError::range("learning_rate", rate, "above 0 and at most 1"));
        }
        let shape = DenseConfig { dim: matrix.width(), atoms: self.atoms };
        let mut config = PudleConfig::dense(shape)
            .with_layers(self.layers)
            .with_lambda(self.lambda)
            .with_algorithm(Algorithm::Fista)
            .with_gradient(self.gradient);
        config.step = Step::Auto;
        config.validate()?;
        let missing = Missing::Error;
        let normalization = MatrixBatches::measure(&matrix, self.normalize, missing, self.seed)?;
        let matrix = Arc::new(matrix);
        let batch = self.batch.min(matrix.len());
        let batches = MatrixBatches::new(matrix, normalization.clone(), missing, batch, self.seed)?;
        let device = Backend::default().device()?;
        let start = Pudle::<2, DenseDictionary>::new(&config, self.seed, &device)?;
        let start = with_atoms(start, &atoms_from_data(&batches, &config, self.seed)?)?;
        let update = Update { rule: self.update, learning_rate: rate, ..Update::adam(rate) };
        let mut trainer = Trainer::new(start, update);
        for step in 0..self.steps {
            if self.update == UpdateRule::Adam {
                let part = step as f64 / self.steps as f64;
                trainer.set_learning_rate(rate * 0.5 * (1.0 + (std::f64::consts::PI * part).cos()));
            }
            trainer.step(batches.batch(step)?)?;
        }
        let model = AnyPudle::Dense(trainer.model());
        Ok(Checkpoint { config, model, sigma: None, normalization })
    }
}

/// The numbers of rows one after the other, and the length of a row.
pub(crate) fn flat(rows: &[impl AsRef<[f32]>]) -> Result<(Vec<f32>, usize)> {
    let width = rows.first().map_or(0, |row| row.as_ref().len());
    let mut values = Vec::with_capacity(rows.len() * width);
    for (k, row) in rows.iter().enumerate() {
        let row = row.as_ref();
        let wrong = |what: String| Err(TrainError::Unsuitable(format!("row {k} {what}")));
        if row.len() != width || width == 0 {
            return wrong(format!("has {} numbers, and row 0 has {width}", row.len()));
        }
        if let Some(value) = row.iter().find(|value| !value.is_finite()) {
            return wrong(format!("holds {value}, which is not a finite number"));
        }
        values.extend_from_slice(row);
    }
    Ok((values, width))
}
