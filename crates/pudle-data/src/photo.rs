//! Pictures as files hold them.

mod deep;
mod exif;
pub(crate) mod files;
mod frames;
mod guard;
mod ifd;
mod jpeg;
mod notes;
mod photoshop;
mod pixels;
mod png;
mod problem;
mod sniff;
mod tag;
mod tags;
#[cfg(test)]
mod tests;
mod tiff;
mod webp;
pub(crate) mod write;

use std::ops::{Deref, DerefMut};

use image::DynamicImage;

use crate::error::{DataError, Result};
use crate::image::{ColorMode, Image, Raster, luma};
use notes::Notes;
use pixels::Pixels;

/// A picture with the sample type and the channels of its file. It holds alpha, colour profile, Exif data and what else the
/// file says of the picture, so that a changed picture can be written as the same kind of file.
///
/// The picture is upright: the orientation of the Exif data has been applied. Pixels are read and
/// changed in windows, as [`Image`]s with 0 black and 1 white ([`Raster`]), without alpha. Samples of 8 and 16 bits lie in
/// \[0, 1\]; of other types, [`PhotoOptions::range`] or the file's values decide what is 0 and 1, and values may lie
/// outside. A colour file whose three channels are equal everywhere counts as grey.
#[derive(Clone, Debug)]
pub struct Photo {
    pixels: Pixels,
    /// Whether the file has three equal channels.
    gray: bool,
    /// What the file says of the picture.
    notes: Notes,
    /// What its user should know.
    remarks: Vec<String>,
    /// Quality of a JPEG file that is written, 1 to 100.
    jpeg_quality: u8,
}

/// How a picture is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhotoOptions {
    /// The page of a TIFF file or the frame of an animation, counted from 1. Without it, a file with several is an error.
    pub page: Option<usize>,
    /// Black and white: the samples that become 0 and 1. Without it, 8 and 16 bits are read in their whole range, real
    /// numbers within 0…1 or 0…255 in these, and other samples from their lowest to their highest value.
    pub range: Option<(f64, f64)>,
}

/// At this quality a stored result differs from the computed one by less than the noise that is studied.
const JPEG_QUALITY: u8 = 95;

/// Evaluates `body` for the samples of any variant: `samples` is their slice, `depth` their type.
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
    /// The picture in 8 bits, values clipped to \[0, 1\] and rounded.
    ///
    /// # Errors
    /// [`DataError::Shape`] if the picture has neither one nor three channels, or a side of 2³² pixels or more.
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
        let mut photo = Self {
            pixels: Pixels::Plain(pixels),
            gray: false,
            notes: Notes::default(),
            remarks: Vec::new(),
            jpeg_quality: JPEG_QUALITY,
        };
        photo.put(0, 0, image);
        Ok(photo)
    }

    /// What the user of the picture should know: the range of unusual samples, or that the data fill little of their range.
    /// Each is the rest of a sentence that begins with the file's name.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Sets the quality of JPEG files that are written, from 1 to 100. It is 95 by default.
    pub fn set_jpeg_quality(&mut self, quality: u8) {
        self.jpeg_quality = quality.clamp(1, 100);
    }

    /// A number that is equal for equal pixels, and most likely different for others.
    pub fn checksum(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        match &self.pixels {
            Pixels::Plain(pixels) => std::hash::Hasher::write(&mut hasher, pixels.as_bytes()),
            Pixels::Deep(pixels) => {
                for value in &pixels.samples {
                    std::hash::Hasher::write_u64(&mut hasher, value.to_bits());
                }
            }
        }
        std::hash::Hasher::finish(&hasher)
    }

    /// Bits of a sample: 8, 16, 32 or 64.
    pub fn depth(&self) -> u8 {
        match &self.pixels {
            Pixels::Plain(pixels) => {
                let color = pixels.color();
                8 * (color.bytes_per_pixel() / color.channel_count())
            }
            Pixels::Deep(pixels) => 8 * pixels.kind.bytes() as u8,
        }
    }

    /// The whole picture.
    pub(crate) fn to_image(&self, mode: ColorMode) -> Image {
        let [height, width] = self.pixels.sides();
        let colors = if self.pixels.stored() < 3 { 1 } else { 3 };
        let whole = self.part(colors, [0, 0, height, width]);
        let n = height * width;
        match (mode, colors) {
            (ColorMode::Gray, 3) => {
                let value = |c: usize, at: usize| whole.data[c * n + at];
                let data =
                    (0..n).map(|at| luma(value(0, at), value(1, at), value(2, at))).collect();
                Image { channels: 1, height, width, data }
            }
            (ColorMode::Rgb, 1) => Image { channels: 3, height, width, data: whole.data.repeat(3) },
            _ => whole,
        }
    }

    /// The first channels of a window.
    fn part(&self, channels: usize, [top, left, h, w]: [usize; 4]) -> Image {
        let stored = self.pixels.stored();
        match &self.pixels {
            Pixels::Plain(pixels) => {
                let width = pixels.width() as usize;
                with_samples!(pixels, deref, |samples, Depth| {
                    let white = f32::from(Depth::MAX);
                    Image::from_fn(channels, h, w, |c, y, x| {
                        f32::from(samples[((top + y) * width + left + x) * stored + c]) / white
                    })
                })
            }
            Pixels::Deep(pixels) => pixels.window(channels, [top, left, h, w]),
        }
    }
}

impl Raster for Photo {
    fn shape(&self) -> [usize; 3] {
        let channels = if self.gray || self.pixels.stored() < 3 { 1 } else { 3 };
        let [height, width] = self.pixels.sides();
        [channels, height, width]
    }

    fn window(&self, top: usize, left: usize, h: usize, w: usize) -> Image {
        let [channels, height, width] = self.shape();
        assert!(top + h <= height && left + w <= width, "a window of the picture");
        self.part(channels, [top, left, h, w])
    }

    fn put(&mut self, top: usize, left: usize, part: &Image) {
        let [channels, height, width] = self.shape();
        assert!(top + part.height <= height && left + part.width <= width, "within the picture");
        assert_eq!(part.channels, channels, "channels");
        let stored = self.pixels.stored();
        let colors = if stored < 3 { 1 } else { 3 };
        let pixels = match &mut self.pixels {
            Pixels::Plain(pixels) => pixels,
            Pixels::Deep(pixels) => return pixels.put([top, left], part),
        };
        with_samples!(pixels, deref_mut, |samples, Depth| {
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

/// Whether a picture has three channels that are equal everywhere.
fn is_gray(pixels: &Pixels) -> bool {
    let pixels = match pixels {
        Pixels::Plain(pixels) => pixels,
        Pixels::Deep(pixels) => return pixels.is_gray(),
    };
    let stored = usize::from(pixels.color().channel_count());
    stored > 2
        && with_samples!(pixels, deref, |samples, Depth| {
            samples.chunks_exact(stored).all(|p| p[0] == p[1] && p[1] == p[2])
        })
}

/// The highest sample but alpha of a picture of 16 bits; `None` for one of 8 bits.
fn highest(pixels: &DynamicImage) -> Option<u16> {
    match pixels {
        DynamicImage::ImageLuma16(buffer) => buffer.iter().copied().max(),
        DynamicImage::ImageRgb16(buffer) => buffer.iter().copied().max(),
        DynamicImage::ImageLumaA16(buffer) => buffer.pixels().map(|p| p.0[0]).max(),
        DynamicImage::ImageRgba16(buffer) => {
            buffer.pixels().map(|p| p.0[0].max(p.0[1]).max(p.0[2])).max()
        }
        _ => None,
    }
}
