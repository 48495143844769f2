//! Photographs under filters. A datum is what the filters at one position have to explain.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{ConvDictionary2d, Dictionary, Noise, Pudle};
use pudle_data::{
    ColorMode, Image, ImageFolder, Raster, Sigma, add_gaussian, add_validation_noise,
    estimate_sigma,
};
use rayon::prelude::*;

use crate::codes::SparseCodes;
use crate::data::{Batch, DataKind, EncodedInput, Input, InputNoise, Source, Split, Windows};
use crate::depict::{Depict, OutputViews, Words};
use crate::error::{ExplainError, Result};
use crate::subject::{Batches, Subject};
use crate::tiles::{boxed, cut, signed, surroundings};

/// A photograph that could be noisy is taken to have at least this noise, on the scale 0 … 255.
const LEAST_SIGMA: f32 = 0.01;

/// How photographs are encoded for an explanation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhotographOptions {
    /// The standard deviation of the noise that is added, on the scale 0 … 255.
    pub sigma: f32,
    /// Number of photographs that are used, counted from the first, at least 1.
    pub most: usize,
    /// Seed of the noise.
    pub seed: u64,
}

/// A convolutional model and its photographs.
///
/// With filters the direct part of the gradient vanishes where, for each filter, `Σ_u z_u (P_u x − P_u D z)ᵀ = 0`
/// over all positions `u`, with `P_u` the patch there. Let a datum be
///
/// ```text
/// r_u = P_u (x − D z) + D z_u,
/// ```
///
/// the patch of the clean photograph without the part that the codes at other positions explain. Then the equation is
/// `Σ_u (r_u − D z_u) z_uᵀ = 0`, the dense one, and the identity holds as it does there.
#[derive(Debug)]
pub struct PhotographSubject {
    model: Pudle<4, ConvDictionary2d>,
    folder: ImageFolder,
    /// The noise that the model was trained for.
    trained_sigma: Option<Sigma>,
    options: PhotographOptions,
    device: Device,
}

/// The codes of a photograph.
struct EncodedPhotograph {
    grid: [usize; 2],
    noisy: Image,
    denoised: Image,
    codes: SparseCodes,
}

impl PhotographSubject {
    /// A model and the folder of photographs that it was trained on. `trained_sigma` is the noise that it was trained for.
    ///
    /// # Errors
    /// Returns an error if an option is out of range, if the folder cannot be read, or if the model was trained for other
    /// noise.
    pub fn new(
        model: Pudle<4, ConvDictionary2d>,
        trained_sigma: Option<Sigma>,
        dir: &Path,
        options: PhotographOptions,
        device: &Device,
    ) -> Result<Self> {
        if !(0.0..=255.0).contains(&options.sigma) {
            return Err(ExplainError::range("sigma", options.sigma, "between 0 and 255"));
        }
        if options.most == 0 {
            return Err(ExplainError::range("photographs", 0, "at least 1"));
        }
        let channels = model.dictionary().atoms().dims()[1];
        let folder = ImageFolder::open(dir, color_mode(channels))?.with_capacity(0);
        let subject = Self { model, folder, trained_sigma, options, device: device.clone() };
        subject.check_sigma(options.sigma)?;
        Ok(subject)
    }

    /// A clean picture with noise of this subject's level added.
    pub fn with_noise(&self, clean: &Image) -> Image {
        add_gaussian(clean, self.options.sigma, self.options.seed)
    }

    /// Channels, rows and columns of a filter.
    fn shape(&self) -> [usize; 3] {
        let dims = self.model.dictionary().atoms().dims();
        [dims[1], dims[2], dims[3]]
    }

    fn windows(&self) -> Windows {
        let [_, height, width] = self.shape();
        Windows { size: [height, width], stride: self.model.dictionary().stride() }
    }

    fn path(&self, photograph: usize) -> &PathBuf {
        &self.folder.paths()[photograph]
    }

