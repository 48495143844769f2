//! Zip archives of NumPy arrays.

use std::fs::File;
use std::io::{self, BufReader, Error, ErrorKind};
use std::path::Path;

use zip::ZipArchive;
use zip::read::ZipFile;

/// How tightly a member of an archive may be packed. A few bytes must not claim all memory or disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bytes up to which a member may be packed as tightly as it likes.
    pub free: u64,
    /// Above them, the most bytes from one packed byte.
    pub tightest: u64,
}

/// An open archive of arrays (`.npz`), each a member whose name ends in `.npy`.
#[derive(Debug)]
pub struct ArrayArchive {
    zip: ZipArchive<BufReader<File>>,
    packing: Packing,
}

impl ArrayArchive {
    /// Opens an archive.
    ///
    /// # Errors
    /// Returns an error of the kind [`InvalidData`](ErrorKind::InvalidData) if the file is no whole zip archive, and that of
    /// opening it otherwise.
    pub fn open(path: &Path, packing: Packing) -> io::Result<Self> {
        let zip = ZipArchive::new(BufReader::new(File::open(path)?));
        let zip = zip.map_err(|error| {
            invalid(format!("is a damaged zip archive, or a truncated one: {error}"))
        })?;
        Ok(Self { zip, packing })
    }

    /// The names of the members. Those that are no text are left out.
    fn members(&self) -> impl Iterator<Item = String> {
        self.zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()))
    }

    /// Whether PyTorch wrote the archive: one of its members is a pickle.
    pub fn is_pytorch(&self) -> bool {
        self.members().any(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
    }

    /// The names of the arrays, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let name = |member: String| Some(member.strip_suffix(".npy")?.to_owned());
        let mut names: Vec<String> = self.members().filter_map(name).collect();
        names.sort();
        names
    }

    /// The bytes of an array, header and all. They are unpacked as they are read.
    ///
    /// # Errors
    /// Returns an error of the kind [`InvalidData`](ErrorKind::InvalidData) if there is no such array, if it cannot be unpacked, or
    /// if it is packed more tightly than allowed.
    pub fn array(&mut self, name: &str) -> io::Result<ZipFile<'_, BufReader<File>>> {
        let member = self.zip.by_name(&format!("{name}.npy"));
        let member =
            member.map_err(|error| invalid(format!("{name:?} cannot be unpacked: {error}")))?;
        let (packed, size) = (member.compressed_size(), member.size());
        if size > self.packing.free && size / packed.max(1) > self.packing.tightest {
            return Err(invalid(format!(
                "{name:?} unpacks to {size} bytes from {packed}, as in a zip bomb; unpack it yourself if you trust it"
            )));
        }
        Ok(member)
    }
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn members_are_listed_and_bombs_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for name in ["b.npy", "a.npy", "notes.txt"] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&[0; 20_000]).unwrap();
        }
        zip.finish().unwrap();
        let open = |free, tightest| ArrayArchive::open(&path, Packing { free, tightest }).unwrap();
        let mut archive = open(20_000, 1);
        assert_eq!(archive.names(), ["a", "b"]);
        assert!(!archive.is_pytorch());
        assert_eq!(archive.array("a").unwrap().size(), 20_000);
        let error = archive.array("c").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(open(10, 20_000).array("a").is_ok());
        let error = open(10, 2).array("a").err().unwrap().to_string();
        assert!(error.contains("zip bomb") && error.contains("\"a\""), "{error}");
        std::fs::write(&path, b"PK\x03\x04damaged").unwrap();
        let error = ArrayArchive::open(&path, Packing { free: 0, tightest: 1 }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
