//! Filters over photographs: a datum is what one position of the filters has to explain.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{ConvDictionary2d, Dictionary, Pudle};
use pudle_data::{
    ColorMode, Image, ImageFolder, Raster, Sigma, add_gaussian, add_validation_noise,
};
use rayon::prelude::*;

use crate::codes::SparseCodes;
use crate::error::{ExplainError, Result};
use crate::identity::Moments;
use crate::subject::{Encoded, PatchOptions};

/// A convolutional dictionary over photographs.
///
/// With filters the direct part of the gradient vanishes where, for each filter, `Σ_u z_u (P_u x − P_u D z)ᵀ = 0`
/// over all positions `u`, `P_u` the patch there. Let a datum be
///
/// ```text
/// r_u = P_u (x − D z) + D z_u,
/// ```
///
/// the patch of the clean photograph less what the codes at other positions explain of it. Then this is
/// `Σ_u (r_u − D z_u) z_uᵀ = 0`, the dense equation, and the identity holds as it does there.
#[derive(Debug)]
pub struct Patches {
    model: Pudle<4, ConvDictionary2d>,
    folder: ImageFolder,
    sigma: f32,
    trained_sigma: Option<Sigma>,
    seed: u64,
    most: usize,
    device: Device,
}

/// Where a datum lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the photograph.
    pub image: usize,
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
}

/// Number of the first datum of each photograph, and how many positions lie side by side in it.
#[derive(Clone, Debug, Default)]
pub struct Places {
    starts: Vec<usize>,
    columns: Vec<usize>,
    stride: usize,
}

impl Places {
    /// Where datum `k` lies.
    ///
    /// # Panics
    /// Where there are not as many.
    pub fn place(&self, k: usize) -> Place {
        let image = self.starts.partition_point(|start| *start <= k) - 1;
        let (position, columns) = (k - self.starts[image], self.columns[image]);
        Place {
            image,
            top: position / columns * self.stride,
            left: position % columns * self.stride,
        }
    }
}

/// A photograph's codes.
#[derive(Debug)]
pub struct EncodedPhoto {
    /// Positions below and beside each other.
    pub grid: [usize; 2],
    /// What the model saw, reflected until the filters cover it.
    pub noisy: Image,
    /// The denoised photograph, as large.
    pub denoised: Image,
    /// The code at each position, row by row.
    pub codes: SparseCodes,
}

impl Patches {
    pub(crate) fn open(
        (model, trained_sigma): (Pudle<4, ConvDictionary2d>, Option<Sigma>),
        dir: &Path,
        sigma: f32,
        options: PatchOptions,
        device: &Device,
    ) -> Result<Self> {
        if !(0.0..=255.0).contains(&sigma) {
            return Err(ExplainError::range("sigma", sigma, "between 0 and 255"));
        }
        if options.most == 0 {
            return Err(ExplainError::range("photographs", 0, "at least 1"));
        }
        let channels = model.dictionary().atoms().dims()[1];
        let color = if channels == 3 { ColorMode::Rgb } else { ColorMode::Gray };
        let folder = ImageFolder::open(dir, color)?.with_capacity(0);
        let PatchOptions { most, seed, .. } = options;
        let device = device.clone();
        let subject = Self { model, folder, sigma, trained_sigma, seed, most, device };
        subject.check_noise(sigma)?;
        Ok(subject)
    }

    /// The model.
    pub fn model(&self) -> &Pudle<4, ConvDictionary2d> {
        &self.model
    }

    /// Noise that the photographs are given, on the scale 0 … 255.
    pub fn sigma(&self) -> f32 {
        self.sigma
    }

