//! What a file holds, by its first bytes.

/// Bytes at the start of a file that tell what it is.
pub(super) const HEAD: u64 = 132;

/// A kind of file that is recognised but not read, by its first bytes: its name, and what to do with it. `None` if the
/// bytes are of no kind in this list.
pub(super) fn unread(head: &[u8]) -> Option<&'static str> {
    const CONVERT: &[(&[u8], &str)] = &[
        (b"GIF8", "a GIF picture, which is not read; convert it to PNG"),
        (b"BM", "a BMP picture, which is not read; convert it to PNG"),
        (b"\xff\x0a", "a JPEG XL picture, which is not read; convert it to PNG or TIFF"),
        (
            b"\0\0\0\x0cJXL \r\n\x87\n",
            "a JPEG XL picture, which is not read; convert it to PNG or TIFF",
        ),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture, which is not read; convert it to PNG or TIFF"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 picture, which is not read; convert it to PNG or TIFF"),
        (b"8BPS", "a Photoshop file, which is not read; save it as PNG or TIFF"),
        (b"v/1\x01", "an OpenEXR picture, which is not read; convert it to TIFF"),
        (b"II\xbc", "a JPEG XR picture, which is not read; convert it to PNG or TIFF"),
        (b"#?RADIANCE", "a Radiance picture, which is not read; convert it to TIFF"),
        (b"#?RGBE", "a Radiance picture, which is not read; convert it to TIFF"),
        (b"SIMPLE  =", "a FITS file, which is not read; convert it to TIFF"),
        (b"qoif", "a QOI picture, which is not read; convert it to PNG"),
        (b"DDS ", "a DDS texture, which is not read; convert it to PNG"),
        (b"\0\0\x01\0", "an icon (ICO), which is not read; convert it to PNG"),
        (b"gimp xcf", "a GIMP file, which is not read; export it as PNG or TIFF"),
        (b"AT&TFORM", "a DjVu document, not a picture"),
        (b"\x89HDF", "an HDF5 file, not a picture; write its pictures as TIFF"),
        (b"\x93NUMPY", "an array of NumPy, not a picture; write it as PNG or TIFF"),
        (b"PK\x03\x04", "an archive (ZIP), not a picture; unpack it first"),
        (b"\x1f\x8b", "a compressed file (gzip), not a picture; unpack it first"),
        (b"FUJIFILMCCD-RAW", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"IIRO", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"MMOR", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"IIRS", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"IIU\0", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"II\x1a\0\0\0HEAPCCDR", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"FOVb", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"\0MRM", "a camera's raw file, which is not read; develop it to TIFF"),
        (b"%PDF", "a PDF document, not a picture"),
        (b"\0\x05\x16\x07", "notes of macOS about another file, not a picture"),
        (b"version https://git-lfs", "a pointer of Git LFS, not the picture; fetch the picture"),
    ];
    if head.is_empty() {
        return Some("the file is empty");
    }
    if head.starts_with(b"II*\0") && head.get(8..10) == Some(b"CR") {
        return Some("a camera's raw file, which is not read; develop it to TIFF");
    }
    if let Some(kind) = CONVERT.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(kind.1);
    }
    if head.get(128..132) == Some(b"DICM") {
        return Some("a DICOM file, which is not read; convert it to TIFF");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12) {
            Some(b"avif" | b"avis") => {
                "an AVIF picture, which is not read; convert it to PNG or TIFF"
            }
            Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => {
                "a HEIC picture, which is not read; convert it to PNG or TIFF"
            }
            Some(b"crx ") => "a camera's raw file, which is not read; develop it to TIFF",
            _ => "a video or another file of this family, not a picture",
        });
    }
    match head {
        [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', ..] => {
            Some("a PNM picture, which is not read; convert it to PNG or TIFF")
        }
        _ => text(head),
    }
}

/// HTML and other text.
fn text(head: &[u8]) -> Option<&'static str> {
    let start = head.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return Some("a web page (HTML), not a picture");
    }
    if start.starts_with(b"<svg") || start.starts_with(b"<?xml") {
        return Some("an SVG or XML file, which is not read; convert it to PNG");
    }
    None
}

/// Where the first picture of a JPEG file ends, or why its bytes cannot be read whole. A decoder would fill what is missing
/// with grey.
pub(super) fn end_of_jpeg(bytes: &[u8]) -> Result<usize, &'static str> {
    const CUT: Result<usize, &str> = Err("the file ends before the picture does");
    let mut at = 2;
    let mut in_scan = false;
    loop {
        // Within a scan, look for the next marker; elsewhere one has to stand here.
        let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff))
        else {
            return CUT;
        };
        at += step;
        let Some(&marker) = bytes.get(at + 1) else { return CUT };
        at += 1;
        match marker {
            0xff => continue,
            0x00 | 0x01 | 0xd0..=0xd7 => {
                at += 1;
                continue;
            }
            0xd9 if in_scan => return Ok(at + 1),
            0xd9 => return CUT,
            0xd8 => {
                at += 1;
                continue;
            }
            0xc3 | 0xc5..=0xc7 | 0xcb | 0xcd..=0xcf => {
                return Err("a lossless JPEG, which is not read; convert it to PNG or TIFF");
            }
            0xc9 | 0xca => {
                return Err("a JPEG with arithmetic coding, which is not read; convert it to PNG");
            }
            _ => {}
        }
        let Some(length) = bytes.get(at + 1..at + 3) else { return CUT };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        if matches!(marker, 0xc0..=0xc2) && bytes.get(at + 3).is_some_and(|&bits| bits != 8) {
            return Err("a JPEG of 12 bits, which is not read; convert it to PNG or TIFF");
        }
        in_scan |= marker == 0xda;
        at += 1 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        for (head, name) in [
            (&b""[..], "empty"),
            (b"GIF89a", "GIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\xff\x0a\0\0", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"P6\n4 4\n255\n", "PNM"),
            (b"  <!DOCTYPE html><title>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1", "LFS"),
            (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
            (b"II\xbc\x01", "JPEG XR"),
            (b"SIMPLE  =       T", "FITS"),
            (&[[0; 128].as_slice(), b"DICM"].concat(), "DICOM"),
        ] {
            assert!(unread(head).unwrap().contains(name), "{name}");
        }
        for head in [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff\xe0", b"II*\0\x08\0\0\0\x0c\0"] {
            assert_eq!(unread(head), None);
        }
    }

    #[test]
    fn cut_jpegs_are_seen_at_every_length() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let pixels = ::image::ImageBuffer::from_fn(40, 30, |x, y| ::image::Luma([(x * y) as u8]));
        pixels.write_to(&mut bytes, ::image::ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert_eq!(end_of_jpeg(&bytes), Ok(bytes.len()));
        for length in 2..bytes.len() {
            assert!(end_of_jpeg(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
    }
}
