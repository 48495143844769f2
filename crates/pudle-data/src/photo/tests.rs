mod notes;
mod said;
mod tiffs;

use super::*;
use std::path::Path;

#[test]
fn photos_keep_depth_alpha_profile_and_exif() {
    use ::image::{ImageEncoder, ImageFormat};
    let dir = tempfile::tempdir().unwrap();
    // Nobody looks further than to the colour space.
    let mut profile = vec![0; 200];
    profile[16..20].copy_from_slice(b"RGB ");
    // A little-endian Exif block with one entry: orientation 6, to be turned right.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
    exif.extend([0; 4]);
    let from = dir.path().join("a.png");
    let file = std::io::BufWriter::new(std::fs::File::create(&from).unwrap());
    let mut encoder = ::image::codecs::png::PngEncoder::new(file);
    encoder.set_icc_profile(profile.clone()).unwrap();
    encoder.set_exif_metadata(exif).unwrap();
    let deep = ::image::ImageBuffer::from_fn(30, 20, |x, y| {
        ::image::Rgba([1000 * x as u16, 2000 * y as u16, 5, 300 + x as u16])
    });
    ::image::DynamicImage::ImageRgba16(deep.clone()).write_with_encoder(encoder).unwrap();

    let mut photo = Photo::read(&from).unwrap();
    assert_eq!((photo.shape(), photo.depth()), ([3, 30, 20], 16), "it was turned");
    let changed = photo.window(1, 0, 1, 2);
    photo.put(1, 0, &Image { data: changed.data.iter().map(|v| v * 0.5).collect(), ..changed });
    for (name, format, alpha, depth) in [
        ("b.png", ImageFormat::Png, true, 16),
        ("b.tif", ImageFormat::Tiff, true, 16),
        ("b.webp", ImageFormat::WebP, true, 8),
        ("b.jpg", ImageFormat::Jpeg, false, 8),
    ] {
        let to = dir.path().join(name);
        photo.write(&to).unwrap();
        let back = Photo::read(&to).unwrap();
        assert_eq!((back.shape(), back.depth()), ([3, 30, 20], depth), "{name}");
        assert_eq!(back.pixels.stored().is_multiple_of(2), alpha, "{name}");
        assert_eq!(back.notes.profile.as_ref(), Some(&profile), "{name}");
        assert_eq!(files::format_at(&to).unwrap(), format);
        assert_eq!(back.notes.exif.is_some(), format != ImageFormat::Tiff, "{name}");
        if depth == 16 {
            let Pixels::Plain(::image::DynamicImage::ImageRgba16(pixels)) = &back.pixels else {
                panic!("{name}")
            };
            // Turned right: what was below comes to the left.
            assert_eq!(pixels.get_pixel(0, 0), deep.get_pixel(0, 19));
            let (was, is) = (deep.get_pixel(1, 19).0, pixels.get_pixel(0, 1).0);
            assert_eq!(is, [was[0] / 2, was[1] / 2, 3, was[3]], "halved, but for alpha");
        }
    }
}

#[test]
fn profiles_of_other_pixels_are_dropped() {
    use ::image::ImageEncoder;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    for (space, kept) in [(b"CMYK", false), (b"RGB ", false), (b"GRAY", true)] {
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(space);
        let mut encoder =
            ::image::codecs::png::PngEncoder::new(std::fs::File::create(&path).unwrap());
        encoder.set_icc_profile(profile).unwrap();
        encoder.write_image(&[7; 6], 3, 2, ::image::ExtendedColorType::L8).unwrap();
        assert_eq!(Photo::read(&path).unwrap().notes.profile.is_some(), kept);
    }
}

#[test]
fn paths_are_checked_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(Photo::check_path(&dir.path().join("a.webp")).is_ok());
    assert!(Photo::check_path(Path::new("a.tif")).is_ok());
    for name in ["a.gif", "a", "missing/a.png", "file/a.png"] {
        assert!(Photo::check_path(&dir.path().join(name)).is_err(), "{name}");
    }
}

#[test]
fn colour_files_of_grey_pixels_are_grey() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grey.png");
    let pixel = |x: u32, _| ::image::Rgba([x as u8; 4]);
    ::image::ImageBuffer::from_fn(5, 4, pixel).save(&path).unwrap();
    let mut photo = Photo::read(&path).unwrap();
    assert_eq!(photo.shape(), [1, 4, 5]);
    assert_eq!(photo.window(0, 3, 1, 1).data, [3.0 / 255.0]);
    photo.put(0, 3, &Image::from_fn(1, 1, 1, |_, _, _| 1.0));
    photo.write(&path).unwrap();
    let ::image::DynamicImage::ImageRgba8(pixels) = ::image::open(&path).unwrap() else { panic!() };
    assert_eq!(pixels.get_pixel(3, 0).0, [255, 255, 255, 3]);
    let grey_alpha = dir.path().join("la.tiff");
    let pixels = ::image::ImageBuffer::from_pixel(2, 2, ::image::LumaA([9u8, 7]));
    Photo { pixels: Pixels::Plain(::image::DynamicImage::ImageLumaA8(pixels)), ..photo }
        .write(&grey_alpha)
        .unwrap();
    let back = Photo::read(&grey_alpha).unwrap();
    assert_eq!(back.shape(), [1, 2, 2]);
    let Pixels::Plain(pixels) = &back.pixels else { panic!("of 8 bits") };
    assert_eq!(pixels.as_bytes()[6..], [9, 7]);
}

#[test]
fn changed_bytes_give_a_picture_or_an_error() {
    use ::image::ImageFormat;
    use rand::RngExt;
    let dir = tempfile::tempdir().unwrap();
    let pixels = ::image::ImageBuffer::from_fn(37, 29, |x, y| {
        ::image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])
    });
    let real = (0..30).flat_map(|v| (v as f32 / 30.0).to_le_bytes()).collect();
    let page = tiffs::Page::new([5, 6], 32, 1, real).with(339, 3, &[3]);
    let mut seeds = vec![tiffs::tiff(&[page.clone(), page])];
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::WebP] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut bytes, format).unwrap();
        seeds.push(bytes.into_inner());
    }
    let path = dir.path().join("changed.png");
    for step in 0..1000 {
        let mut rng = crate::rng::step_rng(1, crate::rng::Stream::Noise, step);
        let mut bytes = seeds[step as usize % seeds.len()].clone();
        for _ in 0..rng.random_range(1..8) {
            // Headers are changed more often than pixels.
            let end = if rng.random_bool(0.5) { 200.min(bytes.len()) } else { bytes.len() };
            let at = rng.random_range(0..end);
            bytes[at] = rng.random();
        }
        if rng.random_bool(0.2) {
            let length = rng.random_range(0..bytes.len());
            bytes.truncate(length);
        }
        std::fs::write(&path, &bytes).unwrap();
        let _ = Photo::read(&path);
    }
}
