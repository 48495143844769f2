//! Data that are encoded, a batch at a time.

use std::path::{Path, PathBuf};

use pudle_data::{ColorMode, Image, ImageFolder, Matrix, Missing, Rows};

use super::coder::Coder;
use crate::error::{Result, TrainError};

/// Most numbers of data and codes that are in memory at a time, unless one datum has more.
const MOST_NUMBERS: usize = 1 << 23;

/// Most data of a batch.
const MOST_DATA: usize = 1 << 14;

/// How data are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataOptions<'a> {
    /// Name of the array in a file of several.
    pub tensor: Option<&'a str>,
    /// Whether columns are data instead of rows.
    pub columns: bool,
    /// Height and width of the patches of pictures that are the vectors.
    pub patches: Option<[usize; 2]>,
}

/// Data of one shape in files, or pictures.
pub(super) enum Input {
    Arrays(Arrays),
    Picture(PathBuf),
    Pictures(ImageFolder),
}

/// Arrays of one shape.
pub(super) struct Arrays {
    pub matrix: Matrix,
    /// Number of data.
    pub count: usize,
    /// Whether the file holds one datum, without an axis for the batch.
    pub single: bool,
    /// Shape of a datum.
    pub datum: Vec<usize>,
}

impl Input {
    /// Opens data for a coder.
    ///
    /// # Errors
    /// Returns an error if the files cannot be read, or do not fit the atoms.
    pub fn open(path: &Path, options: DataOptions<'_>, coder: &Coder) -> Result<Self> {
        let axes = coder.axes();
        let given = options.tensor.is_some() || options.columns || options.patches.is_some();
        if axes == 3 && path.is_dir() {
            Self::without_options(given)?;
            return Ok(Self::Pictures(ImageFolder::open(path, ColorMode::AsIs)?));
        }
        if axes == 3 && path.is_file() && !Matrix::is_at(path) {
            Self::without_options(given)?;
            return Ok(Self::Picture(path.to_owned()));
        }
        if axes > 1 && (options.columns || options.patches.is_some()) {
            let reason = "only data of a matrix of atoms are columns or patches";
            return Err(TrainError::Unsuitable(format!("{}: {reason}", path.display())));
        }
        let matrix = match options.patches {
            Some(size) => Matrix::of_patches(path, size)?,
            None => Matrix::open(path, options.tensor, options.columns)?,
        };
        Ok(Self::Arrays(Arrays::new(matrix, path, coder)?))
    }

    fn without_options(given: bool) -> Result<()> {
        match given {
            true => Err(TrainError::Unsuitable(
                "pictures have no named arrays, columns or patches".into(),
            )),
            false => Ok(()),
        }
    }
}

impl Arrays {
    /// Data of a file. A picture of two axes has one channel.
    fn new(matrix: Matrix, path: &Path, coder: &Coder) -> Result<Self> {
        let axes = coder.axes();
        let rest = matrix.datum_shape();
        let arrays = match axes == 3 && rest.len() == 1 {
            true => Self { count: 1, single: true, datum: vec![1, matrix.len(), rest[0]], matrix },
            false => Self::of_axes(matrix, axes).map_err(|found| {
                let one = if axes == 2 { "[C, n]" } else { "[C, H, W]" };
                let reason = format!(
                    "an array of {found} axes, but data have shape {one}, with an axis before it for several"
                );
                TrainError::weights(path, reason)
            })?,
        };
        let code = coder.code_shape(&arrays.datum);
        code.map_err(|error| TrainError::in_file(path, error))?;
        Ok(arrays)
    }

    /// Codes of a file that does not describe them, for data of `axes` axes.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn of_codes(matrix: Matrix, axes: usize) -> std::result::Result<Self, String> {
        Self::of_axes(matrix, axes).map_err(|found| {
            let one = if axes == 2 { "[p, n']" } else { "[p, H', W']" };
            format!(
                "an array of {found} axes, but codes have shape {one}, with an axis before it for several"
            )
        })
    }

    /// Data of `axes` axes each: one, or several along an axis before. Returns the number of axes if it is another one.
    fn of_axes(matrix: Matrix, axes: usize) -> std::result::Result<Self, usize> {
        let rest = matrix.datum_shape();
        let (count, single, datum) = match rest.len() {
            _ if axes == 1 => (matrix.len(), false, vec![matrix.width()]),
            found if found == axes => (matrix.len(), false, rest),
            found if found + 1 == axes => (1, true, [&[matrix.len()], &rest[..]].concat()),
            found => return Err(found + 1),
        };
        Ok(Self { matrix, count, single, datum })
    }

    /// Reads all data a batch at a time, checks that they are finite or may be missing, and passes them on with the number of
    /// the first.
    pub fn batches(
        &self,
        codes: usize,
        missing: Missing,
        mut visit: impl FnMut(usize, &[f32], &[usize]) -> Result<()>,
    ) -> Result<()> {
        let width: usize = self.datum.iter().product();
        let batch = (MOST_NUMBERS / (width + codes)).clamp(1, MOST_DATA).min(self.count);
        // A single datum may be several rows of the file.
        let rows = self.matrix.len() / self.count;
        let mut data = vec![0.0; batch * width];
        for first in (0..self.count).step_by(batch) {
            let count = batch.min(self.count - first);
            let data = &mut data[..count * width];
            self.matrix.read(first * rows, data)?;
            for (k, row) in data.chunks_exact(self.matrix.width()).enumerate() {
                self.matrix.check(first * rows + k, row, missing)?;
            }
            visit(first, data, &[&[count], &self.datum[..]].concat())?;
        }
        Ok(())
    }
}

/// Reads a picture for a model with this number of channels: grey for one, and three equal channels of a grey picture for
/// three.
pub(super) fn picture(path: &Path, channels: usize) -> Result<Image> {
    let mode = if channels == 1 { ColorMode::Gray } else { ColorMode::Rgb };
    let image = Image::read(path, mode)?;
    if image.channels != channels {
        let reason = format!("a picture has 1 or 3 channels, but the atoms have {channels}");
        return Err(TrainError::weights(path, reason));
    }
    Ok(image)
}
