//! What a set of files was, without their contents.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{DataError, Result};

/// Number, size and names of files. Two sets with the same fingerprint have the same names with the same sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// SHA-256 over the name of each file, relative to its folder, and its size; the first 16 hexadecimal digits.
    pub digest: String,
}

impl Fingerprint {
    /// The fingerprint of files in folders. The order of the files counts, but not where the folders are.
    ///
    /// # Errors
    /// Returns an error if the size of a file cannot be read.
    pub fn of<'a>(
        folders: impl IntoIterator<Item = (&'a Path, &'a [PathBuf])>,
    ) -> Result<Fingerprint> {
        let (mut files, mut bytes, mut hash) = (0, 0, Sha256::new());
        for (folder, paths) in folders {
            for path in paths {
                let size = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?.len();
                let name = path.strip_prefix(folder).unwrap_or(path);
                let name = name.as_os_str().as_encoded_bytes();
                hash.update((name.len() as u64).to_le_bytes());
                hash.update(name);
                hash.update(size.to_le_bytes());
                files += 1;
                bytes += size;
            }
        }
        Ok(Self { files, bytes, digest: hex(&hash.finalize()[..8]) })
    }

    /// The fingerprint of one file with these contents, whatever its name.
    pub(crate) fn of_contents(parts: &[&[u8]]) -> Fingerprint {
        let (mut bytes, mut hash) = (0, Sha256::new());
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
            bytes += part.len() as u64;
        }
        Self { files: 1, bytes, digest: hex(&hash.finalize()[..8]) }
    }
}

/// The SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {} bytes ({})", self.files, self.bytes, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes_count_but_not_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let make = |folder: &str, name: &str, size: usize| {
            let folder = dir.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let path = folder.join(name);
            std::fs::write(&path, vec![0; size]).unwrap();
            Fingerprint::of([(folder.as_path(), &[path][..])]).unwrap()
        };
        let first = make("a", "x.png", 3);
        assert_eq!((first.files, first.bytes, first.digest.len()), (1, 3, 16));
        assert_eq!(first, make("b", "x.png", 3));
        assert_ne!(first, make("c", "y.png", 3));
        assert_ne!(first, make("d", "x.png", 4));
        let missing = [dir.path().join("none")];
        assert!(Fingerprint::of([(dir.path(), &missing[..])]).is_err());
        assert_ne!(Fingerprint::of_contents(&[b"ab", b"c"]), Fingerprint::of_contents(&[b"abc"]));
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
    }
}
