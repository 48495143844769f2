//! Writing picture files.

use std::borrow::Cow;
use std::io::{BufReader, Cursor, Seek, Write};
use std::path::Path;

use image::codecs::jpeg::{JpegEncoder, PixelDensity, PixelDensityUnit};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageEncoder, ImageError, ImageFormat};

use super::deep::Kind;
use super::files::{describes, format_at};
use super::notes::Density;
use super::pixels::Pixels;
use super::{Photo, jpeg, png, tiff};
use crate::error::{DataError, Result};
use crate::image::Image;
use crate::whole::write_whole_with;

/// Most bytes of Exif data that fit into a segment of a JPEG file.
const MOST_JPEG_EXIF: usize = 65_527;
/// Bytes of the start of a PNG file, after which further chunks may stand.
const PNG_START: usize = 33;
/// Bytes of the start of a JPEG file as it is written, after which further segments may stand.
const JPEG_START: usize = 20;

impl Photo {
    /// Checks that a picture can be written to `path`.
    ///
    /// # Errors
    /// [`DataError::Format`] if the extension is of no format that can be written, [`DataError::Io`] or
    /// [`DataError::NotAFolder`] if the folder does not exist.
    pub fn check_path(path: &Path) -> Result<()> {
        format_of(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let meta = std::fs::metadata(folder).map_err(|e| DataError::io(folder, e))?;
            if !meta.is_dir() {
                return Err(DataError::NotAFolder { path: folder.to_owned() });
            }
        }
        Ok(())
    }

    /// Writes a PNG, JPEG (quality 95), TIFF or WebP (lossless) file, by the extension of `path`. The file is
    /// written completely or not at all. Sample type, alpha, profile, Exif data and what else the picture's file said are
    /// written if the format can hold them; a warning names what is not kept.
    ///
    /// # Errors
    /// [`DataError::Format`] for another extension or a picture that is too large for the format,
    /// [`DataError::Io`] if the folder is missing or cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let format = format_of(path)?;
        let mut failed = None;
        let written = write_whole_with(path, |file| {
            self.encode_to(file, format, path).map_err(|error| match error {
                ImageError::IoError(error) => error,
                other => {
                    failed = Some(other.to_string());
                    std::io::ErrorKind::InvalidData.into()
                }
            })
        });
        match (failed, written) {
            (Some(reason), _) => {
                Err(DataError::format(path, format!("cannot be encoded: {reason}")))
            }
            (None, written) => written.map_err(|e| DataError::io(path, e)),
        }
    }

    /// Copies the file `from` to `to`, byte for byte, if `to` has the extension of its format. Returns whether it did.
    ///
    /// # Errors
    /// [`DataError::Io`] if a file cannot be read or written.
    pub fn copy(from: &Path, to: &Path) -> Result<bool> {
        if format_at(from)? != format_of(to)? {
            return Ok(false);
        }
        let file = std::fs::File::open(from).map_err(|e| DataError::io(from, e))?;
        let mut file = BufReader::new(file);
        write_whole_with(to, |to| std::io::copy(&mut file, to).map(drop))
            .map_err(|e| DataError::io(to, e))?;
        Ok(true)
    }

    /// The pixels in 8 or 16 bits, as formats other than TIFF hold them. What is lost is added to `lost`.
    fn plain(&self, lost: &mut Vec<String>) -> Cow<'_, DynamicImage> {
        let mut pixels = match &self.pixels {
            Pixels::Plain(pixels) => Cow::Borrowed(pixels),
            Pixels::Deep(deep) => {
                let (pixels, clipped) = deep.to_plain();
                if !matches!(deep.kind, Kind::U8 | Kind::U16) {
                    lost.push(deep.kind.name());
                }
                if clipped {
                    lost.push("values outside the range".into());
                }
                Cow::Owned(pixels)
            }
        };
        if pixels.color().has_alpha() {
            match self.notes.extra {
                Some(0) => {
                    lost.push("the band beside the colours".into());
                    pixels = Cow::Owned(without_alpha(&pixels));
                }
                Some(1) => pixels = Cow::Owned(divided(&pixels)),
                _ => {}
            }
        }
        pixels
    }

    /// The pixels in the nearest form that the format can hold. What it cannot hold is added to `lost`.
    fn pixels_for(&self, format: ImageFormat, lost: &mut Vec<String>) -> Cow<'_, DynamicImage> {
        let pixels = self.plain(lost);
        let color = pixels.color();
        let (alpha, colored) = (color.has_alpha(), color.has_color());
        let deep = color.bytes_per_pixel() > color.channel_count();
        let converted = match format {
            ImageFormat::Jpeg if deep || alpha => {
                lost.extend(deep.then(|| "16 bits".into()));
                lost.extend(alpha.then(|| "alpha".into()));
                match colored {
                    true => DynamicImage::ImageRgb8(pixels.to_rgb8()),
                    false => DynamicImage::ImageLuma8(pixels.to_luma8()),
                }
            }
            ImageFormat::WebP if deep => {
                lost.push("16 bits".into());
                match (colored, alpha) {
                    (true, true) => DynamicImage::ImageRgba8(pixels.to_rgba8()),
                    (true, false) => DynamicImage::ImageRgb8(pixels.to_rgb8()),
                    (false, true) => DynamicImage::ImageLumaA8(pixels.to_luma_alpha8()),
                    (false, false) => DynamicImage::ImageLuma8(pixels.to_luma8()),
                }
            }
            _ => return pixels,
        };
        Cow::Owned(converted)
    }

    pub(super) fn encode_to<W: Write + Seek>(
        &self,
        file: W,
        format: ImageFormat,
        path: &Path,
    ) -> image::ImageResult<()> {
        let mut lost = Vec::new();
        if format == ImageFormat::Tiff {
            let (set, unread) = self.notes.tag_set();
            lost.extend(unread.then(|| "Exif data".into()));
            lost.extend(self.notes.lost_in(format));
            say(path, &lost);
            return tiff::write::write(file, &self.pixels, &self.notes, &set).map_err(written);
        }
        let pixels = &*self.pixels_for(format, &mut lost);
        let fits = |profile: &&Vec<u8>| describes(profile, pixels.color().has_color());
        let profile = self.notes.profile.as_ref().filter(fits);
        if profile.is_none() && self.notes.profile.is_some() {
            lost.push("a grey profile beside alpha".into());
        }
        let most = if format == ImageFormat::Jpeg { MOST_JPEG_EXIF } else { usize::MAX };
        let found = self.notes.exif_block();
        let exif = found.as_ref().filter(|exif| exif.len() <= most);
        if exif.is_none() && found.is_some() {
            lost.push("so much Exif data".into());
        }
        let metadata = Metadata { profile, exif };
        lost.extend(self.notes.lost_in(format));
        match format {
            ImageFormat::Png => {
                say(path, &lost);
                let file = After { file, left: PNG_START, more: png::write(&self.notes) };
                metadata.encode(PngEncoder::new(file), pixels)
            }
            ImageFormat::WebP => {
                say(path, &lost);
                metadata.encode_webp(file, pixels, self.notes.xmp.as_ref())
            }
            _ => {
                let more = jpeg::write(&self.notes, &mut lost);
                say(path, &lost);
                let file = After { file, left: JPEG_START, more };
                let mut encoder = JpegEncoder::new_with_quality(file, self.jpeg_quality);
                if let Some(density) = self.notes.density {
                    encoder.set_pixel_density(jfif(density));
                }
                metadata.encode(encoder, pixels)
            }
        }
    }
}

