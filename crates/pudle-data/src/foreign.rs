//! Files that people mistake for files of arrays.

const PICKLE: &str = "is a pickle, which is a program of Python's and is never run; load it in Python, and write its arrays \
     with numpy.save or safetensors";
const COMPRESSED: &str = "is compressed; unpack it first";
const PICTURE: &str = "is a picture, not a file of arrays";

/// The start of each kind of file, and what to say of it.
const KINDS: [(&[u8], &str); 21] = [
    (
        b"version https://git-lfs",
        "is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    ),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
    (b"II*\0", PICTURE),
    (b"MM\0*", PICTURE),
    (b"%PDF", "is a PDF document, not a file of arrays"),
    (b"\x1f\x8b", COMPRESSED),
    (b"BZh", COMPRESSED),
    (b"\xfd7zXZ", COMPRESSED),
    (b"\x28\xb5\x2f\xfd", COMPRESSED),
    (b"7z\xbc\xaf", COMPRESSED),
    (
        b"\x89HDF",
        "is an HDF5 file; load it in Python with h5py, and write its arrays with numpy.save",
    ),
    (
        b"MATLAB 5.0",
        "is a file of MATLAB; load it in Python with scipy.io.loadmat, and write its arrays with numpy.save",
    ),
    (b"GGUF", "is a GGUF file; its quantised weights cannot be read, write them as safetensors"),
    (
        b"PAR1",
        "is a Parquet file; load it in Python with pandas, and write its arrays with numpy.save",
    ),
    (b"RIFF", "is a picture or a sound, not a file of arrays"),
];

/// What a file with these first bytes is, if it is of a kind that holds no arrays that can be read. The answer continues a
/// sentence that begins with the file's name: "is a picture, not a file of arrays".
pub fn foreign_file(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        return Some("is an HTML page: a download that failed, perhaps");
    }
    if text.starts_with(b"<") {
        return Some("is a page of XML or HTML, not a file of arrays");
    }
    // A table may have a column BMI. A picture has zeros there.
    if start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]) {
        return Some(PICTURE);
    }
    KINDS.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named() {
        let what = |start: &[u8]| foreign_file(start).unwrap();
        assert!(what(b"version https://git-lfs.github.com/spec/v1\n").contains("LFS"));
        assert!(what(b"\n <!DOCTYPE html><html>404").contains("HTML"));
        assert!(what(b"\x80\x04\x95abc").contains("pickle"));
        assert!(what(b"\x89PNG\r\n\x1a\n").contains("picture"));
        assert!(what(b"BM\x36\x10\0\0\0\0\0\0\x36\0").contains("picture"));
        for table in [&b"BMI,age\n1,2\n"[..], b"1,2\n", b"", b"\x93NUMPY\x01\0"] {
            assert_eq!(foreign_file(table), None);
        }
    }
}
