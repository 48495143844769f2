//! What is not kept is said, and colours of unusual kinds are brought to red, green and blue as their file says.

use std::io::Write;
use std::path::Path;

use super::super::notes::Notes;
use super::super::{Photo, PhotoOptions, jpeg};
use super::notes::chunk;
use super::tiffs::{Page, tiff};
use crate::image::Raster;

fn read(pages: &[Page]) -> Photo {
    Photo::decode(&tiff(pages), Path::new("a.tif"), &PhotoOptions::default()).unwrap()
}

fn said(photo: &Photo) -> String {
    photo.notes.lost.join("; ")
}

#[test]
fn palettes_and_few_bits_are_said() {
    for (bits, wide) in [(1, 8), (4, 8), (12, 16)] {
        let page = Page::new([2, 1], bits, 1, vec![0x5a; 3]);
        let said = said(&read(&[page]));
        assert!(said.contains(&format!("samples of {bits} bit")), "{said}");
        assert!(said.contains(&format!("they have {wide} bits")), "{said}");
    }
    let palette = Page::new([2, 1], 4, 1, vec![0x12]).with(262, 3, &[3]).with(320, 3, &[9; 48]);
    assert!(said(&read(&[palette])).contains("the palette"));
    for bits in [8, 16] {
        assert_eq!(said(&read(&[Page::new([2, 1], bits, 1, vec![7; 4])])), "");
    }
}

#[test]
fn palettes_and_few_bits_of_png_are_said() {
    const GRAY: u8 = 0;
    const PALETTE: u8 = 3;
    for (color, bits, words) in [
        (PALETTE, 8, "the palette"),
        (PALETTE, 2, "the palette"),
        (GRAY, 1, "samples of 1 bit (they have 8 bits)"),
        (GRAY, 4, "samples of 4 bits"),
        (GRAY, 8, ""),
        (GRAY, 16, ""),
    ] {
        // A row of two pixels.
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[0, 0, 0, 0, 0][..1 + usize::div_ceil(2 * bits, 8)]).unwrap();
        let head = [0, 0, 0, 2, 0, 0, 0, 1, bits as u8, color, 0, 0, 0];
        let file = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &head),
            if color == PALETTE { chunk(b"PLTE", &[9; 3]) } else { Vec::new() },
            chunk(b"IDAT", &packed.finish().unwrap()),
            chunk(b"IEND", b""),
        ];
        let photo = Photo::decode(&file.concat(), Path::new("a.png"), &PhotoOptions::default());
        let said = said(&photo.unwrap());
        assert!(said.contains(words) && words.is_empty() == said.is_empty(), "{said}");
    }
}

#[test]
fn other_pages_are_said() {
    let page = || Page::new([1, 1], 8, 1, vec![1]);
    let file = tiff(&[page(), page(), page()]);
    let options = PhotoOptions { page: Some(2), ..PhotoOptions::default() };
    let photo = Photo::decode(&file, Path::new("a.tif"), &options).unwrap();
    assert!(said(&photo).contains("the other 2 pages"));
}

#[test]
fn small_copies_and_inks_of_jpeg_are_said() {
    let segment = |marker: u8, body: &[u8]| {
        [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
    };
    let said = |copy: u8, channels: u8| {
        let jfif = [b"JFIF\0\x01\x01\x01\0\x48\0\x48", &[copy, copy][..], &[5; 3]].concat();
        let mut frame = vec![8, 0, 1, 0, 1, channels];
        frame.extend(vec![0; 3 * usize::from(channels)]);
        let file =
            [vec![0xff, 0xd8], segment(0xe0, &jfif), segment(0xc0, &frame), segment(0xda, &[])];
        let mut notes = Notes::default();
        let file = file.concat();
        jpeg::read(&file, file.len(), &mut notes);
        notes.lost.join("; ")
    };
    assert_eq!(said(0, 3), "");
    assert!(said(1, 3).contains("small copy"));
    assert!(said(0, 4).contains("CMYK inks"));
}

/// A page of YCbCr samples.
fn ycbcr(pixels: &[[u8; 3]]) -> Page {
    Page::new([pixels.len() as u32, 1], 8, 3, pixels.concat()).with(262, 3, &[6]).with(
        530,
        3,
        &[1, 1],
    )
}

fn ratios(values: [u32; 6]) -> Vec<u32> {
    values.iter().flat_map(|&value| [value, 1]).collect()
}

/// The pixels of a file of one row, red, green and blue.
fn colors(page: Page) -> Vec<[i32; 3]> {
    let row = read(&[page]);
    let width = row.shape()[2];
    let window = row.part(3, [0, 0, 1, width]);
    let level = |c, x| (window.at(c, 0, x) * 255.0).round() as i32;
    (0..width).map(|x| [0, 1, 2].map(|c| level(c, x))).collect()
}

fn near(found: &[[i32; 3]], expected: &[[i32; 3]]) {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= 2), "{found:?} {expected:?}");
    assert_eq!(found.len(), expected.len());
}

/// The pixels are those of ITU-R BT.601 and BT.709 for 75 % and 100 % colour bars.
#[test]
fn the_reference_of_black_and_white_is_used() {
    let full = ycbcr(&[[0, 128, 128], [255, 128, 128], [76, 85, 255]]);
    near(&colors(full), &[[0, 0, 0], [255, 255, 255], [254, 0, 0]]);
    // Video range: 16 to 235, and 128 ± 112.
    let video = ratios([16, 235, 128, 240, 128, 240]);
    let bars = [[16, 128, 128], [235, 128, 128], [81, 90, 240], [145, 54, 34], [41, 240, 110]];
    let page = ycbcr(&bars).with(532, 5, &video);
    let expected = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]];
    near(&colors(page), &expected);
    let bars = [[63, 102, 240], [173, 42, 26], [32, 240, 118]];
    let shares = [2126, 10_000, 7152, 10_000, 722, 10_000];
    let page = ycbcr(&bars).with(532, 5, &video).with(529, 5, &shares);
    near(&colors(page), &expected[2..]);
    let page = ycbcr(&bars).with(532, 5, &ratios([7, 7, 128, 255, 128, 255]));
    let options = PhotoOptions::default();
    let error = Photo::decode(&tiff(&[page]), Path::new("a.tif"), &options).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn a_reference_that_is_not_used_is_said() {
    let page = |values| Page::new([1, 1], 8, 3, vec![1, 2, 3]).with(532, 5, &ratios(values));
    assert_eq!(said(&read(&[page([0, 255, 0, 255, 0, 255])])), "");
    let said = said(&read(&[page([16, 235, 16, 235, 16, 235])]));
    assert!(said.contains("reference of black and white"), "{said}");
    let inks = Page::new([1, 1], 8, 4, vec![0; 4]).with(262, 3, &[5]).with(332, 3, &[2]);
    let error = Photo::decode(&tiff(&[inks]), Path::new("a.tif"), &PhotoOptions::default());
    assert!(error.unwrap_err().to_string().contains("inks"));
}
