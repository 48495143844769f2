//! Frames of animations.

use std::io::{BufRead, Seek};

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageFormat};

use super::problem::{Problem, limits, plain_words};

/// What a file holds beside a picture.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    /// Frames of an animation, 0 for a still picture.
    pub frames: u32,
    /// Whether the file has a still picture that is none of the frames.
    pub apart: bool,
}

impl Count {
    /// Whether no frame is the picture for lack of others.
    pub(super) fn has_to_be_chosen(self) -> bool {
        self.frames > 1 && !self.apart
    }

    /// The frame to read, or `None` for the still picture. What is not read then is added to `lost`.
    pub(super) fn choose(
        self,
        page: Option<usize>,
        lost: &mut Vec<String>,
    ) -> Result<Option<usize>, Problem> {
        let count = self.frames as usize;
        let frames = |count| match count {
            1 => "the frame of the animation".into(),
            _ => format!("the {count} frames of the animation"),
        };
        match page {
            None if self.has_to_be_chosen() => return Err(Problem::Pages(count)),
            None if self.apart => lost.push(frames(count)),
            Some(page) if !(1..=count.max(1)).contains(&page) => {
                return Err(Problem::NoPage { page, count: count.max(1) });
            }
            Some(_) if self.apart => lost.push("the still picture beside the animation".into()),
            _ => {}
        }
        if page.is_some() && count > 1 {
            lost.push(format!("the other {} frames", count - 1));
        }
        Ok(page.filter(|_| count > 1 || self.apart))
    }
}

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