    fn file_name(&self, photograph: u32) -> String {
        let name = self.path(photograph as usize).file_name();
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Returns an error if the model was trained for other noise. Where it was trained for one level, a tenth more or less
    /// is accepted.
    fn check_sigma(&self, sigma: f32) -> Result<()> {
        let near = |trained: f32| (sigma / trained - 1.0).abs() <= 0.1;
        match self.trained_sigma {
            Some(trained) if sigma != trained.nearest(sigma) && !near(trained.nearest(sigma)) => {
                let range = format!("{trained}, the noise that the model was trained for");
                Err(ExplainError::range("sigma", sigma, range))
            }
            _ => Ok(()),
        }
    }

    fn encode_photograph(&self, noisy: &Image, sigma: f32) -> Result<EncodedPhotograph> {
        let [channels, height, width] = noisy.shape();
        let [_, _, h, w] = self.model.dictionary().covering([1, channels, height, width]);
        let noisy = noisy.pad_reflect_to(h, w);
        let extent = [1, channels, h, w];
        let x = Tensor::<4>::from_data(TensorData::new(noisy.data.clone(), extent), &self.device);
        let code = self.model.encode(x, &Noise::Same(f64::from(sigma)));
        let denoised = self.model.decode(code.clone(), extent);
        let [_, atoms, rows, columns] = code.dims();
        let code = match self.model.gain() {
            Some(gain) => code * gain.reshape([1, atoms, 1, 1]),
            None => code,
        };
        let values: Vec<f32> = code.permute([0, 2, 3, 1]).into_data().iter::<f32>().collect();
        let mut codes = SparseCodes::new(atoms)?;
        values.chunks_exact(atoms).for_each(|code| codes.push(code.iter().copied()));
        let data = denoised.into_data().iter::<f32>().collect();
        let denoised = Image::new(channels, h, w, data)?;
        Ok(EncodedPhotograph { grid: [rows, columns], noisy, denoised, codes })
    }

    /// All positions of a training photograph.
    fn batch(&self, photograph: usize, dictionary: &[f32]) -> Result<Batch> {
        let PhotographOptions { sigma, seed, .. } = self.options;
        let clean = self.folder.get(photograph)?;
        let noisy = add_validation_noise(&clean, sigma, seed, photograph as u64);
        let input = Input {
            name: self.file_name(photograph as u32),
            number: Some(photograph),
            label: None,
            values: noisy,
            sigma: Some(sigma),
        };
        self.check_input(&input)?;
        let encoded = self.encode_photograph(&input.values, sigma)?;
        let targets = self.targets(&clean, &encoded, dictionary);
        let (windows, columns) = (self.windows(), encoded.grid[1]);
        let source = |position| {
            let [row, column] = windows.corner(position, columns);
            Source { item: photograph as u32, row: row as u32, column: column as u32 }
        };
        let sources = (0..encoded.codes.len()).map(source).collect();
        Ok(Batch { codes: encoded.codes, targets, sources })
    }

    /// `r_u` of all positions of a photograph, `m` values each.
    fn targets(&self, clean: &Image, encoded: &EncodedPhotograph, dictionary: &[f32]) -> Vec<f32> {
        let [channels, size, _] = self.shape();
        let dim = channels * size * size;
        let [_, height, width] = encoded.noisy.shape();
        let clean = clean.pad_reflect_to(height, width);
        let (windows, columns) = (self.windows(), encoded.grid[1]);
        let mut targets = vec![0.0f32; encoded.codes.len() * dim];
        targets.par_chunks_mut(dim).enumerate().for_each(|(u, target)| {
            let [top, left] = windows.corner(u, columns);
            for c in 0..channels {
                for y in 0..size {
                    let from = (c * height + top + y) * width + left;
                    let rest = clean.data[from..from + size]
                        .iter()
                        .zip(&encoded.denoised.data[from..from + size]);
                    let row = &mut target[(c * size + y) * size..][..size];
                    row.iter_mut().zip(rest).for_each(|(t, (clean, all))| *t = clean - all);
                }
            }
            for (atom, value) in encoded.codes.row(u).iter() {
                let atom = &dictionary[atom * dim..(atom + 1) * dim];
                target.iter_mut().zip(atom).for_each(|(t, a)| *t += value * a);
            }
        });
        targets
    }
}

fn color_mode(channels: usize) -> ColorMode {
    if channels == 3 { ColorMode::Rgb } else { ColorMode::Gray }
}

impl Subject for PhotographSubject {
    fn data_kind(&self) -> DataKind {
        DataKind::Windows(self.windows())
    }

    fn device(&self) -> &Device {
        &self.device
    }

    /// The decoder's atoms.
    fn dictionary(&self) -> Vec<f32> {
        self.model.decoder().atoms().into_data().iter::<f32>().collect()
    }

    fn atoms(&self) -> usize {
        self.model.dictionary().count()
    }

    fn dim(&self) -> usize {
        self.shape().iter().product()
    }

    /// A batch for each photograph, as the positions of one photograph are encoded together.
    fn batches(&self, split: Split) -> Batches<'_> {
        let dictionary = self.dictionary();
        let photographs = 0..self.batch_count(split);
        Box::new(photographs.map(move |photograph| self.batch(photograph, &dictionary)))
    }

