//! Pictures of unusual kinds, and folders that are denoised in parts.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use image::{DynamicImage, ImageBuffer, Rgb};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use pudle_data::scene;

fn words(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pudle"));
    command.current_dir(dir).env_remove("RUST_LOG").args(line.split_whitespace()).assert()
}

#[test]
fn real_numbers_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let value = |x: u32, y: u32| ((x / 9 + y / 7) % 2) as f32 * 2.0 + (x * 7 % 5) as f32 / 10.0;
    let pixels = ImageBuffer::from_fn(40, 30, |x, y| Rgb([value(x, y), value(y, x), 3.5]));
    DynamicImage::ImageRgb32F(pixels).save(dir.join("light.tif")).unwrap();
    let read = |name: &str| match image::open(dir.join(name)).unwrap() {
        DynamicImage::ImageRgb32F(pixels) => pixels,
        other => panic!("{name}: {:?}", other.color()),
    };
    words(dir, "denoise light.tif --sigma 20 --shifts 1 -o out.tif")
        .success()
        .stderr(contains("go from 0 to 3.500").and(contains("--range")));
    let out = read("out.tif");
    assert!(out.pixels().all(|pixel| pixel.0[2] > 2.0), "nothing is cut off");
    assert_ne!(out, read("light.tif"));
    words(dir, "denoise light.tif --sigma 20 --shifts 1 --range 0,4 -o four.tif")
        .success()
        .stderr(contains("go from").not());
    words(dir, "denoise light.tif --sigma 20 --shifts 1 -o out.png")
        .success()
        .stderr(contains("not kept: real numbers of 32 bits"));
}

#[test]
fn a_second_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("in")).unwrap();
    for name in ["in/a.png", "in/b.png"] {
        scene(40, 32, 3).write(&dir.join(name)).unwrap();
    }
    let line = "denoise in -o out --sigma 20 --shifts 1";
    words(dir, line).success().stdout(contains("a.png").and(contains("b.png")));
    fs::remove_file(dir.join("out/b.png")).unwrap();
    words(dir, line).failure().stderr(contains("out/a.png: exists"));
    words(dir, &format!("{line} --skip-existing"))
        .success()
        .stdout(contains("a.png").not().and(contains("b.png")));
    words(dir, &format!("{line} --skip-existing"))
        .success()
        .stdout("")
        .stderr(contains("nothing to do"));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_kept() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let name = |bytes: &[u8]| dir.path().join(OsStr::from_bytes(bytes));
    scene(40, 32, 3).write(&name(b"caf\xe9.png")).unwrap();
    let long = format!("{}.png", "x".repeat(246));
    scene(40, 32, 3).write(&dir.path().join(&long)).unwrap();
    // The longer name has no room for more.
    words(dir.path(), "denoise . --sigma 20 --shifts 1")
        .failure()
        .stderr(contains("1 of 2 pictures failed").and(contains("ame too long")));
    assert!(name(b"caf\xe9-denoised.png").exists());
}

#[test]
fn a_file_that_cannot_be_read_is_its_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir_all(dir.join("in/deep")).unwrap();
    for name in ["in/a.png", "in/deep/b.png"] {
        scene(40, 32, 3).write(&dir.join(name)).unwrap();
    }
    let whole = fs::read(dir.join("in/a.png")).unwrap();
    fs::write(dir.join("in/cut.png"), &whole[..20]).unwrap();
    fs::write(dir.join("in/page.jpg"), "<!doctype html>").unwrap();
    // These are no pictures, or say by their names that they are of other formats.
    fs::write(dir.join("in/README.md"), "# Pictures").unwrap();
    fs::write(dir.join("in/IMG_1.HEIC"), "").unwrap();
    let line = "denoise in -o out --sigma 20 --shifts 1";
    words(dir, line).code(1).stdout(contains("a.png").and(contains("b.png"))).stderr(
        contains("error: in/cut.png: ")
            .and(contains("error: in/page.jpg: ").and(contains("web page")))
            .and(contains("error: 2 of 4 pictures failed"))
            .and(contains("IMG_1.HEIC").and(contains("not read")))
            .and(contains("README").not()),
    );
    // Also if there is nothing else to do.
    words(dir, &format!("{line} --skip-existing"))
        .code(1)
        .stdout("")
        .stderr(contains("2 of 2 pictures failed"));
    fs::remove_file(dir.join("in/cut.png")).unwrap();
    fs::remove_file(dir.join("in/page.jpg")).unwrap();
    words(dir, &format!("{line} --skip-existing")).success().stderr(contains("nothing to do"));
}
