//! What PNG, JPEG and WebP files say beside their pixels.

use std::io::Cursor;
use std::path::Path;

use ::image::{DynamicImage, ImageFormat, RgbImage};

use super::super::exif::{drop_thumbnail, set_upright};
use super::super::notes::Density;
use super::super::photoshop::without_thumbnails;
use super::*;

fn encoded(format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(16, 8, |x, y| ::image::Rgb([x as u8 * 9, y as u8 * 20, 77]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(pixels).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], name, data, &crc.sum().to_be_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Photo {
    Photo::decode(bytes, Path::new("a"), &PhotoOptions::default()).unwrap()
}

/// The bytes of the file that is written.
fn written(photo: &Photo, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    photo.encode_to(&mut bytes, format, Path::new("b")).unwrap();
    bytes.into_inner()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn chunks_of_png_are_kept() {
    let kept = [
        chunk(b"gAMA", &100_000u32.to_be_bytes()),
        chunk(b"pHYs", &[0, 0, 0x2e, 0x23, 0, 0, 0x2e, 0x23, 1]),
        chunk(b"tEXt", b"Author\0A. Person"),
        chunk(b"cICP", &[9, 16, 0, 1]),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"),
    ];
    let lost = [chunk(b"bKGD", &[0; 6]), chunk(b"pHYs", &[0; 9])[..20].to_vec()].concat();
    let mut lost = lost;
    lost.push(1);
    let plain = encoded(ImageFormat::Png);
    let file = [&plain[..33], &kept.concat(), &lost, &plain[33..], b"a video"].concat();
    let photo = decode(&file);
    let png = written(&photo, ImageFormat::Png);
    for (k, chunk) in kept.iter().enumerate() {
        assert!(has(&png, chunk), "{k}");
    }
    assert_eq!(decode(&png).window(0, 0, 8, 16), photo.window(0, 0, 8, 16));
    let said = photo.notes.lost_in(ImageFormat::Png).join(" ");
    for word in ["bKGD", "pHYs, which is damaged", "what follows"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Other formats hold XMP data and resolution, and the rest is said.
    let jpeg = decode(&written(&photo, ImageFormat::Jpeg));
    assert_eq!(jpeg.notes.xmp, photo.notes.xmp);
    assert_eq!(jpeg.notes.density, Some(Density { unit: 1, x: 300.0, y: 300.0 }));
    let webp = decode(&written(&photo, ImageFormat::WebP));
    assert_eq!(webp.notes.xmp, photo.notes.xmp);
    let said = photo.notes.lost_in(ImageFormat::WebP).join(" ");
    assert!(said.contains("gAMA, tEXt, cICP") && said.contains("resolution"), "{said}");
    let tiff = decode(&written(&photo, ImageFormat::Tiff));
    assert_eq!(tiff.notes.xmp, photo.notes.xmp);
}

#[test]
fn segments_of_jpeg_are_kept() {
    let segment = |marker: u8, data: &[u8]| {
        [&[0xff, marker], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat()
    };
    let iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x03abc\0";
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta rating='5'/>";
    let kept = [segment(0xe1, xmp), segment(0xed, iptc), segment(0xfe, b"a comment")];
    let plain = encoded(ImageFormat::Jpeg);
    let more = segment(0xe2, b"MPF\0II*\0");
    let file = [&plain[..20], &kept.concat(), &more, &plain[20..], &plain].concat();
    let photo = decode(&file);
    let jpeg = written(&photo, ImageFormat::Jpeg);
    for (k, segment) in kept.iter().enumerate() {
        assert!(has(&jpeg, segment), "{k}");
    }
    assert!(!has(&jpeg, b"MPF"));
    let said = photo.notes.lost_in(ImageFormat::Jpeg).join(" ");
    assert!(said.contains("gain map"), "{said}");
    let said = photo.notes.lost_in(ImageFormat::Png).join(" ");
    assert!(said.contains("comment") && said.contains("IPTC"), "{said}");
    let tiff = decode(&written(&photo, ImageFormat::Tiff));
    assert_eq!(tiff.notes.photoshop, photo.notes.photoshop);
    // XMP data that describe the gain map go with it.
    let xmp = segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<a xmlns:hdrgm='x'/>");
    let file = [&plain[..20], &xmp, &plain[20..], &plain].concat();
    assert_eq!(decode(&file).notes.xmp, None);
}

/// Exif data with orientation 6 and a small copy of the picture.
fn exif() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()]
            .concat()
    };
    let mut exif = b"II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend(entry(0x112, 3, 6));
    exif.extend(26u32.to_le_bytes());
    exif.extend(2u16.to_le_bytes());
    exif.extend([entry(513, 4, 56), entry(514, 4, 5), vec![0; 4]].concat());
    exif.extend(b"SMALL");
    exif
}

#[test]
fn old_small_copies_are_dropped() {
    let mut block = exif();
    assert!(drop_thumbnail(&mut block));
    assert!(!has(&block, b"SMALL") && block[22..26] == [0; 4]);
    assert!(!drop_thumbnail(&mut block), "there is none any more");
    let resources = |id: u8| [b"8BIM\x04", &[id][..], b"\0\0\0\0\0\x03abc\0"].concat();
    let both = [resources(0x04), resources(0x0c)].concat();
    assert_eq!(without_thumbnails(&both), Some((resources(0x04), true)));
    assert_eq!(without_thumbnails(b"8BIM\x04\x04\0\0\xff"), None);
}

#[test]
fn xmp_data_follow_the_orientation() {
    let plain = encoded(ImageFormat::Png);
    let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<a tiff:Orientation=\"6\"/>";
    let more = [chunk(b"eXIf", &exif()), chunk(b"iTXt", xmp)].concat();
    let photo = decode(&[&plain[..33], &more, &plain[33..]].concat());
    assert_eq!(photo.shape(), [3, 16, 8], "it is turned");
    assert!(has(photo.notes.xmp.as_ref().unwrap(), b"tiff:Orientation=\"1\""));
    let back = decode(&written(&photo, ImageFormat::Png));
    assert_eq!(back.shape(), [3, 16, 8], "it is not turned again");
    assert!(back.notes.lost.is_empty(), "{:?}", back.notes.lost);
    let mut other = b"<tiff:Orientation>8</tiff:Orientation> tiff:Orientation='9'".to_vec();
    set_upright(&mut other);
    assert_eq!(other, b"<tiff:Orientation>1</tiff:Orientation> tiff:Orientation='9'");
}

#[test]
fn one_frame_of_an_animation_has_to_be_chosen() {
    let plain = encoded(ImageFormat::Png);
    // The second frame is the first one again, in its other kind of chunk.
    let control = |number: u32| {
        let sizes = [number, 16, 8, 0, 0].map(u32::to_be_bytes).concat();
        chunk(b"fcTL", &[&sizes[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    let at = plain.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
    let size = u32::from_be_bytes(plain[at..at + 4].try_into().unwrap()) as usize;
    let data = [&2u32.to_be_bytes()[..], &plain[at + 8..at + 8 + size]].concat();
    let head = [chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), control(0)].concat();
    let second = [control(1), chunk(b"fdAT", &data)].concat();
    let end = at + 12 + size;
    let file = [&plain[..at], &head, &plain[at..end], &second, &plain[end..]].concat();
    let read = |page| {
        let options = PhotoOptions { page, ..PhotoOptions::default() };
        Photo::decode(&file, Path::new("a.png"), &options)
    };
    let error = read(None).unwrap_err();
    assert!(matches!(error, DataError::Pages { count: 2, .. }), "{error}");
    let still = decode(&plain);
    for page in [1, 2] {
        assert_eq!(read(Some(page)).unwrap().window(0, 0, 8, 16), still.window(0, 0, 8, 16));
    }
    assert!(read(Some(3)).unwrap_err().to_string().contains("only pages 1 to 2"));
    // A still picture that is no frame is the picture, and the frames are said.
    let head = chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]);
    let frame = [control(0), chunk(b"fdAT", &[&[0, 0, 0, 1], &data[4..]].concat())].concat();
    let file = [&plain[..at], &head, &plain[at..end], &frame, &plain[end..]].concat();
    for (page, words) in [(None, "the frame of the animation"), (Some(1), "the still picture")] {
        let options = PhotoOptions { page, ..PhotoOptions::default() };
        let photo = Photo::decode(&file, Path::new("a.png"), &options).unwrap();
        assert_eq!(photo.window(0, 0, 8, 16), still.window(0, 0, 8, 16));
        assert!(photo.notes.lost.join(" ").contains(words), "{:?}", photo.notes.lost);
    }
}
