use super::*;
use std::path::Path;

fn ramp(channels: usize, height: usize, width: usize) -> Image {
    let n = (channels * height * width) as f32;
    Image::from_fn(channels, height, width, |c, y, x| ((c * height + y) * width + x) as f32 / n)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn new_checks_the_length() {
    assert!(Image::new(1, 2, 3, vec![0.0; 6]).is_ok());
    for (c, h, w, n) in [(1, 2, 3, 5), (0, 2, 3, 0), (1, 0, 3, 0), (usize::MAX, 2, 1, 2)] {
        assert!(Image::new(c, h, w, vec![0.0; n]).is_err(), "{c} {h} {w} {n}");
    }
}

#[test]
fn flips_and_crops_move_pixels_where_they_belong() {
    let image = ramp(3, 4, 5);
    let (h, v) = (image.flip_horizontal(), image.flip_vertical());
    let cut = image.crop(1, 2, 3, 2);
    assert_eq!(cut.shape(), [3, 3, 2]);
    for c in 0..3 {
        for y in 0..4 {
            for x in 0..5 {
                assert_eq!(h.at(c, y, x), image.at(c, y, 4 - x));
                assert_eq!(v.at(c, y, x), image.at(c, 3 - y, x));
            }
        }
        assert_eq!(cut.at(c, 0, 0), image.at(c, 1, 2));
        assert_eq!(cut.at(c, 2, 1), image.at(c, 3, 3));
    }
    assert_eq!(image.crop(9, 9, 99, 99), image);
    assert_eq!(image.crop(9, 9, 1, 1).data[0], image.at(0, 3, 4));
    assert_eq!(image.crop_center(2, 1), image.crop(1, 2, 2, 1));
}

#[test]
fn reflect_padding_by_hand() {
    let image = Image::new(1, 1, 3, vec![1.0, 2.0, 3.0]).unwrap();
    let padded = image.pad_reflect_to(2, 8);
    let row = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0];
    assert_eq!(padded.data, [row, row].concat());
    let pair = Image::new(1, 2, 1, vec![5.0, 6.0]).unwrap().pad_reflect_to(5, 1);
    assert_eq!(pair.data, [5.0, 6.0, 5.0, 6.0, 5.0]);
    assert_eq!(image.pad_reflect_to(0, 2), image);
}

#[test]
fn psnr_has_its_closed_form() {
    let clean = ramp(1, 8, 8);
    let off = Image { data: clean.data.iter().map(|v| v + 0.1).collect(), ..clean };
    assert!((off.psnr(&clean, 1.0) - 20.0).abs() < 1e-5);
    assert!((off.psnr(&clean, 10.0) - 40.0).abs() < 1e-5);
    assert_eq!(clean.psnr(&clean, 1.0), f64::INFINITY);
    assert!(clean.psnr(&ramp(1, 4, 16), 1.0).is_nan());
}

#[test]
fn panels_mix_grey_and_colour() {
    let (grey, color) = (ramp(1, 2, 2), ramp(3, 2, 3));
    let panel = Image::beside(&[&grey, &color], 1).unwrap();
    assert_eq!(panel.shape(), [3, 2, 6]);
    for c in 0..3 {
        assert_eq!(panel.crop(0, 0, 2, 2).at(c, 1, 1), grey.at(0, 1, 1));
        assert_eq!(panel.at(c, 0, 2), 1.0);
        assert_eq!(panel.at(c, 1, 5), color.at(c, 1, 2));
    }
    assert!(Image::beside(&[], 1).is_err());
    assert!(Image::beside(&[&grey, &ramp(1, 3, 2)], 1).is_err());
}

#[test]
fn png_round_trip_clips_and_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.PNG");
    let image = Image::new(3, 1, 2, vec![-1.0, 0.5, 1.0, 2.0, 0.2, 0.0]).unwrap();
    image.write(&path).unwrap();
    let back = Image::read(&path, ColorMode::AsIs).unwrap();
    let expected = [0.0, 128.0, 255.0, 255.0, 51.0, 0.0].map(|v| v / 255.0);
    assert_eq!(back.data, expected);
    assert_eq!(Image::read(&path, ColorMode::Gray).unwrap(), back.to_gray());

    ramp(1, 6, 7).write(&path).unwrap();
    let grey = Image::read(&path, ColorMode::AsIs).unwrap();
    assert_eq!(grey.shape(), [1, 6, 7]);
    let rgb = Image::read(&path, ColorMode::Rgb).unwrap();
    assert_eq!(rgb.shape(), [3, 6, 7]);
    assert_eq!(rgb.to_gray(), grey, "luma of equal channels is exact");
    assert_eq!(names(dir.path()), ["a.PNG"]);
}

