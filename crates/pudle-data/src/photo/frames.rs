//! Frames of animations.

use std::io::{BufRead, Seek};

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageFormat};

use super::problem::{Problem, limits, plain_words};

/// The frame of this number, counted from 1, as it is shown.
pub(super) fn read<R: BufRead + Seek>(
    file: R,
    format: ImageFormat,
    number: usize,
    count: usize,
) -> Result<DynamicImage, Problem> {
    let missing = Problem::NoPage { page: number, count };
    if !(1..=count).contains(&number) {
        return Err(missing);
    }
    match format {
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(file, limits()).map_err(plain_words)?;
            let color = decoder.color_type();
            if color.bytes_per_pixel() / color.channel_count() > 1 {
                return Err(Problem::Reason("an animation of 16 bits, which is not read".into()));
            }
            nth(decoder.apng().map_err(plain_words)?.into_frames(), number, missing)
        }
        _ => nth(WebPDecoder::new(file).map_err(plain_words)?.into_frames(), number, missing),
    }
}

fn nth(mut frames: Frames<'_>, number: usize, missing: Problem) -> Result<DynamicImage, Problem> {
    let frame = frames.nth(number - 1).ok_or(missing)?.map_err(plain_words)?;
    let pixels = frame.into_buffer();
    let opaque = pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    let pixels = DynamicImage::ImageRgba8(pixels);
    Ok(if opaque { DynamicImage::ImageRgb8(pixels.into_rgb8()) } else { pixels })
}
