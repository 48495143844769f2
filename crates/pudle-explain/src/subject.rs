//! What is explained: a model and the data behind it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{Banks, DenseDictionary, Dictionary, Pudle};
use pudle_data::{Digits, Image};
use pudle_train::{AnyPudle, Checkpoint, DataConfig, RunConfig};

use crate::codes::SparseCodes;
use crate::error::{ExplainError, Result};
use crate::identity::{Identity, Moments, Ridge};
use crate::patches::Patches;

/// Data that are encoded at once.
const BATCH: usize = 256;

/// A model with the data that it was trained on.
#[derive(Debug)]
pub enum Subject {
    /// A dictionary over digits.
    Digits(DigitModel),
    /// Filters over photographs.
    Patches(Patches),
}

/// How photographs are encoded for an explanation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchOptions {
    /// Noise that is added, on the scale 0 … 255; that of training (the middle of its range) where not given.
    pub sigma: Option<f32>,
    /// Photographs that are used, counted from the first.
    pub most: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Subject {
    /// The model of a checkpoint with the data of `config`.
    ///
    /// # Errors
    /// Where the data cannot be read, do not fit the model, or are of a kind that has nothing to show.
    pub fn new(
        checkpoint: Checkpoint,
        config: &RunConfig,
        options: PatchOptions,
        device: &Device,
    ) -> Result<Self> {
        if matches!(checkpoint.config.banks, Banks::Decoder | Banks::Untied) {
            return Err(ExplainError::Unsuitable(format!(
                "the model's banks are {}, but the identity is for one dictionary: tied, or with gains",
                checkpoint.config.banks
            )));
        }
        if !config.data.without().is_empty() {
            return Err(ExplainError::Unsuitable(
                "the run left digits out of its training (data.without), which would be explained by, too".into(),
            ));
        }
        match (checkpoint.model, &config.data) {
            (AnyPudle::Dense(model), DataConfig::Digits { .. } | DataConfig::Strokes { .. }) => {
                let data = config.open_data()?.digits.expect("the data are digits");
                let digits = Arc::unwrap_or_clone(data.digits);
                Ok(Self::Digits(DigitModel::new(model, digits, data.trained, device)?))
            }
            (AnyPudle::Conv2d(model), DataConfig::Photographs(photographs)) => {
                let sigma = options.sigma.unwrap_or(photographs.sigma.middle());
                Ok(Self::Patches(Patches::open(
                    (model, checkpoint.sigma),
                    &photographs.dir,
                    sigma,
                    options,
                    device,
                )?))
            }
            (AnyPudle::Conv2d(_), DataConfig::DeadLeaves { .. }) => Err(ExplainError::Unsuitable(
                "the run was trained on drawn pictures, which are no files to point at: give the \
                 photographs to explain it by with --data"
                    .into(),
            )),
            _ => Err(ExplainError::Unsuitable(
                "explanations are for runs over digits and over photographs: these data have nothing to show"
                    .into(),
            )),
        }
    }
}

/// Codes and moments of all training data, from one pass over them.
#[derive(Debug)]
pub struct Encoded {
    /// The codes.
    pub codes: SparseCodes,
    /// Their moments with the data.
    pub moments: Moments,
}

impl Encoded {
    /// The identity of these data for a dictionary.
    ///
    /// # Errors
    /// As [`Identity::new`].
    pub fn identity(&self, dictionary: Vec<f32>, ridge: Ridge) -> Result<Identity> {
        if self.codes.non_zeros() == 0 {
            return Err(ExplainError::Unsuitable(
                "no training datum uses any atom (is λ too large?): there is nothing to explain by"
                    .into(),
            ));
        }
        Identity::new(&self.moments, dictionary, ridge)
    }
}

/// A dense dictionary over digits.
#[derive(Debug)]
pub struct DigitModel {
    model: Pudle<2, DenseDictionary>,
    digits: Digits,
    trained: Range<usize>,
    device: Device,
}

