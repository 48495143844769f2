//! The header of a safetensors file.

use std::io::{self, Error, ErrorKind, Read};

use safetensors::tensor::Metadata;

/// The longest header that is read. That of a model with ten thousand tensors is shorter.
const LONGEST: u64 = 16 << 20;

/// The length of the header is a number of eight bytes.
const LENGTH: u64 = 8;

/// What stands before the tensors of a safetensors file.
#[derive(Debug)]
pub struct TensorsHeader {
    /// Names, types, shapes and places of the tensors, and the file's own texts.
    pub metadata: Metadata,
    /// Position of the first byte of the first tensor.
    pub start: u64,
}

impl TensorsHeader {
    /// Reads the header of a file of `size` bytes from its start.
    ///
    /// # Errors
    /// Returns an error of the kind [`InvalidData`](ErrorKind::InvalidData) if the header is cut or damaged, if tensors do not lie one
    /// after the other, or if they do not end where the file ends; and the error of `from` otherwise.
    pub fn read(mut from: impl Read, size: u64) -> io::Result<Self> {
        let mut start = [0; LENGTH as usize];
        from.read_exact(&mut start).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => invalid("is truncated in its header".into()),
            _ => error,
        })?;
        let header = u64::from_le_bytes(start);
        if header > LONGEST {
            let most = LONGEST >> 20;
            return Err(invalid(format!(
                "its header claims {header} bytes, but at most {most} MiB are read"
            )));
        }
        if LENGTH + header > size {
            return Err(invalid(format!(
                "is truncated: its header claims {header} bytes, but the file has {size}"
            )));
        }
        let mut bytes = vec![0; header as usize];
        from.read_exact(&mut bytes)?;
        // This also checks that the tensors have the sizes of their shapes, and lie one after the other.
        let metadata: Metadata = serde_json::from_slice(&bytes)
            .map_err(|error| invalid(format!("its header is damaged: {error}")))?;
        let start = LENGTH + header;
        let expected = start + metadata.data_len() as u64;
        if size < expected {
            return Err(invalid(format!(
                "is truncated: its tensors take {expected} bytes, but the file has {size}"
            )));
        }
        if size > expected {
            return Err(invalid(format!("has {} bytes after its tensors", size - expected)));
        }
        Ok(Self { metadata, start })
    }
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, claimed: u64, data: usize) -> Vec<u8> {
        [&claimed.to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    }

    #[test]
    fn headers_are_read_and_bad_ones_refused() {
        let text = r#"{"D":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
        let length = text.len() as u64;
        let read = |bytes: &[u8]| TensorsHeader::read(bytes, bytes.len() as u64);
        let header = read(&file(text, length, 16)).unwrap();
        assert_eq!(header.start, 8 + length);
        assert_eq!(header.metadata.info("D").unwrap().shape, [2, 2]);
        let bad = [
            (vec![1, 2], "truncated in its header"),
            (file(text, 1 << 40, 16), "at most 16 MiB"),
            (file(text, 5000, 16), "claims 5000 bytes"),
            (file(text, length, 15), "its tensors take"),
            (file(text, length, 17), "1 bytes after"),
            (file(&text.replace("16", "12"), length, 12), "damaged"),
        ];
        for (bytes, words) in bad {
            let error = read(&bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
