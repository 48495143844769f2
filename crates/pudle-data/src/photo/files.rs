//! Reading and writing picture files.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::{TiffDecoder, TiffEncoder};
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits};

use super::guard::guarded;
use super::sniff::{broken_jpeg, unread};
use super::{JPEG_QUALITY, Photo, is_gray};
use crate::error::{DataError, Result};
use crate::image::{ColorMode, Image};
use crate::whole::{write_whole, write_whole_with};

/// Most bytes of Exif data that fit into a segment of a JPEG file.
const MOST_JPEG_EXIF: usize = 65_527;

/// A file whose pixels need more bytes than this counts as damaged.
const MOST_BYTES: u64 = 16 << 30;

/// Most bytes of pixels that a byte of a JPEG file can give: a block of 64 samples takes a bit at least, and a sample of
/// colour may stand for 16 pixels.
const MOST_OF_JPEG: u64 = 2_000;

/// Opens a picture file and recognises its format by content.
///
/// The reader is built without a path: with a path it would fall back on the extension.
pub(crate) fn open(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let failed = |e| DataError::io(path, e);
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(DataError::decode(path, "not a regular file"));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(64).read_to_end(&mut head).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if let Some(what) = unread(&head) {
        return Err(DataError::decode(path, what));
    }
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| DataError::io(path, e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff | ImageFormat::WebP) => {
            Ok(reader)
        }
        Some(other) => Err(DataError::decode(path, format!("its content is {other:?}"))),
        None => Err(DataError::decode(path, "its content is of no known picture format")),
    }
}

/// Whether a picture is in colour, from its header.
pub(crate) fn has_color(path: &Path) -> Result<bool> {
    without_panic(path, || {
        let decoder = open(path)?.into_decoder().map_err(|e| DataError::decode(path, e))?;
        Ok(decoder.color_type().has_color())
    })
}

/// The result of `read`. If the decoder panics, that is an error of this file.
fn without_panic<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(read).unwrap_or_else(|| {
        Err(DataError::decode(path, "the decoder fails on it; save it again with another program"))
    })
}

impl Photo {
    /// Reads a PNG, JPEG, TIFF or WebP file, whichever it is by its content. Samples of 32 bits are
    /// brought to 16.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Decode`] if its content is not
    /// a picture, is damaged, ends early, or makes the decoder panic.
    pub fn read(path: &Path) -> Result<Self> {
        without_panic(path, || Self::read_unguarded(path))
    }

