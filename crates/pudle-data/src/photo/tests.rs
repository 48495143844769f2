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
        assert_eq!(back.pixels.color().has_alpha(), alpha, "{name}");
        assert_eq!(back.profile.as_ref(), Some(&profile), "{name}");
        assert_eq!(files::open(&to).unwrap().format(), Some(format));
        assert_eq!(back.exif.is_some(), format != ImageFormat::Tiff, "{name}");
        if depth == 16 {
            let ::image::DynamicImage::ImageRgba16(pixels) = &back.pixels else { panic!("{name}") };
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
        assert_eq!(Photo::read(&path).unwrap().profile.is_some(), kept);
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
    Photo { pixels: ::image::DynamicImage::ImageLumaA8(pixels), ..photo }
        .write(&grey_alpha)
        .unwrap();
    let back = Photo::read(&grey_alpha).unwrap();
    assert_eq!(back.shape(), [1, 2, 2]);
    assert_eq!(back.pixels.to_rgba8().get_pixel(1, 1).0, [9, 9, 9, 7]);
}