impl DigitModel {
    fn new(
        model: Pudle<2, DenseDictionary>,
        digits: Digits,
        trained: Range<usize>,
        device: &Device,
    ) -> Result<Self> {
        let (pixels, dim) =
            (digits.height() * digits.width(), model.dictionary().atoms().dims()[0]);
        if pixels != dim {
            return Err(ExplainError::Unsuitable(format!(
                "digits of {pixels} pixels for atoms of {dim}"
            )));
        }
        if trained.is_empty() {
            return Err(ExplainError::Unsuitable("no digit to explain by".into()));
        }
        Ok(Self { model, digits, trained, device: device.clone() })
    }

    /// The model.
    pub fn model(&self) -> &Pudle<2, DenseDictionary> {
        &self.model
    }

    /// The same digits under another model over them.
    pub fn with_model(&self, model: Pudle<2, DenseDictionary>) -> Self {
        Self {
            model,
            digits: self.digits.clone(),
            trained: self.trained.clone(),
            device: self.device.clone(),
        }
    }

    /// All digits; those numbered [`trained`](Self::trained) were trained on.
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// Numbers of the digits that were trained on.
    pub fn trained(&self) -> Range<usize> {
        self.trained.clone()
    }

    /// Numbers of those that were kept for validation.
    pub fn kept(&self) -> Range<usize> {
        self.trained.end..self.digits.len()
    }

    /// The atoms, one after the other, `p×m`.
    pub fn dictionary(&self) -> Vec<f32> {
        self.model.dictionary().atoms().transpose().into_data().iter::<f32>().collect()
    }

    /// Codes of vectors, `m` values each, as they come; times the gains of the decoder, where it has any, so that outputs are
    /// the dictionary times them.
    pub fn encode(&self, vectors: &[f32]) -> Vec<f32> {
        let dim = self.digits.height() * self.digits.width();
        let shape = [vectors.len() / dim, dim];
        let x = Tensor::<2>::from_data(TensorData::new(vectors.to_vec(), shape), &self.device);
        let code = self.model.encode(x);
        let code = match self.model.gain() {
            Some(gain) => code * gain.unsqueeze(),
            None => code,
        };
        code.into_data().iter::<f32>().collect()
    }

    /// The codes of these digits, and what they make of the moments. The numbers may repeat and may be any.
    pub fn encode_digits(&self, numbers: impl Iterator<Item = usize>) -> Result<Encoded> {
        let atoms = self.model.dictionary().count();
        let dim = self.digits.height() * self.digits.width();
        let mut codes = SparseCodes::new(atoms)?;
        let mut moments = Moments::new(atoms, dim);
        let offset = self.model.config().offset as f32;
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() {
            let batch: Vec<f32> = numbers
                .by_ref()
                .take(BATCH)
                .flat_map(|k| self.digits.pixels(k).expect("a digit that there is"))
                .collect();
            let first = codes.len();
            for code in self.encode(&batch).chunks_exact(atoms) {
                codes.push(code.iter().copied());
            }
            let targets: Vec<f32> = batch.into_iter().map(|value| value - offset).collect();
            moments.add(&codes, first..codes.len(), &targets);
        }
        Ok(Encoded { codes, moments })
    }

    /// Digits given by hand, a file each: pictures of the digits' size, light on dark.
    ///
    /// # Errors
    /// Where one cannot be read or has another size.
    pub fn read(&self, path: &Path) -> Result<Image> {
        let image = Image::read(path, pudle_data::ColorMode::Gray)?;
        let (height, width) = (self.digits.height(), self.digits.width());
        if (image.height, image.width) != (height, width) {
            return Err(ExplainError::Unsuitable(format!(
                "{}: {}×{} pixels, but the digits have {width}×{height}",
                path.display(),
                image.width,
                image.height
            )));
        }
        Ok(image)
    }
}
