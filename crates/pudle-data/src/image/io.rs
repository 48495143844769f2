//! Pictures from and to files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader,
    Primitive,
};

use super::{ColorMode, Image};
use crate::error::{DataError, Result};
use crate::whole::write_whole;

/// High enough that a stored result differs from the computed one by less than the noise studied.
const JPEG_QUALITY: u8 = 95;

/// Opens a picture file and recognises its format by content.
///
/// The reader is built without a path on purpose: given one it would fall back on the extension.
pub(crate) fn open(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| DataError::io(path, e))?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg) => Ok(reader),
        Some(other) => Err(DataError::decode(path, format!("its content is {other:?}"))),
        None => Err(DataError::decode(path, "its content is of no known picture format")),
    }
}

/// Interleaved samples of any depth to planes in \[0, 1\].
fn planes<T: Primitive>(samples: &[T], stored: usize, wanted: usize, white: f32) -> Vec<f32> {
    let value = |v: &T| v.to_f32().unwrap_or(0.0) / white;
    match (stored, wanted) {
        (3, 1) => samples
            .chunks_exact(3)
            .map(|p| super::luma(value(&p[0]), value(&p[1]), value(&p[2])))
            .collect(),
        _ => (0..wanted)
            .flat_map(|c| samples.iter().skip(c.min(stored - 1)).step_by(stored).map(value))
            .collect(),
    }
}

impl Image {
    /// Reads a PNG or JPEG file, whichever it is by its content, at the depth it is stored with
    /// (8 or 16 bits), scaled to \[0, 1\].
    ///
    /// Alpha is dropped, not composited. An orientation that the file's metadata note is applied, so
    /// that the picture stands as a viewer shows it.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Decode`] if its content is not
    /// a picture or is damaged.
    pub fn read(path: &Path, mode: ColorMode) -> Result<Self> {
        let damaged = |e| DataError::decode(path, e);
        let mut decoder = open(path)?.into_decoder().map_err(damaged)?;
        // Notes that cannot be read are no reason to refuse the pixels.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        decoded.apply_orientation(orientation);
        let (height, width) = (decoded.height() as usize, decoded.width() as usize);
        let colored = decoded.color().has_color();
        let channels = match mode {
            ColorMode::Gray => 1,
            ColorMode::Rgb => 3,
            ColorMode::AsIs if colored => 3,
            ColorMode::AsIs => 1,
        };
        let shallow = matches!(
            decoded,
            DynamicImage::ImageLuma8(_)
                | DynamicImage::ImageLumaA8(_)
                | DynamicImage::ImageRgb8(_)
                | DynamicImage::ImageRgba8(_)
        );
        let data = match (shallow, colored) {
            (true, true) => planes(&decoded.into_rgb8(), 3, channels, 255.0),
            (true, false) => planes(&decoded.into_luma8(), 1, channels, 255.0),
            (false, true) => planes(&decoded.into_rgb16(), 3, channels, 65535.0),
            (false, false) => planes(&decoded.into_luma16(), 1, channels, 65535.0),
        };
        Image::new(channels, height, width, data)
            .map_err(|_| DataError::decode(path, format!("{width} × {height} pixels")))
    }

    /// Writes an 8-bit file, PNG or JPEG (quality 95) by `path`'s extension, values clipped to
    /// \[0, 1\] and rounded.
    ///
    /// Whole or not at all: see [`write_whole`].
    ///
    /// # Errors
    /// [`DataError::Format`] for another extension, for a picture with neither one nor three
    /// channels or too large for the format; [`DataError::Io`] if the folder is missing or not
    /// writable.
    pub fn write(&self, path: &Path) -> Result<()> {
        let encoded = self.encode(path)?;
        write_whole(path, &encoded).map_err(|e| DataError::io(path, e))
    }

    /// The bytes of an 8-bit file, PNG or JPEG (quality 95) by the extension of `path`, which is not
    /// touched: values clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// [`DataError::Format`] as for [`write`](Self::write).
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let format = match extension.to_ascii_lowercase().as_str() {
            "png" => ImageFormat::Png,
            "jpg" | "jpeg" => ImageFormat::Jpeg,
            _ => {
                let reason = "pictures are written as .png, .jpg or .jpeg; choose one of these";
                return Err(DataError::format(path, reason));
            }
        };
        let color = match self.channels {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            n => {
                let reason = format!("a picture of {n} channels cannot be written, only 1 or 3");
                return Err(DataError::format(path, reason));
            }
        };
        let (Ok(width), Ok(height)) = (u32::try_from(self.width), u32::try_from(self.height))
        else {
            return Err(DataError::format(path, "a picture of that size cannot be written"));
        };

        let bytes = self.interleaved();
        let mut encoded = Vec::new();
        let result = match format {
            ImageFormat::Png => image::codecs::png::PngEncoder::new(&mut encoded)
                .write_image(&bytes, width, height, color),
            _ => JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY)
                .write_image(&bytes, width, height, color),
        };
        result.map_err(|e| DataError::format(path, format!("cannot be encoded: {e}")))?;
        Ok(encoded)
    }

    /// Pixels as bytes, channels innermost.
    fn interleaved(&self) -> Vec<u8> {
        let n = self.height * self.width;
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        (0..n * self.channels)
            .map(|i| byte(self.data[i % self.channels * n + i / self.channels]))
            .collect()
    }
}