/// Says what a file does not keep.
fn say(path: &Path, lost: &[String]) {
    if !lost.is_empty() {
        log::warn!("{}: not kept: {}", path.display(), lost.join("; "));
    }
}

fn written(error: ::tiff::TiffError) -> ImageError {
    match error {
        ::tiff::TiffError::IoError(error) => ImageError::IoError(error),
        other => ImageError::IoError(std::io::Error::other(other.to_string())),
    }
}

/// The resolution as the start of a JPEG file holds it.
fn jfif(Density { unit, x, y }: Density) -> PixelDensity {
    let side = |value: f64| value.round().clamp(1.0, 65_535.0) as u16;
    let unit = match unit {
        0 => PixelDensityUnit::PixelAspectRatio,
        1 => PixelDensityUnit::Inches,
        _ => PixelDensityUnit::Centimeters,
    };
    PixelDensity { density: (side(x), side(y)), unit }
}

/// A file into which further bytes are put after the first ones.
struct After<W> {
    file: W,
    left: usize,
    more: Vec<u8>,
}

impl<W: Write> Write for After<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return self.file.write(bytes);
        }
        let count = self.left.min(bytes.len());
        self.file.write_all(&bytes[..count])?;
        self.left -= count;
        if self.left == 0 {
            self.file.write_all(&self.more)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// What is written beside the pixels.
struct Metadata<'a> {
    profile: Option<&'a Vec<u8>>,
    exif: Option<&'a Vec<u8>>,
}

