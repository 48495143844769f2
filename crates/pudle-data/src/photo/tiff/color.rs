//! Colours of TIFF files.

use std::io::{Read, Seek};

use super::chunks::Samples;
use super::layout::{Layout, damaged, kind};
use crate::photo::deep::{Deep, plain8, plain16};
use crate::photo::ifd::{Directory, Reader};
use crate::photo::pixels::Pixels;
use crate::photo::tag;

/// The pixels of stored samples.
pub(super) fn pixels<R: Read + Seek>(
    file: &mut Reader<R>,
    page: &Directory,
    layout: &Layout,
    samples: Samples,
) -> Result<Pixels, String> {
    let shape = [layout.height, layout.width, layout.samples];
    if let Some(kind) = kind(layout.format, layout.bits, layout.photometric)? {
        return Ok(Pixels::Deep(Deep::new(shape, kind, &samples.bytes)?));
    }
    let (w, h) = (layout.width as u32, layout.height as u32);
    match (layout.photometric, layout.bits) {
        (1 | 2, 8) => return Ok(Pixels::Plain(plain8(layout.samples, w, h, samples.bytes))),
        (1 | 2, 16) => {
            return Ok(Pixels::Plain(plain16(
                layout.samples,
                w,
                h,
                wide(layout, &samples.bytes).collect(),
            )));
        }
        _ => {}
    }
    let mut values: Vec<u16> = wide(layout, &samples.bytes).collect();
    drop(samples);
    if layout.photometric == 3 {
        return palette(file, page, layout, &values);
    }
    scale(layout, &mut values);
    let white = if layout.bits <= 8 { 255 } else { u16::MAX };
    match layout.photometric {
        0 => values.chunks_exact_mut(layout.samples).for_each(|pixel| pixel[0] = white - pixel[0]),
        5 => return Ok(plain(layout, 3, cmyk(&values, white))),
        6 => Conversion::of(file, page, layout.compression)?.apply(&mut values),
        _ => {}
    }
    Ok(plain(layout, layout.samples, values))
}

/// The samples as numbers.
fn wide<'a>(layout: &Layout, bytes: &'a [u8]) -> Box<dyn Iterator<Item = u16> + 'a> {
    match layout.bits {
        0..=8 => Box::new(bytes.iter().map(|&v| u16::from(v))),
        _ => Box::new(bytes.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]]))),
    }
}

/// Brings samples of a few bits to 8 or 16 bits: white stays white.
fn scale(layout: &Layout, values: &mut [u16]) {
    let white: u32 = if layout.bits <= 8 { 255 } else { 65_535 };
    let most = (1u32 << layout.bits) - 1;
    if most != white {
        values.iter_mut().for_each(|v| *v = ((u32::from(*v) * white + most / 2) / most) as u16);
    }
}

/// Colours by their number in a palette.
fn palette<R: Read + Seek>(
    file: &mut Reader<R>,
    page: &Directory,
    layout: &Layout,
    values: &[u16],
) -> Result<Pixels, String> {
    let map = file.numbers(page, tag::COLOR_MAP);
    let size = 1usize << layout.bits;
    if map.len() < 3 * size {
        return Err(damaged());
    }
    // Some programs write 8 bits.
    let bytes = map.iter().all(|&v| v < 256);
    let is8 = bytes || map.iter().all(|&v| v % 257 == 0 || v % 256 == 0);
    let level = |v: u64| match (is8, bytes) {
        (true, true) => v as u16,
        (true, false) => (v >> 8) as u16,
        _ => v as u16,
    };
    let colors = values.iter().flat_map(|&v| (0..3).map(move |c| c * size + usize::from(v)));
    let samples = colors.map(|at| level(map[at]));
    let (w, h) = (layout.width as u32, layout.height as u32);
    Ok(Pixels::Plain(match is8 {
        true => plain8(3, w, h, samples.map(|v| v as u8).collect()),
        false => plain16(3, w, h, samples.collect()),
    }))
}