#[test]
fn luma_is_bt_601() {
    let image = Image::new(3, 1, 1, vec![1.0, 0.5, 0.25]).unwrap();
    let expected = 0.299 + 0.587 * 0.5 + 0.114 * 0.25;
    assert!((image.to_gray().data[0] - expected).abs() < 1e-6);
}

#[test]
fn jpeg_is_close_and_alpha_and_depth_are_handled() {
    let dir = tempfile::tempdir().unwrap();
    let jpeg = dir.path().join("a.jpg");
    let image = ramp(1, 32, 32);
    image.write(&jpeg).unwrap();
    assert!(Image::read(&jpeg, ColorMode::Gray).unwrap().psnr(&image, 1.0) > 35.0);

    // A name that lies about the format does not matter.
    let renamed = dir.path().join("really-a-jpeg.png");
    std::fs::rename(&jpeg, &renamed).unwrap();
    assert_eq!(Image::read(&renamed, ColorMode::AsIs).unwrap().shape(), [1, 32, 32]);

    let deep = dir.path().join("deep.png");
    ::image::ImageBuffer::from_pixel(2, 1, ::image::LumaA([257u16, 7])).save(&deep).unwrap();
    let deep = Image::read(&deep, ColorMode::AsIs).unwrap();
    assert_eq!(deep.data, [257.0 / 65535.0; 2]);

    let alpha = dir.path().join("alpha.png");
    ::image::ImageBuffer::from_pixel(1, 1, ::image::Rgba([255u8, 51, 0, 0])).save(&alpha).unwrap();
    assert_eq!(Image::read(&alpha, ColorMode::AsIs).unwrap().data, [1.0, 0.2, 0.0]);
}

#[test]
fn unreadable_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.png");
    std::fs::write(&text, "this is not a picture").unwrap();
    let cut = dir.path().join("cut.png");
    ramp(3, 64, 64).write(&cut).unwrap();
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let empty = dir.path().join("empty.jpg");
    std::fs::write(&empty, "").unwrap();
    for (path, name) in [(&text, "text.png"), (&cut, "cut.png"), (&empty, "empty.jpg")] {
        let error = Image::read(path, ColorMode::Rgb).unwrap_err();
        assert!(matches!(error, DataError::Decode { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = Image::read(&dir.path().join("none.png"), ColorMode::Rgb).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }));
    assert!(error.to_string().contains("none.png"));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let image = ramp(1, 4, 4);
    for name in ["a.gif", "a", "missing/a.png"] {
        assert!(image.write(&dir.path().join(name)).is_err(), "{name}");
    }
    assert!(ramp(2, 4, 4).write(&dir.path().join("two.png")).is_err());
    // Renaming a file onto a folder fails after the bytes are written.
    std::fs::create_dir(dir.path().join("taken.png")).unwrap();
    assert!(image.write(&dir.path().join("taken.png")).is_err());
    // JPEG cannot be this wide, which the encoder says after the temporary file exists.
    assert!(ramp(1, 1, 70_000).write(&dir.path().join("wide.jpg")).is_err());
    assert_eq!(names(dir.path()), ["taken.png"]);
}

#[cfg(unix)]
#[test]
fn written_files_have_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (plain, written) = (dir.path().join("plain"), dir.path().join("a.png"));
    std::fs::write(&plain, "").unwrap();
    ramp(1, 2, 2).write(&written).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&plain), mode(&written));
}

#[test]
fn windows_of_pictures_go_back_to_where_they_were() {
    let mut image = ramp(3, 6, 5);
    let part = image.window(2, 1, 3, 4);
    let mut other = Image::from_fn(3, 6, 5, |_, _, _| 7.0);
    other.put(2, 1, &part);
    assert_eq!(other.window(2, 1, 3, 4), part);
    assert_eq!((other.at(1, 1, 1), other.at(1, 2, 0), other.at(2, 5, 4)), (7.0, 7.0, 7.0));
    image.put(2, 1, &part);
    assert_eq!(image, ramp(3, 6, 5));
}
