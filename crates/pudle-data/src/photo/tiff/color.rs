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
        6 => ycbcr(&mut values),
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

/// Red, green and blue of light and two differences of colour, in the full range (ITU-T T.871).
fn ycbcr(values: &mut [u16]) {
    for pixel in values.chunks_exact_mut(3) {
        let [y, cb, cr] = [0, 1, 2].map(|c| f32::from(pixel[c]));
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        for (sample, value) in pixel.iter_mut().zip(rgb) {
            *sample = value.round().clamp(0.0, 255.0) as u16;
        }
    }
}

/// The pixels of unsigned samples of up to 16 bits.
fn plain(layout: &Layout, stored: usize, samples: Vec<u16>) -> Pixels {
    let (w, h) = (layout.width as u32, layout.height as u32);
    Pixels::Plain(match layout.bits {
        0..=8 => plain8(stored, w, h, samples.into_iter().map(|v| v as u8).collect()),
        _ => plain16(stored, w, h, samples),
    })
}
