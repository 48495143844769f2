//! Digits under a dense dictionary.

use std::ops::Range;
use std::path::Path;

use burn::tensor::Device;
use pudle_core::{AnyPudle, DenseDictionary, Pudle};
use pudle_data::{ColorMode, Digits, Image};

use pudle_train::TrainError;

use crate::attractors::{Attraction, Starts};
use crate::data::{Batch, DataKind, EncodedInput, Input, InputNoise, Source, Split};
use crate::depict::{Depict, OutputViews, Words};
use crate::error::{ExplainError, Result};
use crate::network::Network;
use crate::removal_run::ContinuedTraining;
use crate::subject::dense::DenseModel;
use crate::subject::{Batches, Retraining, Subject};
use crate::tiles::signed;
use crate::vectors::norm;

/// Digits that are encoded at once.
const BATCH: usize = 256;
/// Steps of the iteration that looks for attractors.
const ATTRACTION_STEPS: usize = 60;
/// Draws of noise that this iteration starts from.
const ATTRACTION_DRAWS: usize = 64;

/// A dense model and its digits.
#[derive(Debug)]
pub struct DigitSubject {
    model: DenseModel,
    digits: Digits,
    /// Numbers of the digits that the model was trained on; those after them were held out.
    trained: Range<usize>,
}

impl DigitSubject {
    /// A model and the digits that it was trained on, numbered `trained`; the digits after them were held out.
    ///
    /// # Errors
    /// Returns an error if there are no training digits, or if digits and atoms differ in size.
    pub fn new(
        model: Pudle<2, DenseDictionary>,
        digits: Digits,
        trained: Range<usize>,
        device: &Device,
    ) -> Result<Self> {
        let model = DenseModel::new(model, device);
        let pixels = digits.height() * digits.width();
        if pixels != model.dim() {
            let text = format!("digits of {pixels} pixels for atoms of {}", model.dim());
            return Err(ExplainError::Unsuitable(text));
        }
        if trained.is_empty() {
            return Err(ExplainError::Unsuitable("there is no training digit".into()));
        }
        Ok(Self { model, digits, trained })
    }

    fn numbers(&self, split: Split) -> Range<usize> {
        match split {
            Split::Training => self.trained.clone(),
            Split::HeldOut => self.trained.end..self.digits.len(),
        }
    }

    fn pixels(&self, number: usize) -> Vec<f32> {
        self.digits.pixels(number).expect("the digit exists")
    }

    fn batch(&self, numbers: Range<usize>) -> Result<Batch> {
        let pixels: Vec<f32> = numbers.clone().flat_map(|number| self.pixels(number)).collect();
        let codes = self.model.encode(&pixels)?;
        let offset = self.model.offset();
        let targets = pixels.into_iter().map(|value| value - offset).collect();
        let source = |number| Source { item: number as u32, row: 0, column: 0 };
        Ok(Batch { codes, targets, sources: numbers.map(source).collect() })
    }

    fn shape(&self) -> [usize; 3] {
        [1, self.digits.height(), self.digits.width()]
    }
}

impl Subject for DigitSubject {
    fn data_kind(&self) -> DataKind {
        DataKind::Whole
    }

    fn device(&self) -> &Device {
        self.model.device()
    }

    fn dictionary(&self) -> Vec<f32> {
        self.model.dictionary()
    }

