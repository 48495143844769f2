//! Labelled pictures of digits.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{DataError, Result, check_count};
use crate::fingerprint::Fingerprint;
use crate::idx::Idx;
use crate::image::Image;
use crate::order::Order;
use crate::source::{Batch, Source};

/// Which part of a data set of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitPart {
    /// Files named `train-…`.
    Train,
    /// Files named `t10k-…`.
    Test,
}

impl DigitPart {
    /// The part's name in file names, `train` or `t10k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }
}

/// Grey pictures of one size with a class each, MNIST for example.
///
/// The pixels are held as bytes, as in the files. Methods return them as values in \[0, 1\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    height: usize,
    width: usize,
    /// `labels.len() * height * width` bytes.
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Digits {
    /// Reads the images and labels of one part whose label is among `classes` (all if it is empty).
    ///
    /// `path` is a folder with the usual files, `train-images-idx3-ubyte` and
    /// `train-labels-idx1-ubyte` or the same with `t10k`, each with or without `.gz`, and with `.`
    /// or `-` before `idx`. It can also be the file of images itself, with the file of labels in the same
    /// folder; `part` is then not used. Pictures may have any size.
    ///
    /// # Errors
    /// Returns an error if files are missing, unreadable or not IDX, if images and labels do not match, or if no picture
    /// is of these classes.
    pub fn open(path: &Path, part: DigitPart, classes: &[u8]) -> Result<Self> {
        let (images_path, labels_path) = find(path, part)?;
        let images = Idx::read(&images_path)?;
        let labels = Idx::read(&labels_path)?;
        let [count, height, width] = images.dims[..] else {
            let rank = images.dims.len();
            let reason = format!("{rank} dimensions, but images have 3 (count, rows, columns)");
            return Err(DataError::format(&images_path, reason));
        };
        if height * width == 0 {
            let reason = format!("images of {height} × {width} pixels");
            return Err(DataError::format(&images_path, reason));
        }
        if labels.dims != [count] {
            let reason = format!(
                "labels of dimensions {:?} for {count} images, expected [{count}]",
                labels.dims
            );
            return Err(DataError::format(&labels_path, reason));
        }
        let wanted = |label: u8| classes.is_empty() || classes.contains(&label);
        let (mut pixels, mut of_classes) = (Vec::new(), Vec::new());
        for (image, &label) in images.data.chunks_exact(height * width).zip(&labels.data) {
            if wanted(label) {
                pixels.extend_from_slice(image);
                of_classes.push(label);
            }
        }
        if of_classes.is_empty() {
            let reason = format!("none of {count} pictures is of the classes {classes:?}");
            return Err(DataError::format(&labels_path, reason));
        }
        Ok(Self { height, width, pixels, labels: of_classes })
    }

    /// `pixels` must have `labels.len() * height * width` bytes.
    pub(crate) fn from_bytes(
        height: usize,
        width: usize,
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Self {
        debug_assert_eq!(pixels.len(), labels.len() * height * width);
        Self { height, width, pixels, labels }
    }

    /// What the pictures and labels are.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_contents(&[&self.pixels, &self.labels])
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows of each picture.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of each picture.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The class of every picture.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Picture `i` as `height * width` values in \[0, 1\], row by row; `None` past the last.
    pub fn pixels(&self, i: usize) -> Option<Vec<f32>> {
        let size = self.height * self.width;
        let bytes = self.pixels.chunks_exact(size).nth(i)?;
        Some(bytes.iter().map(|&v| f32::from(v) / 255.0).collect())
    }

    /// Picture `i` as a grey [`Image`]; `None` past the last.
    pub fn image(&self, i: usize) -> Option<Image> {
        let data = self.pixels(i)?;
        Some(Image { channels: 1, height: self.height, width: self.width, data })
    }
}

/// The files of images and labels of a part, in a folder or by the path of the images.
fn find(path: &Path, part: DigitPart) -> Result<(PathBuf, PathBuf)> {
    let meta = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
    if !meta.is_dir() {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let labels = name.replace("images", "labels").replace("idx3", "idx1");
        if labels == name {
            let reason =
                "the file of labels is not known, as this name does not contain \"images\"";
            return Err(DataError::format(path, reason));
        }
        // One of the two files may be gzipped and the other not.
        let plain = labels.strip_suffix(".gz").unwrap_or(&labels);
        let beside = [labels.clone(), plain.to_string(), format!("{plain}.gz")];
        let found = beside.iter().map(|n| path.with_file_name(n)).find(|p| p.is_file());
        return Ok((path.to_owned(), found.unwrap_or_else(|| path.with_file_name(&labels))));
    }
    let part = part.name();
    let stems = |kind: &str| {
        [format!("{part}-{kind}-ubyte"), format!("{part}-{}-ubyte", kind.replace("-idx", ".idx"))]
    };
    let first = |kind: &str| {
        let names = stems(kind).into_iter().flat_map(|n| [n.clone(), n + ".gz"]);
        names.map(|name| path.join(name)).find(|file| file.is_file())
    };
    match (first("images-idx3"), first("labels-idx1")) {
        (Some(images), Some(labels)) => Ok((images, labels)),
        _ => {
            let names = [stems("images-idx3"), stems("labels-idx1")].concat().join(", ");
            Err(DataError::NoDigits { dir: path.to_owned(), part, names })
        }
    }
}

/// Batches of digits as vectors, `[batch, height * width]`, the target equal to the input.
///
/// Every pass over the data has its own random order.
#[derive(Debug)]
pub struct DigitBatches {
    digits: Arc<Digits>,
    batch: usize,
    first: usize,
    order: Order,
    /// Digits that are left out, by their place in the range.
    without: HashSet<usize>,
}

impl DigitBatches {
    /// Batches of the digits with numbers in `range`.
    ///
    /// # Errors
    /// Returns an error if `range` is empty or goes past the last digit, or `batch` is not in 1 to 65536.
    pub fn new(digits: Arc<Digits>, batch: usize, seed: u64, range: Range<usize>) -> Result<Self> {
        check_count("batch", batch, 1, 1 << 16)?;
        if range.is_empty() || range.end > digits.len() {
            let value = format!("{}..{}", range.start, range.end);
            let allowed = format!("not empty and within 0..{}", digits.len());
            return Err(DataError::range("range of digits", value, allowed));
        }
        let order = Order::new(seed, range.len());
        Ok(Self { digits, batch, first: range.start, order, without: HashSet::new() })
    }

    /// The same batches without these digits, numbered from the first of the range. The other digits of a batch stay as they
    /// are, so that two trainings differ in the left out digits alone.
    pub fn without(self, digits: &[usize]) -> Self {
        Self { without: digits.iter().copied().collect(), ..self }
    }
}

impl Source for DigitBatches {
    fn batch(&self, step: u64) -> Result<Batch> {
        let size = self.digits.height * self.digits.width;
        let mut input = Vec::with_capacity(self.batch * size);
        let drawn = self.order.batch(step, self.batch);
        for (_, i) in drawn.into_iter().filter(|(_, i)| !self.without.contains(i)) {
            let start = (self.first + i) * size;
            let bytes = &self.digits.pixels[start..start + size];
            input.extend(bytes.iter().map(|&v| f32::from(v) / 255.0));
        }
        let left = input.len() / size;
        if left == 0 {
            let allowed = "fewer than the digits of a batch";
            return Err(DataError::range("number of digits left out", self.without.len(), allowed));
        }
        Ok(Batch {
            shape: vec![left, size],
            target: input.clone(),
            input,
            noise: vec![],
            support: None,
        })
    }

    fn describe(&self) -> String {
        let Digits { height, width, .. } = *self.digits;
        format!("{} of {} digits of {height}×{width}", self.order.len(), self.digits.len())
    }
}

#[cfg(test)]
mod tests;