    fn batch_count(&self, split: Split) -> usize {
        match split {
            Split::Training => self.folder.len().min(self.options.most),
            Split::HeldOut => 0,
        }
    }

    fn sigma(&self) -> Option<f32> {
        Some(self.options.sigma)
    }

    fn read_input(&self, path: &Path, noise: InputNoise) -> Result<Input> {
        let picture = Image::read(path, color_mode(self.shape()[0]))?;
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let (values, sigma) = match noise {
            InputNoise::Add => (self.with_noise(&picture), self.options.sigma),
            InputNoise::Known(sigma) => (picture, sigma),
            InputNoise::Estimate => {
                let sigma = estimate_sigma(&picture).unwrap_or(LEAST_SIGMA);
                (picture, sigma.clamp(LEAST_SIGMA, 255.0))
            }
        };
        Ok(Input { name, number: None, label: None, values, sigma: Some(sigma) })
    }

    fn check_input(&self, input: &Input) -> Result<()> {
        let [channels, size, _] = self.shape();
        let [found, height, width] = input.values.shape();
        if found != channels || height.min(width) < size {
            return Err(ExplainError::Unsuitable(format!(
                "{found} channels and {width}×{height} pixels, but the filters need {channels} channels and at least \
                 {size}×{size} pixels"
            )));
        }
        self.check_sigma(input.sigma.unwrap_or(self.options.sigma))
    }

    fn encode_input(&self, input: &Input) -> Result<EncodedInput> {
        self.check_input(input)?;
        let sigma = input.sigma.unwrap_or(self.options.sigma);
        let EncodedPhotograph { grid, noisy, denoised, codes } =
            self.encode_photograph(&input.values, sigma)?;
        Ok(EncodedInput { codes, grid, seen: noisy, output: Some(denoised) })
    }
}

impl Depict for PhotographSubject {
    fn words(&self) -> Words {
        Words { datum: "patch", data: "patches", item: "photograph" }
    }

    fn datum_name(&self, source: Source) -> [String; 2] {
        [self.file_name(source.item), format!("{}, {}", source.row, source.column)]
    }

    fn datum_columns(&self) -> &'static [&'static str] {
        &["photograph", "row", "column"]
    }

    fn datum_fields(&self, source: Source) -> Vec<String> {
        let Source { item, row, column } = source;
        vec![self.file_name(item), row.to_string(), column.to_string()]
    }

    fn datum_picture(&self, source: Source) -> Result<Image> {
        let [_, size, _] = self.shape();
        let photograph = self.folder.get(source.item as usize)?;
        // Photographs smaller than a tile are reflected, so that all tiles have one shape.
        let side = size + 2 * (size / 2);
        let photograph = photograph.pad_reflect_to(side, side);
        Ok(cut(&photograph, [source.row as usize, source.column as usize], size, size / 2))
    }

    fn sheet_picture(&self, source: Source, inverted: bool) -> Result<Image> {
        let photograph = self.folder.get(source.item as usize)?;
        let corner = [source.row as usize, source.column as usize];
        let mut patch = surroundings(&photograph, corner, self.shape()[1]);
        if inverted {
            patch.data.iter_mut().for_each(|value| *value = 1.0 - *value);
        }
        Ok(patch)
    }

    fn signed_picture(&self, values: &[f32]) -> Image {
        signed(values, self.shape())
    }

    fn output_picture(&self, values: &[f32]) -> Result<Image> {
        let offset = self.model.config().offset as f32;
        let [channels, height, width] = self.shape();
        let values = values.iter().map(|value| value + offset).collect();
        Ok(Image::new(channels, height, width, values)?)
    }

    fn output_views(
        &self,
        encoded: &EncodedInput,
        position: usize,
        decoded: &[f32],
    ) -> Result<OutputViews> {
        let (side, corner) = (self.shape()[1], self.windows().corner(position, encoded.grid[1]));
        let denoised = encoded.output.as_ref().expect("photographs have an output");
        Ok(OutputViews {
            seen: surroundings(&encoded.seen, corner, side),
            output: surroundings(denoised, corner, side),
            own: Some(self.output_picture(decoded)?),
        })
    }

    fn marked_output(
        &self,
        input: &Input,
        encoded: &EncodedInput,
        positions: &[usize],
    ) -> Option<Image> {
        let mut marked = encoded.output.as_ref()?.clip();
        for position in positions {
            let corner = self.windows().corner(*position, encoded.grid[1]);
            marked = boxed(&marked, corner, self.shape()[1]);
        }
        Some(marked.window(0, 0, input.values.height, input.values.width))
    }
}
