//! What a file is, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::store::burn_pack::MAGIC_NUMBER;
use pudle_data::foreign_file;

use crate::error::{Result, TrainError};

/// A file that can hold arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Npy,
    /// A zip archive: of NumPy arrays, or of PyTorch.
    Zip,
    Safetensors,
    /// A pickle stream of PyTorch, before 1.6.
    OldPytorch,
    Burnpack,
}

/// The first bytes of a legacy file of PyTorch: a pickle of its magic number.
const OLD_PYTORCH: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// What the file is.
///
/// # Errors
/// Returns an error that says what the file is if it holds no arrays that can be read.
pub(super) fn sniff(path: &Path) -> Result<Kind> {
    if path.is_dir() {
        return Err(TrainError::weights(path, "is a folder, not a file of arrays"));
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(TrainError::io(path))?;
    if !file.metadata().map_err(TrainError::io(path))?.is_file() {
        return Err(TrainError::weights(path, "is not a regular file"));
    }
    file.take(512).read_to_end(&mut start).map_err(TrainError::io(path))?;
    kind(&start).map_err(|what| TrainError::weights(path, what))
}

fn kind(start: &[u8]) -> std::result::Result<Kind, &'static str> {
    if start.is_empty() {
        return Err("is empty");
    }
    if start.starts_with(b"\x93NUMPY") {
        return Ok(Kind::Npy);
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Zip);
    }
    if start.starts_with(OLD_PYTORCH) {
        return Ok(Kind::OldPytorch);
    }
    // A safetensors file starts with the length of its header in eight bytes. The header is an object of JSON.
    if start.get(4..9) == Some(&b"\0\0\0\0{"[..]) {
        return Ok(Kind::Safetensors);
    }
    if let Some(what) = foreign_file(start) {
        return Err(what);
    }
    // One whose length is damaged.
    if start.get(8) == Some(&b'{') {
        return Ok(Kind::Safetensors);
    }
    if start.starts_with(&MAGIC_NUMBER.to_le_bytes()) {
        return Ok(Kind::Burnpack);
    }
    if start.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)) {
        return Err(
            "is text; arrays are read from .npy, .npz, safetensors, burnpack and PyTorch files",
        );
    }
    Err("is none of .npy, .npz, safetensors, burnpack and a PyTorch file, or its start is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named() {
        let error = |start: &[u8]| kind(start).unwrap_err();
        assert_eq!(error(b""), "is empty");
        assert!(error(b"\x80\x04\x95abc").contains("pickle"));
        assert!(error(b"a,b\n1,2\n").contains("is text"));
        assert!(error(b"\0\0\0\0").contains("none of"));
        assert_eq!(kind(b"\x93NUMPY\x01\0"), Ok(Kind::Npy));
        assert_eq!(kind(b"\x02\0\0\0\0\0\0\0{}"), Ok(Kind::Safetensors));
        assert_eq!(kind(OLD_PYTORCH), Ok(Kind::OldPytorch));
    }
}