/// Red, green and blue of inks, as the `image` crate computes them.
fn cmyk(values: &[u16], white: u16) -> Vec<u16> {
    let white = u32::from(white);
    let pixels = values.chunks_exact(4);
    pixels
        .flat_map(|ink| {
            let left = |v: u16| white - u32::from(v);
            let light = |c: usize| ((left(ink[c]) * left(ink[3]) + white / 2) / white) as u16;
            [light(0), light(1), light(2)]
        })
        .collect()
}

/// How light and two differences of colour (YCbCr) are brought to red, green and blue (TIFF 6.0, section 21).
#[derive(Debug, PartialEq)]
struct Conversion {
    /// Shares of red, green and blue in the light.
    luma: [f64; 3],
    /// The samples of 8 bits that are black and white, for light and for the two differences.
    reference: [[f64; 2]; 3],
}

impl Conversion {
    /// The full range, and the shares of ITU-R BT.601: what JPEG data have (ITU-T T.871).
    const PLAIN: Self = Self { luma: [0.299, 0.587, 0.114], reference: PLAIN_REFERENCE };

    /// What a page says. JPEG data are of the plain kind, whatever the tags of their page say: so do other programs.
    fn of<R: Read + Seek>(
        file: &mut Reader<R>,
        page: &Directory,
        compression: u64,
    ) -> Result<Self, String> {
        let mut plain = Self::PLAIN;
        if compression == JPEG {
            return Ok(plain);
        }
        if let [red, green, blue] = file.real_numbers(page, tag::COEFFICIENTS)[..] {
            plain.luma = [red, green, blue];
        }
        plain.reference = reference(file, page).unwrap_or(plain.reference);
        let usable = plain.luma.iter().all(|share| *share > 0.0 && *share < 1.0)
            && plain.reference.iter().all(|[black, white]| (white - black).abs() >= 1.0);
        usable.then_some(plain).ok_or_else(damaged)
    }

    fn apply(&self, values: &mut [u16]) {
        let [red, green, blue] = self.luma;
        for pixel in values.chunks_exact_mut(3) {
            let full = |c: usize, range: f64| {
                let [black, white] = self.reference[c];
                (f64::from(pixel[c]) - black) * range / (white - black)
            };
            let (y, cb, cr) = (full(0, 255.0), full(1, 127.0), full(2, 127.0));
            let (r, b) = (y + (2.0 - 2.0 * red) * cr, y + (2.0 - 2.0 * blue) * cb);
            let rgb = [r, (y - red * r - blue * b) / green, b];
            for (sample, value) in pixel.iter_mut().zip(rgb) {
                *sample = value.round().clamp(0.0, 255.0) as u16;
            }
        }
    }
}

/// The number of JPEG compression.
const JPEG: u64 = 7;

const PLAIN_REFERENCE: [[f64; 2]; 3] = [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]];

/// The samples that a page says are black and white.
fn reference<R: Read + Seek>(file: &mut Reader<R>, page: &Directory) -> Option<[[f64; 2]; 3]> {
    let found: [f64; 6] = file.real_numbers(page, tag::REFERENCE).try_into().ok()?;
    Some([[found[0], found[1]], [found[2], found[3]], [found[4], found[5]]])
}

/// Whether a page has samples for black and white that the pixels are not brought to.
pub(super) fn leaves_reference<R: Read + Seek>(
    file: &mut Reader<R>,
    page: &Directory,
    layout: &Layout,
) -> bool {
    let used = layout.photometric == 6 && layout.compression != JPEG;
    let white = (2f64).powi(layout.bits.min(64) as i32) - 1.0;
    let plain = match layout.photometric {
        6 => PLAIN_REFERENCE,
        _ => [[0.0, white]; 3],
    };
    !used && reference(file, page).is_some_and(|found| found != plain)
}

/// The pixels of unsigned samples of up to 16 bits.
fn plain(layout: &Layout, stored: usize, samples: Vec<u16>) -> Pixels {
    let (w, h) = (layout.width as u32, layout.height as u32);
    Pixels::Plain(match layout.bits {
        0..=8 => plain8(stored, w, h, samples.into_iter().map(|v| v as u8).collect()),
        _ => plain16(stored, w, h, samples),
    })
}
