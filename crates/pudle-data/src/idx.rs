//! The IDX format, the format of MNIST.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{DataError, Result};

/// Most values that a file may have. Sets like MNIST have 5·10⁷, EMNIST has 6.4·10⁸.
const MAX_VALUES: usize = 1 << 30;

/// The type code of unsigned bytes.
const BYTES: u8 = 0x08;

/// An array of bytes read from an IDX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The array's dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<u8>,
}

impl Idx {
    /// Reads an IDX file of unsigned bytes. The first bytes decide whether it is gzipped, not the name.
    ///
    /// The format is two zero bytes, a type code (0x08 for unsigned bytes), the number of
    /// dimensions, each dimension as a big-endian 32-bit number, and the values.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file cannot be opened, [`DataError::Format`] if it is not IDX, has
    /// another type, no or more than 8 dimensions, more than 2³⁰ values, or another length than its dimensions
    /// give. Not more memory is allocated than the file needs, whatever its header says.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| DataError::io(path, e))?;
        let mut magic = Vec::with_capacity(2);
        (&mut file).take(2).read_to_end(&mut magic).map_err(|e| DataError::io(path, e))?;
        file.rewind().map_err(|e| DataError::io(path, e))?;
        let file = BufReader::new(file);
        if magic == [0x1f, 0x8b] {
            parse(path, MultiGzDecoder::new(file))
        } else {
            parse(path, file)
        }
    }
}

fn parse(path: &Path, mut from: impl Read) -> Result<Idx> {
    let format = |reason: String| DataError::format(path, reason);
    let mut header = [0; 4];
    let short = |e: std::io::Error| format(format!("cut off within the IDX header: {e}"));
    from.read_exact(&mut header).map_err(short)?;
    let [zero, nil, kind, rank] = header;
    if (zero, nil) != (0, 0) {
        return Err(format(format!(
            "not an IDX file: begins with bytes {zero:#04x} {nil:#04x}, expected 0x00 0x00"
        )));
    }
    if kind != BYTES {
        return Err(format(format!("IDX type {kind:#04x}, but only 0x08 (bytes) can be read")));
    }
    if !(1..=8).contains(&rank) {
        return Err(format(format!("{rank} IDX dimensions, but must be from 1 to 8")));
    }
    let mut dims = Vec::new();
    for _ in 0..rank {
        let mut dim = [0; 4];
        from.read_exact(&mut dim).map_err(short)?;
        dims.push(u32::from_be_bytes(dim) as usize);
    }
    let product = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let Some(expected) = product.filter(|n| *n <= MAX_VALUES) else {
        return Err(format(format!("IDX dimensions {dims:?} give more than {MAX_VALUES} values")));
    };

    let mut data = Vec::new();
    // One byte more than expected shows whether data follow. `read_to_end` allocates only what it reads.
    let read = from.take(expected as u64 + 1).read_to_end(&mut data);
    read.map_err(|e| format(format!("damaged after {} of {expected} values: {e}", data.len())))?;
    if data.len() < expected {
        let found = data.len();
        return Err(format(format!(
            "cut off: {found} values, but dimensions {dims:?} need {expected}"
        )));
    }
    if data.len() > expected {
        return Err(format(format!("data after the {expected} values of dimensions {dims:?}")));
    }
    Ok(Idx { dims, data })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    pub(crate) fn encode(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, BYTES, dims.len() as u8];
        dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Idx> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some-idx");
        std::fs::write(&path, bytes).unwrap();
        Idx::read(&path)
    }

    #[test]
    fn plain_and_gzipped_are_the_same() {
        let bytes = encode(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let idx = Idx { dims: vec![2, 3], data: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(read(&bytes).unwrap(), idx);
        assert_eq!(read(&gzip(&bytes)).unwrap(), idx);
        assert_eq!(read(&encode(&[0], &[])).unwrap().data, [0u8; 0]);
    }

    #[test]
    fn broken_files_say_what_is_wrong() {
        let good = encode(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let zipped =
            gzip(&encode(&[4000], &(0..4000).map(|i| (i * i % 251) as u8).collect::<Vec<_>>()));
        let cut = |bytes: &[u8], n: usize| bytes[..n].to_vec();
        for (bytes, says) in [
            (vec![], "cut off within the IDX header"),
            (cut(&good, 3), "cut off within the IDX header"),
            (cut(&good, 9), "cut off within the IDX header"),
            (cut(&good, 17), "cut off: 5 values"),
            ([&good[..], &[9]].concat(), "data after the 6 values"),
            (cut(&zipped, zipped.len() - 12), "damaged after"),
            (cut(&zipped, zipped.len() - 1), "damaged after 4000 of 4000"),
            (cut(&zipped, 5), "cut off within the IDX header"),
            (b"PK\x03\x04 no".to_vec(), "not an IDX file: begins with bytes 0x50 0x4b"),
            (vec![0, 0, 0x0d, 1, 0, 0, 0, 0], "IDX type 0x0d"),
            (vec![0, 0, 8, 0], "0 IDX dimensions"),
            (vec![0, 0, 8, 200], "200 IDX dimensions"),
            (encode(&[u32::MAX; 4], &[]), "give more than"),
            (encode(&[1 << 30], &[1]), "cut off: 1 values"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(matches!(error, DataError::Format { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(says) && message.contains("some-idx"), "{message}");
        }
        let error = Idx::read(Path::new("no-such-file")).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }));
    }
}