    /// Photographs that are used.
    pub fn len(&self) -> usize {
        self.folder.len().min(self.most)
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file of a photograph.
    pub fn path(&self, image: usize) -> &PathBuf {
        &self.folder.paths()[image]
    }

    /// Channels, and side of a filter.
    pub fn patch_shape(&self) -> [usize; 3] {
        let dims = self.model.dictionary().atoms().dims();
        [dims[1], dims[2], dims[3]]
    }

    /// The atoms that outputs are made of, the decoder's, one after the other.
    pub fn dictionary(&self) -> Vec<f32> {
        self.model.decoder().atoms().into_data().iter::<f32>().collect()
    }

    /// Pixels between positions of a filter.
    pub fn stride(&self) -> usize {
        self.model.dictionary().stride()
    }

    /// A training photograph.
    ///
    /// # Errors
    /// Where it can no longer be read.
    pub fn photograph(&self, image: usize) -> Result<Arc<Image>> {
        Ok(self.folder.get(image)?)
    }

    /// Refuses a photograph that is smaller than the filters or has other channels, and noise that the model was not trained
    /// for (by more than a tenth, where it was for one level): what it would say of it is not what it does.
    ///
    /// # Errors
    /// Names what was found and what must be.
    pub fn check_input(&self, noisy: &Image, sigma: f32) -> Result<()> {
        let [channels, size, _] = self.patch_shape();
        let [found, height, width] = noisy.shape();
        if found != channels || height.min(width) < size {
            return Err(ExplainError::Unsuitable(format!(
                "{found} channels and {width}×{height} pixels, but the filters need {channels} channels and at least \
                 {size}×{size} pixels"
            )));
        }
        self.check_noise(sigma)
    }

    fn check_noise(&self, sigma: f32) -> Result<()> {
        let near = |trained: f32| (sigma / trained - 1.0).abs() <= 0.1;
        match self.trained_sigma {
            Some(trained) if sigma != trained.nearest(sigma) && !near(trained.nearest(sigma)) => {
                let range = format!("{trained}, the noise that the model was trained for");
                Err(ExplainError::range("sigma", sigma, range))
            }
            _ => Ok(()),
        }
    }

    /// Encodes a noisy photograph, its noise being `sigma`.
    ///
    /// # Errors
    /// As [`check_input`](Self::check_input).
    pub fn encode(&self, noisy: &Image, sigma: f32) -> Result<EncodedPhoto> {
        self.check_input(noisy, sigma)?;
        let [channels, height, width] = noisy.shape();
        let [_, _, h, w] = self.model.dictionary().covering([1, channels, height, width]);
        let noisy = noisy.pad_reflect_to(h, w);
        let extent = [1, channels, h, w];
        let x = Tensor::<4>::from_data(TensorData::new(noisy.data.clone(), extent), &self.device);
        let code = self.model.clone().at_noise(&[f64::from(sigma)]).encode(x);
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
        Ok(EncodedPhoto { grid: [rows, columns], noisy, denoised, codes })
    }

    /// One pass over the training photographs. `progress` is told of each.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn encode_all(&self, mut progress: impl FnMut(usize)) -> Result<(Encoded, Places)> {
        let dictionary = self.dictionary();
        let [channels, size, _] = self.patch_shape();
        let (dim, stride) = (channels * size * size, self.stride());
        let atoms = self.model.dictionary().count();
        let mut codes = SparseCodes::new(atoms)?;
        let mut moments = Moments::new(atoms, dim);
        let mut places = Places { stride, ..Places::default() };
        for image in 0..self.len() {
            let clean = self.folder.get(image)?;
            let noisy = add_validation_noise(&clean, self.sigma, self.seed, image as u64);
            let photo = self.encode(&noisy, self.sigma)?;
            let [channels, height, width] = photo.noisy.shape();
            let clean = clean.pad_reflect_to(height, width);
            let columns = photo.grid[1];
            let mut targets = vec![0.0f32; photo.codes.len() * dim];
            targets.par_chunks_mut(dim).enumerate().for_each(|(u, target)| {
                let (top, left) = (u / columns * stride, u % columns * stride);
                for c in 0..channels {
                    for y in 0..size {
                        let from = (c * height + top + y) * width + left;
                        let rest = clean.data[from..from + size]
                            .iter()
                            .zip(&photo.denoised.data[from..from + size]);
                        let row = &mut target[(c * size + y) * size..][..size];
                        row.iter_mut().zip(rest).for_each(|(t, (clean, all))| *t = clean - all);
                    }
                }
                for (atom, value) in photo.codes.row(u).iter() {
                    let atom = &dictionary[atom * dim..(atom + 1) * dim];
                    target.iter_mut().zip(atom).for_each(|(t, a)| *t += value * a);
                }
            });
            places.starts.push(codes.len());
            places.columns.push(columns);
            let first = codes.len();
            codes.append(&photo.codes);
            moments.add(&codes, first..codes.len(), &targets);
            progress(image);
        }
        Ok((Encoded { codes, moments }, places))
    }

    /// A picture with noise of the level of this subject, for one to explain.
    pub fn with_noise(&self, clean: &Image) -> Image {
        add_gaussian(clean, self.sigma, self.seed)
    }
}

/// The window of `side` pixels at a place, with `margin` pixels around it, moved inwards where the picture ends.
pub(crate) fn cut(image: &Image, top: usize, left: usize, side: usize, margin: usize) -> Image {
    let side = (side + 2 * margin).min(image.height).min(image.width);
    let top = top.saturating_sub(margin).min(image.height - side);
    let left = left.saturating_sub(margin).min(image.width - side);
    image.window(top, left, side, side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_counted_along_rows_of_each_photograph() {
        let places = Places { starts: vec![0, 6], columns: vec![3, 2], stride: 8 };
        let at = |image, top, left| Place { image, top, left };
        assert_eq!(places.place(0), at(0, 0, 0));
        assert_eq!(places.place(5), at(0, 8, 16));
        assert_eq!(places.place(6), at(1, 0, 0));
        assert_eq!(places.place(9), at(1, 8, 8));
    }

    #[test]
    fn a_cut_stays_within() {
        let image = Image::from_fn(1, 20, 30, |_, y, x| (y * 30 + x) as f32);
        let part = cut(&image, 0, 25, 4, 3);
        assert_eq!(part.shape(), [1, 10, 10]);
        assert_eq!(part.data[0], 20.0);
    }
}
