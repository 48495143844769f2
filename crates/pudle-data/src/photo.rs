//! Pictures as files hold them.

pub(crate) mod files;
mod guard;
mod sniff;
#[cfg(test)]
mod tests;

use std::ops::{Deref, DerefMut};

use image::DynamicImage;

use crate::error::{DataError, Result};
use crate::image::{ColorMode, Image, Raster, luma};

/// A picture with the depth (8 or 16 bits) and the channels of its file. It holds alpha, colour profile and
/// Exif data, so that a changed picture can be written as the same kind of file.
///
/// The picture is upright: the orientation of the Exif data has been applied. Pixels are read and
/// changed in windows, as [`Image`]s in \[0, 1\] ([`Raster`]), without alpha. A colour file
/// whose three channels are equal everywhere counts as grey.
#[derive(Clone, Debug)]
pub struct Photo {
    /// One of the eight variants of 8 or 16 bits.
    pixels: DynamicImage,
    /// Whether the file has three equal channels.
    gray: bool,
    /// ICC colour profile.
    profile: Option<Vec<u8>>,
    /// Exif data, without their orientation.
    exif: Option<Vec<u8>>,
    /// Quality of a JPEG file that is written, 1 to 100.
    jpeg_quality: u8,
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
        let mut photo =
            Self { pixels, gray: false, profile: None, exif: None, jpeg_quality: JPEG_QUALITY };
        photo.put(0, 0, image);
        Ok(photo)
    }

    /// Samples of a pixel in the file: 1 grey, 2 with alpha, 3 colour, 4 with alpha.
    fn stored(&self) -> usize {
        usize::from(self.pixels.color().channel_count())
    }

    /// Sets the quality of JPEG files that are written, from 1 to 100. It is 95 by default.
    pub fn set_jpeg_quality(&mut self, quality: u8) {
        self.jpeg_quality = quality.clamp(1, 100);
    }

    /// A number that is equal for equal pixels, and most likely different for others.
    pub fn checksum(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hasher::write(&mut hasher, self.pixels.as_bytes());
        std::hash::Hasher::finish(&hasher)
    }

    /// Bits of a sample, 8 or 16.
    pub fn depth(&self) -> u8 {
        let color = self.pixels.color();
        8 * (color.bytes_per_pixel() / color.channel_count())
    }

    /// The whole picture.
    pub(crate) fn to_image(&self, mode: ColorMode) -> Image {
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

/// Whether a picture has three channels that are equal everywhere.
fn is_gray(pixels: &DynamicImage) -> bool {
    let stored = usize::from(pixels.color().channel_count());
    stored > 2
        && with_samples!(pixels, deref, |samples, Depth| {
            samples.chunks_exact(stored).all(|p| p[0] == p[1] && p[1] == p[2])
        })
}
