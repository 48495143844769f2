//! Pictures from and to files.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Primitive};

use super::{ColorMode, Image};
use crate::error::{DataError, Result};

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
    /// Alpha is dropped, not composited. An orientation noted in a JPEG's metadata is not applied:
    /// pixels are used as stored.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Decode`] if its content is not
    /// a picture or is damaged.
    pub fn read(path: &Path, mode: ColorMode) -> Result<Self> {
        let decoded = open(path)?.decode().map_err(|e| DataError::decode(path, e))?;
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
    /// The bytes go to a temporary file beside `path` that is renamed to it once complete: readers
    /// never see half a picture, a file already there stays whole until then, and a failure leaves
    /// nothing behind.
    ///
    /// # Errors
    /// [`DataError::Format`] for another extension, for a picture with neither one nor three
    /// channels or too large for the format; [`DataError::Io`] if the folder is missing or not
    /// writable.
    pub fn write(&self, path: &Path) -> Result<()> {
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

        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pudle-").suffix(".part");
        // A temporary file is private by default, which the renamed picture should not be. The
        // system narrows these bits by the user's umask.
        #[cfg(unix)]
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        builder.permissions(open_to_all);
        // Dropping the temporary file, as every early return below does, removes it.
        let mut file = builder.tempfile_in(folder).map_err(|e| DataError::io(path, e))?;

        let bytes = self.interleaved();
        let mut buffered = BufWriter::new(file.as_file_mut());
        let encoded = match format {
            ImageFormat::Png => image::codecs::png::PngEncoder::new(&mut buffered)
                .write_image(&bytes, width, height, color),
            _ => JpegEncoder::new_with_quality(&mut buffered, JPEG_QUALITY)
                .write_image(&bytes, width, height, color),
        };
        encoded.map_err(|e| DataError::format(path, format!("cannot be encoded: {e}")))?;
        buffered.flush().map_err(|e| DataError::io(path, e))?;
        drop(buffered);
        file.persist(path).map_err(|e| DataError::io(path, e.error))?;
        Ok(())
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
