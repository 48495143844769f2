//! Pictures as files hold them.

use std::fs::File;
use std::io::{BufReader, Cursor, Seek, Write};
use std::ops::{Deref, DerefMut};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::{TiffDecoder, TiffEncoder};
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits};

use super::{ColorMode, Image, Raster, luma};
use crate::error::{DataError, Result};
use crate::whole::write_whole_with;

/// High enough that a stored result differs from the computed one by less than the noise studied.
const JPEG_QUALITY: u8 = 95;

/// Most that fits into the segment of a JPEG file, beside its name.
const MOST_JPEG_NOTES: usize = 65_527;

/// More than this for the pixels of one picture is taken for a damaged file.
const MOST_BYTES: u64 = 16 << 30;

/// Opens a picture file and recognises its format by content.
///
/// The reader is built without a path on purpose: given one it would fall back on the extension.
pub(crate) fn open(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
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

/// A picture in the depth and with the channels of its file, 8 or 16 bits, with alpha, colour profile and
/// notes (Exif) if it has them, so that a changed picture can be written as the same kind of file.
///
/// It stands upright: an orientation that the notes ask for has been applied. Pixels are read and
/// changed in windows, as [`Image`]s in \[0, 1\] ([`Raster`]); alpha is never among them. A colour file
/// whose three channels are equal everywhere counts as grey.
#[derive(Clone, Debug)]
pub struct Photo {
    /// One of the eight variants of 8 or 16 bits.
    pub(super) pixels: DynamicImage,
    /// A colour file with nothing but grey in it.
    pub(super) gray: bool,
    pub(super) profile: Option<Vec<u8>>,
    pub(super) notes: Option<Vec<u8>>,
}

/// Does the same with the samples of all variants, of whatever depth: the slice of samples, and their type.
macro_rules! with_samples {
    ($pixels:expr, $slice:ident, |$samples:ident, $depth:ident| $body:expr) => {
        match $pixels {
            DynamicImage::ImageLuma8(b) => with_samples!(@ b, $slice, $samples, $depth, u8, $body),
            DynamicImage::ImageLumaA8(b) => with_samples!(@ b, $slice, $samples, $depth, u8, $body),
            DynamicImage::ImageRgb8(b) => with_samples!(@ b, $slice, $samples, $depth, u8, $body),
            DynamicImage::ImageRgba8(b) => with_samples!(@ b, $slice, $samples, $depth, u8, $body),
            DynamicImage::ImageLuma16(b) => with_samples!(@ b, $slice, $samples, $depth, u16, $body),
            DynamicImage::ImageLumaA16(b) => with_samples!(@ b, $slice, $samples, $depth, u16, $body),
            DynamicImage::ImageRgb16(b) => with_samples!(@ b, $slice, $samples, $depth, u16, $body),
            DynamicImage::ImageRgba16(b) => with_samples!(@ b, $slice, $samples, $depth, u16, $body),
            _ => unreachable!("a photo has 8 or 16 bits"),
        }
    };
    (@ $buffer:ident, $slice:ident, $samples:ident, $depth:ident, $of:ty, $body:expr) => {{
        #[allow(dead_code)]
        type $depth = $of;
        let $samples = $buffer.$slice();
        $body
    }};
}

impl Photo {
    /// Reads a PNG, JPEG, TIFF or WebP file, whichever it is by its content. Samples of 32 bits are
    /// brought to 16.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Decode`] if its content is not
    /// a picture or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |e| DataError::decode(path, e);
        let reader = open(path)?;
        let format = reader.format();
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        // Notes that cannot be read are no reason to refuse the pixels.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut profile = decoder.icc_profile().unwrap_or(None);
        if format == Some(ImageFormat::Tiff) {
            // The limits that the reader sets refuse a profile that is large beside the pixels.
            let file = File::open(path).map_err(|e| DataError::io(path, e))?;
            let unlimited = TiffDecoder::new(BufReader::new(file));
            profile = unlimited.and_then(|mut decoder| decoder.icc_profile()).unwrap_or(None);
        }
        let mut notes = decoder.exif_metadata().unwrap_or(None);
        if let Some(notes) = &mut notes {
            // It is applied here, and must not be once more.
            let _ = Orientation::remove_from_exif_chunk(notes);
        }
        if decoder.total_bytes() > MOST_BYTES {
            let (width, height) = decoder.dimensions();
            return Err(DataError::decode(path, format!("{width} × {height} pixels are too many")));
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
        // Of another colour space than the pixels, CMYK for example, it would be wrong.
        let found = profile.is_some();
        profile = profile.filter(|profile| describes(profile, pixels.color().has_color()));
        if found && profile.is_none() {
            log::warn!("{}: its colour profile is not of its pixels: dropped", path.display());
        }
        Ok(Self { gray: is_gray(&pixels), pixels, profile, notes })
    }

    /// Refuses a path whose extension is of no format that can be written, or whose folder is not there.
    ///
    /// # Errors
    /// [`DataError::Format`] and [`DataError::Io`].
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

    /// The picture in 8 bits, values clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// [`DataError::Shape`] where it has neither one nor three channels, or a side of more than 2³² pixels.
    pub fn from_image(image: &Image) -> Result<Self> {
        let sides = (u32::try_from(image.width), u32::try_from(image.height));
        let (Ok(width), Ok(height), 1 | 3) = (sides.0, sides.1, image.channels) else {
            return Err(DataError::Shape {
                what: "picture for a file".into(),
                found: format!("{} channels", image.channels),
                expected: "1 or 3 channels".into(),
            });
        };
        let pixels = match image.channels {
            1 => DynamicImage::new_luma8(width, height),
            _ => DynamicImage::new_rgb8(width, height),
        };
        let mut photo = Self { pixels, gray: false, profile: None, notes: None };
        photo.put(0, 0, image);
        Ok(photo)
    }

    /// Samples of a pixel in the file: 1 grey, 2 with alpha, 3 colour, 4 with alpha.
    fn stored(&self) -> usize {
        usize::from(self.pixels.color().channel_count())
    }

    /// Bits of a sample, 8 or 16.
    pub fn depth(&self) -> u8 {
        let color = self.pixels.color();
        8 * (color.bytes_per_pixel() / color.channel_count())
    }

    /// The whole picture.
    pub(super) fn to_image(&self, mode: ColorMode) -> Image {
        let (height, width) = (self.pixels.height() as usize, self.pixels.width() as usize);
        let stored = self.stored();
        let channels = match mode {
            ColorMode::Gray => 1,
            ColorMode::Rgb => 3,
            ColorMode::AsIs => 1 + 2 * usize::from(stored > 2),
        };
        let data = with_samples!(&self.pixels, deref, |samples, Depth| {
            let white = f32::from(Depth::MAX);
            let pixels = samples.chunks_exact(stored);
            let value = |pixel: &[Depth], c: usize| f32::from(pixel[c]) / white;
            match (stored > 2, channels) {
                (true, 1) => pixels.map(|p| luma(value(p, 0), value(p, 1), value(p, 2))).collect(),
                (colored, _) => (0..channels)
                    .flat_map(|c| {
                        let from = if colored { c } else { 0 };
                        samples.chunks_exact(stored).map(move |p| f32::from(p[from]) / white)
                    })
                    .collect(),
            }
        });
        Image { channels, height, width, data }
    }

    /// Writes a PNG, JPEG (quality 95), TIFF or WebP (lossless) file by `path`'s extension, whole or not at
    /// all, with depth, alpha, profile and notes as far as the format has a place for them. Of what it
    /// has none for, a warning tells.
    ///
    /// # Errors
    /// [`DataError::Format`] for another extension, or a picture too large for the format;
    /// [`DataError::Io`] if the folder is missing or not writable.
    pub fn write(&self, path: &Path) -> Result<()> {
        let format = format_of(path)?;
        let mut failed = None;
        let written = write_whole_with(path, |file| {
            self.encode_to(file, format, path).map_err(|error| {
                let kind = match &error {
                    // The disk's error is told as such.
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

    fn encode_to<W: Write + Seek>(
        &self,
        file: W,
        format: ImageFormat,
        path: &Path,
    ) -> image::ImageResult<()> {
        let color = self.pixels.color();
        let (alpha, colored) = (color.has_alpha(), color.has_color());
        let deep = self.depth() == 16;
        let mut lost = Vec::new();
        // What the format can hold, as near to the picture as can be.
        let shown;
        let pixels = match format {
            ImageFormat::Jpeg if deep || alpha => {
                lost.extend(deep.then_some("16 bits"));
                lost.extend(alpha.then_some("alpha"));
                shown = match colored {
                    true => DynamicImage::ImageRgb8(self.pixels.to_rgb8()),
                    false => DynamicImage::ImageLuma8(self.pixels.to_luma8()),
                };
                &shown
            }
            ImageFormat::WebP if deep => {
                lost.push("16 bits");
                shown = match (colored, alpha) {
                    (true, true) => DynamicImage::ImageRgba8(self.pixels.to_rgba8()),
                    (true, false) => DynamicImage::ImageRgb8(self.pixels.to_rgb8()),
                    (false, true) => DynamicImage::ImageLumaA8(self.pixels.to_luma_alpha8()),
                    (false, false) => DynamicImage::ImageLuma8(self.pixels.to_luma8()),
                };
                &shown
            }
            // Nothing is lost here: the file has three equal channels.
            ImageFormat::Tiff if alpha && !colored => {
                shown = match deep {
                    true => DynamicImage::ImageRgba16(self.pixels.to_rgba16()),
                    false => DynamicImage::ImageRgba8(self.pixels.to_rgba8()),
                };
                &shown
            }
            _ => &self.pixels,
        };
        let fits = |profile: &&Vec<u8>| describes(profile, pixels.color().has_color());
        let profile = self.profile.as_ref().filter(fits);
        if profile.is_none() && self.profile.is_some() {
            lost.push("profile of grey beside alpha");
        }
        let most = match format {
            ImageFormat::Tiff => 0,
            ImageFormat::Jpeg => MOST_JPEG_NOTES,
            _ => usize::MAX,
        };
        let notes = self.notes.as_ref().filter(|notes| notes.len() <= most);
        if notes.is_none() && self.notes.is_some() {
            lost.push("notes (Exif) as they are here");
        }
        if !lost.is_empty() {
            let lost = lost.join(" and no ");
            log::warn!("{}: a {format:?} file holds no {lost}: dropped", path.display());
        }
        let kept = (profile, notes);
        match format {
            ImageFormat::Png => encode_with(PngEncoder::new(file), pixels, kept),
            ImageFormat::Tiff => encode_with(TiffEncoder::new(file), pixels, kept),
            ImageFormat::WebP => encode_with(WebPEncoder::new_lossless(file), pixels, kept),
            _ => encode_with(JpegEncoder::new_with_quality(file, JPEG_QUALITY), pixels, kept),
        }
    }
}

fn encode_with(
    mut encoder: impl ImageEncoder,
    pixels: &DynamicImage,
    (profile, notes): (Option<&Vec<u8>>, Option<&Vec<u8>>),
) -> image::ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.clone()).map_err(image::ImageError::Unsupported)?;
    }
    if let Some(notes) = notes {
        encoder.set_exif_metadata(notes.clone()).map_err(image::ImageError::Unsupported)?;
    }
    pixels.write_with_encoder(encoder)
}

/// Whether a profile's header names the colour space of such pixels.
fn describes(profile: &[u8], colored: bool) -> bool {
    profile.get(16..20) == Some(if colored { b"RGB " } else { b"GRAY" })
}

impl Raster for Photo {
    fn shape(&self) -> [usize; 3] {
        let channels = if self.gray || self.stored() < 3 { 1 } else { 3 };
        [channels, self.pixels.height() as usize, self.pixels.width() as usize]
    }

    fn window(&self, top: usize, left: usize, h: usize, w: usize) -> Image {
        let [channels, height, width] = self.shape();
        assert!(top + h <= height && left + w <= width, "a window of the picture");
        let stored = self.stored();
        with_samples!(&self.pixels, deref, |samples, Depth| {
            let white = f32::from(Depth::MAX);
            Image::from_fn(channels, h, w, |c, y, x| {
                f32::from(samples[((top + y) * width + left + x) * stored + c]) / white
            })
        })
    }

    fn put(&mut self, top: usize, left: usize, part: &Image) {
        let [channels, height, width] = self.shape();
        assert!(top + part.height <= height && left + part.width <= width, "within the picture");
        assert_eq!(part.channels, channels, "channels");
        let stored = self.stored();
        let colors = if stored < 3 { 1 } else { 3 };
        with_samples!(&mut self.pixels, deref_mut, |samples, Depth| {
            let white = f32::from(Depth::MAX);
            for y in 0..part.height {
                for x in 0..part.width {
                    let at = ((top + y) * width + left + x) * stored;
                    for c in 0..colors {
                        let value = part.at(c.min(channels - 1), y, x).clamp(0.0, 1.0) * white;
                        samples[at + c] = value.round() as Depth;
                    }
                }
            }
        });
    }
}

/// Whether a picture of three channels has the same in all of them.
fn is_gray(pixels: &DynamicImage) -> bool {
    let stored = usize::from(pixels.color().channel_count());
    stored > 2
        && with_samples!(pixels, deref, |samples, Depth| {
            samples.chunks_exact(stored).all(|p| p[0] == p[1] && p[1] == p[2])
        })
}

/// The format of a file by its extension.
fn format_of(path: &Path) -> Result<ImageFormat> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "png" => Ok(ImageFormat::Png),
        "jpg" | "jpeg" => Ok(ImageFormat::Jpeg),
        "tif" | "tiff" => Ok(ImageFormat::Tiff),
        "webp" => Ok(ImageFormat::WebP),
        _ => {
            let reason = "pictures are written as .png, .jpg, .tif or .webp; choose one of these";
            Err(DataError::format(path, reason))
        }
    }
}

/// Whether a file is named like a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    format_of(path).is_ok()
}

impl Image {
    /// Reads a picture file as [`Photo::read`] does, scaled to \[0, 1\]; alpha is dropped, not composited.
    ///
    /// # Errors
    /// As there.
    pub fn read(path: &Path, mode: ColorMode) -> Result<Self> {
        Ok(Photo::read(path)?.to_image(mode))
    }

    /// Writes an 8-bit file by `path`'s extension as [`Photo::write`] does, values clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// As there, and [`DataError::Shape`] for a picture with neither one nor three channels.
    pub fn write(&self, path: &Path) -> Result<()> {
        Photo::from_image(self)?.write(path)
    }

    /// The bytes of an 8-bit PNG file, values clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// As for [`write`](Self::write), but for the disk's.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        Photo::from_image(self)?
            .encode_to(&mut bytes, ImageFormat::Png, Path::new("PNG"))
            .map_err(|e| DataError::format(Path::new("PNG"), format!("cannot be encoded: {e}")))?;
        Ok(bytes.into_inner())
    }
}