    fn atoms(&self) -> usize {
        self.model.atoms()
    }

    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn batches(&self, split: Split) -> Batches<'_> {
        let numbers = self.numbers(split);
        let end = numbers.end;
        Box::new(numbers.step_by(BATCH).map(move |first| self.batch(first..end.min(first + BATCH))))
    }

    fn batch_count(&self, split: Split) -> usize {
        self.numbers(split).len().div_ceil(BATCH)
    }

    fn labels(&self, split: Split) -> &[u8] {
        &self.digits.labels()[self.numbers(split)]
    }

    fn held_out(&self) -> usize {
        self.numbers(Split::HeldOut).len()
    }

    fn held_out_inputs(&self, count: usize) -> Vec<Input> {
        let numbers = self.numbers(Split::HeldOut);
        let count = count.min(numbers.len());
        let input = |k| {
            let number = numbers.start + k * numbers.len() / count;
            Input {
                name: format!("held-out digit {number}"),
                number: Some(number),
                label: Some(self.digits.labels()[number]),
                values: self.digits.image(number).expect("the digit exists"),
                sigma: None,
            }
        };
        (0..count).map(input).collect()
    }

    /// Reads a picture of the digits' size, light on dark. The noise plays no part.
    fn read_input(&self, path: &Path, _noise: InputNoise) -> Result<Input> {
        let values = Image::read(path, ColorMode::Gray)?;
        let name = path.display().to_string();
        let input = Input { name, number: None, label: None, values, sigma: None };
        self.check_input(&input).map_err(ExplainError::of_input(&input.name))?;
        Ok(input)
    }

    fn check_input(&self, input: &Input) -> Result<()> {
        let [_, height, width] = self.shape();
        let values = &input.values;
        if (values.height, values.width) != (height, width) {
            return Err(ExplainError::Unsuitable(format!(
                "{}×{} pixels, but the digits have {width}×{height}",
                values.width, values.height
            )));
        }
        Ok(())
    }

    fn encode_input(&self, input: &Input) -> Result<EncodedInput> {
        self.check_input(input)?;
        let codes = self.model.encode(&input.values.data)?;
        Ok(EncodedInput { codes, grid: [1, 1], seen: input.values.clone(), output: None })
    }

    fn saliency(&self, input: &Input, entries: &[usize]) -> Result<Vec<Vec<f32>>> {
        self.model.saliency(&input.values.data, entries)
    }

    fn attraction(&self, seed: u64) -> Option<Attraction> {
        let norms = self.trained.clone().map(|number| norm(&self.pixels(number)));
        let norm = norms.sum::<f32>() / self.trained.len() as f32;
        let starts = Starts { draws: ATTRACTION_DRAWS, norm, steps: ATTRACTION_STEPS, seed };
        Some(self.model.attraction(starts))
    }

    fn thresholds(&self) -> Vec<f32> {
        self.model.thresholds()
    }

    fn network(&self) -> Option<Network> {
        Some(self.model.network())
    }

    fn retraining(&self) -> Option<&dyn Retraining> {
        Some(self)
    }
}

impl Retraining for DigitSubject {
    fn target(&self, datum: usize) -> Result<Vec<f32>> {
        let offset = self.model.offset();
        let pixels = self.pixels(self.trained.start + datum);
        Ok(pixels.into_iter().map(|value| value - offset).collect())
    }

    fn train_without(
        &self,
        training: &ContinuedTraining,
        without: &[usize],
    ) -> Result<Box<dyn Subject>> {
        let mut without = without.to_vec();
        without.sort_unstable();
        let checkpoint = training.run(self.device(), |config| {
            Ok(config.data.set_without(without).map_err(TrainError::from)?)
        })?;
        let AnyPudle::Dense(model) = checkpoint.model else {
            unreachable!("the model that training started from is dense")
        };
        let model = DenseModel::new(model, self.device());
        let (digits, trained) = (self.digits.clone(), self.trained.clone());
        Ok(Box::new(Self { model, digits, trained }))
    }
}

impl Depict for DigitSubject {
    fn words(&self) -> Words {
        Words { datum: "digit", data: "digits", item: "digit" }
    }

    fn datum_name(&self, source: Source) -> [String; 2] {
        let number = source.item;
        [format!("no. {number}"), format!("a {}", self.digits.labels()[number as usize])]
    }

    fn datum_columns(&self) -> &'static [&'static str] {
        &["datum", "class"]
    }

    fn datum_fields(&self, source: Source) -> Vec<String> {
        let label = self.digits.labels()[source.item as usize];
        vec![source.item.to_string(), label.to_string()]
    }

    fn datum_picture(&self, source: Source) -> Result<Image> {
        Ok(self.digits.image(source.item as usize).expect("the digit exists"))
    }

    /// The digit. Digits of negative weight are not inverted: their tiles are of another colour.
    fn sheet_picture(&self, source: Source, _inverted: bool) -> Result<Image> {
        self.datum_picture(source)
    }

    fn signed_picture(&self, values: &[f32]) -> Image {
        signed(values, self.shape())
    }

    fn output_picture(&self, values: &[f32]) -> Result<Image> {
        let offset = self.model.offset();
        let [channels, height, width] = self.shape();
        let values = values.iter().map(|value| value + offset).collect();
        Ok(Image::new(channels, height, width, values)?)
    }

    fn output_views(
        &self,
        encoded: &EncodedInput,
        _position: usize,
        decoded: &[f32],
    ) -> Result<OutputViews> {
        let output = self.output_picture(decoded)?;
        Ok(OutputViews { seen: encoded.seen.clone(), output, own: None })
    }
}