    fn read_unguarded(path: &Path) -> Result<Self> {
        let damaged = |e| DataError::decode(path, e);
        let reader = open(path)?;
        let format = reader.format();
        if format == Some(ImageFormat::Jpeg) {
            // The decoder fills what is missing with grey.
            let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
            if let Some(reason) = broken_jpeg(&bytes) {
                return Err(DataError::decode(path, reason));
            }
        }
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        // Exif data that cannot be read do not prevent reading the pixels.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut profile = decoder.icc_profile().unwrap_or(None);
        if format == Some(ImageFormat::Tiff) {
            // The reader's limits refuse a profile that is larger than the pixels.
            let file = File::open(path).map_err(|e| DataError::io(path, e))?;
            let unlimited = TiffDecoder::new(BufReader::new(file));
            profile = unlimited.and_then(|mut decoder| decoder.icc_profile()).unwrap_or(None);
        }
        let mut exif = decoder.exif_metadata().unwrap_or(None);
        if let Some(exif) = &mut exif {
            // The orientation is applied here and must not be applied again.
            let _ = Orientation::remove_from_exif_chunk(exif);
        }
        if decoder.total_bytes() > MOST_BYTES {
            let (width, height) = decoder.dimensions();
            return Err(DataError::decode(path, format!("{width} × {height} pixels are too many")));
        }
        let length = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?.len();
        if format == Some(ImageFormat::Jpeg) && decoder.total_bytes() / MOST_OF_JPEG > length {
            let (width, height) = decoder.dimensions();
            let reason = format!("{length} bytes cannot hold {width} × {height} pixels");
            return Err(DataError::decode(path, reason));
        }
        let mut pixels = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        pixels.apply_orientation(orientation);
        if pixels.width() == 0 || pixels.height() == 0 {
            let sides = format!("{} × {} pixels", pixels.width(), pixels.height());
            return Err(DataError::decode(path, sides));
        }
        let color = pixels.color();
        if color.bytes_per_pixel() / color.channel_count() > 2 {
            pixels = match color.has_alpha() {
                true => DynamicImage::ImageRgba16(pixels.into_rgba16()),
                false => DynamicImage::ImageRgb16(pixels.into_rgb16()),
            };
        }
        // A profile of another colour space than the pixels', CMYK for example, would be wrong.
        let found = profile.is_some();
        profile = profile.filter(|profile| describes(profile, pixels.color().has_color()));
        if found && profile.is_none() {
            log::warn!(
                "{}: the colour profile does not fit the pixels and is dropped",
                path.display()
            );
        }
        let jpeg_quality = JPEG_QUALITY;
        Ok(Self { gray: is_gray(&pixels), pixels, profile, exif, jpeg_quality })
    }

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
    /// written completely or not at all. Depth, alpha, profile and Exif data are written if the
    /// format can hold them; a warning names what it cannot hold.
    ///
    /// # Errors
    /// [`DataError::Format`] for another extension or a picture that is too large for the format,
    /// [`DataError::Io`] if the folder is missing or cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let format = format_of(path)?;
        let mut failed = None;
        let written = write_whole_with(path, |file| {
            self.encode_to(file, format, path).map_err(|error| {
                let kind = match &error {
                    image::ImageError::IoError(error) => error.kind(),
                    _ => std::io::ErrorKind::InvalidData,
                };
                if !matches!(error, image::ImageError::IoError(_)) {
                    failed = Some(error.to_string());
                }
                std::io::Error::from(kind)
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
        if open(from)?.format() != Some(format_of(to)?) {
            return Ok(false);
        }
        let bytes = std::fs::read(from).map_err(|e| DataError::io(from, e))?;
        write_whole(to, &bytes).map_err(|e| DataError::io(to, e))?;
        Ok(true)
    }

    /// The pixels in the nearest form that the format can hold. What it cannot hold is added to `lost`.
    fn pixels_for(
        &self,
        format: ImageFormat,
        lost: &mut Vec<&'static str>,
    ) -> Cow<'_, DynamicImage> {
        let color = self.pixels.color();
        let (alpha, colored) = (color.has_alpha(), color.has_color());
        let deep = self.depth() == 16;
        let converted = match format {
            ImageFormat::Jpeg if deep || alpha => {
                lost.extend(deep.then_some("16 bits"));
                lost.extend(alpha.then_some("alpha"));
                match colored {
                    true => DynamicImage::ImageRgb8(self.pixels.to_rgb8()),
                    false => DynamicImage::ImageLuma8(self.pixels.to_luma8()),
                }
            }
            ImageFormat::WebP if deep => {
                lost.push("16 bits");
                match (colored, alpha) {
                    (true, true) => DynamicImage::ImageRgba8(self.pixels.to_rgba8()),
                    (true, false) => DynamicImage::ImageRgb8(self.pixels.to_rgb8()),
                    (false, true) => DynamicImage::ImageLumaA8(self.pixels.to_luma_alpha8()),
                    (false, false) => DynamicImage::ImageLuma8(self.pixels.to_luma8()),
                }
            }
            // Nothing is lost here: the file gets three equal channels.
            ImageFormat::Tiff if alpha && !colored => match deep {
                true => DynamicImage::ImageRgba16(self.pixels.to_rgba16()),
                false => DynamicImage::ImageRgba8(self.pixels.to_rgba8()),
            },
            _ => return Cow::Borrowed(&self.pixels),
        };
        Cow::Owned(converted)
    }

    fn encode_to<W: Write + Seek>(
        &self,
        file: W,
        format: ImageFormat,
        path: &Path,
    ) -> image::ImageResult<()> {
        let mut lost = Vec::new();
        let pixels = &*self.pixels_for(format, &mut lost);
        let fits = |profile: &&Vec<u8>| describes(profile, pixels.color().has_color());
        let profile = self.profile.as_ref().filter(fits);
        if profile.is_none() && self.profile.is_some() {
            lost.push("a grey profile beside alpha");
        }
        let most = match format {
            ImageFormat::Tiff => 0,
            ImageFormat::Jpeg => MOST_JPEG_EXIF,
            _ => usize::MAX,
        };
        let exif = self.exif.as_ref().filter(|exif| exif.len() <= most);
        if exif.is_none() && self.exif.is_some() {
            lost.push(if most == 0 { "Exif data" } else { "so much Exif data" });
        }
        if !lost.is_empty() {
            let lost = lost.join(" or ");
            log::warn!("{}: a {format:?} file cannot hold {lost}: dropped", path.display());
        }
        let metadata = Metadata { profile, exif };
        match format {
            ImageFormat::Png => encode_with(PngEncoder::new(file), pixels, metadata),
            ImageFormat::Tiff => encode_with(TiffEncoder::new(file), pixels, metadata),
            ImageFormat::WebP => encode_with(WebPEncoder::new_lossless(file), pixels, metadata),
            _ => encode_with(
                JpegEncoder::new_with_quality(file, self.jpeg_quality),
                pixels,
                metadata,
            ),
        }
    }
}

/// What is written beside the pixels.
struct Metadata<'a> {
    profile: Option<&'a Vec<u8>>,
    exif: Option<&'a Vec<u8>>,
}

fn encode_with(
    mut encoder: impl ImageEncoder,
    pixels: &DynamicImage,
    metadata: Metadata<'_>,
) -> image::ImageResult<()> {
    if let Some(profile) = metadata.profile {
        encoder.set_icc_profile(profile.clone()).map_err(image::ImageError::Unsupported)?;
    }
    if let Some(exif) = metadata.exif {
        encoder.set_exif_metadata(exif.clone()).map_err(image::ImageError::Unsupported)?;
    }
    pixels.write_with_encoder(encoder)
}

/// Whether the header of a profile names the colour space of colour (or grey) pixels.
fn describes(profile: &[u8], colored: bool) -> bool {
    profile.get(16..20) == Some(if colored { b"RGB " } else { b"GRAY" })
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
    /// Reads a picture file as [`Photo::read`] does, with values in \[0, 1\]. Alpha is dropped, not composited.
    ///
    /// # Errors
    /// Those of [`Photo::read`].
    pub fn read(path: &Path, mode: ColorMode) -> Result<Self> {
        Ok(Photo::read(path)?.to_image(mode))
    }

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
