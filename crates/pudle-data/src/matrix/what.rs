//! What a file is that is not a matrix.

/// A description of a file that starts with `head` and is no matrix, if it is a kind of file that people meet.
pub(super) fn foreign(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&head[..head.len().min(200)]).trim_start().to_lowercase();
    if text.starts_with("version https://git-lfs") {
        return Some("a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`");
    }
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        return Some("a web page, not the data: the download did not work");
    }
    if text.starts_with("<?xml") {
        return Some("an XML file, not a matrix");
    }
    let known: [(&[u8], &str); 12] = [
        (b"\x80\x02", PICKLE),
        (b"\x80\x03", PICKLE),
        (b"\x80\x04", PICKLE),
        (b"\x80\x05", PICKLE),
        (b"\x89PNG", "a picture: a folder of pictures is read as patches of a given size"),
        (b"\xff\xd8\xff", "a picture: a folder of pictures is read as patches of a given size"),
        (b"\x89HDF", "an HDF5 file: save the array with numpy.save"),
        (b"\x1f\x8b", "a gzip file: unpack it first"),
        (b"MATLAB", "a file of MATLAB: save the array with numpy.save"),
        (b"PAR1", "a Parquet file: save the array with numpy.save or as CSV"),
        (b"\xfd7zXZ", "an xz file: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it first"),
    ];
    known.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| what)
}

const PICKLE: &str =
    "a pickle, which can run programs and is not read: save the array with numpy.save";