impl Metadata<'_> {
    fn encode(
        &self,
        mut encoder: impl ImageEncoder,
        pixels: &DynamicImage,
    ) -> image::ImageResult<()> {
        if let Some(profile) = self.profile {
            encoder.set_icc_profile(profile.clone()).map_err(ImageError::Unsupported)?;
        }
        if let Some(exif) = self.exif {
            encoder.set_exif_metadata(exif.clone()).map_err(ImageError::Unsupported)?;
        }
        pixels.write_with_encoder(encoder)
    }

    /// The encoder of `image` has no place for XMP data, so this calls the one below it.
    fn encode_webp<W: Write>(
        &self,
        file: W,
        pixels: &DynamicImage,
        xmp: Option<&Vec<u8>>,
    ) -> image::ImageResult<()> {
        use image_webp::{ColorType, EncodingError, WebPEncoder};
        let mut encoder = WebPEncoder::new(file);
        if let Some(profile) = self.profile {
            encoder.set_icc_profile(profile.clone());
        }
        if let Some(exif) = self.exif {
            encoder.set_exif_metadata(exif.clone());
        }
        if let Some(xmp) = xmp {
            encoder.set_xmp_metadata(xmp.clone());
        }
        let color = match pixels.color().channel_count() {
            1 => ColorType::L8,
            2 => ColorType::La8,
            3 => ColorType::Rgb8,
            _ => ColorType::Rgba8,
        };
        let (width, height) = (pixels.width(), pixels.height());
        encoder.encode(pixels.as_bytes(), width, height, color).map_err(|error| match error {
            EncodingError::IoError(error) => ImageError::IoError(error),
            _ => {
                let reason = format!("{width} × {height} pixels are too many for WebP");
                let hint = image::error::ImageFormatHint::Exact(ImageFormat::WebP);
                ImageError::Encoding(image::error::EncodingError::new(hint, reason))
            }
        })
    }
}

fn without_alpha(pixels: &DynamicImage) -> DynamicImage {
    let color = pixels.color();
    let deep = color.bytes_per_pixel() > color.channel_count();
    match (color.has_color(), deep) {
        (true, true) => DynamicImage::ImageRgb16(pixels.to_rgb16()),
        (true, false) => DynamicImage::ImageRgb8(pixels.to_rgb8()),
        (false, true) => DynamicImage::ImageLuma16(pixels.to_luma16()),
        (false, false) => DynamicImage::ImageLuma8(pixels.to_luma8()),
    }
}

/// Colours that are no longer multiplied with alpha.
fn divided(pixels: &DynamicImage) -> DynamicImage {
    let mut pixels = pixels.clone();
    macro_rules! divide {
        ($buffer:expr, $white:expr) => {
            for pixel in $buffer.pixels_mut() {
                let (alpha, colors) = pixel.0.split_last_mut().expect("alpha");
                for color in colors.iter_mut().filter(|_| *alpha > 0) {
                    let value =
                        (u64::from(*color) * $white + u64::from(*alpha) / 2) / u64::from(*alpha);
                    *color = value.min($white) as _;
                }
            }
        };
    }
    match &mut pixels {
        DynamicImage::ImageLumaA8(buffer) => divide!(buffer, 255),
        DynamicImage::ImageRgba8(buffer) => divide!(buffer, 255),
        DynamicImage::ImageLumaA16(buffer) => divide!(buffer, 65_535),
        DynamicImage::ImageRgba16(buffer) => divide!(buffer, 65_535),
        _ => {}
    }
    pixels
}

/// The format of a file by its extension.
fn format_of(path: &Path) -> Result<ImageFormat> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "png" => Ok(ImageFormat::Png),
        "jpg" | "jpeg" | "jpe" | "jfif" => Ok(ImageFormat::Jpeg),
        "tif" | "tiff" => Ok(ImageFormat::Tiff),
        "webp" => Ok(ImageFormat::WebP),
        _ => {
            let reason = "pictures are written as .png, .jpg, .tif or .webp; choose one of these";
            Err(DataError::format(path, reason))
        }
    }
}

/// Whether a file has the extension of a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    format_of(path).is_ok()
}

impl Image {
    /// Writes an 8-bit file as [`Photo::write`] does. Values are clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// Those of [`Photo::write`], and [`DataError::Shape`] for a picture with neither one nor three channels.
    pub fn write(&self, path: &Path) -> Result<()> {
        Photo::from_image(self)?.write(path)
    }

    /// The bytes of an 8-bit PNG file. Values are clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// [`DataError::Shape`] for a picture with neither one nor three channels.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        Photo::from_image(self)?
            .encode_to(&mut bytes, ImageFormat::Png, Path::new("PNG"))
            .map_err(|e| DataError::format(Path::new("PNG"), format!("cannot be encoded: {e}")))?;
        Ok(bytes.into_inner())
    }
}
