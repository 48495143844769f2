//! The header of an array of NumPy.

use std::io::{self, Read};

use npyz::NpyHeader;

/// NumPy itself refuses a longer header.
const LONGEST: usize = 10_000;

/// Brackets in brackets; a header has two.
const DEEPEST: usize = 8;

/// Reads the header of an array in NumPy's format, and returns it with its length in bytes.
///
/// # Errors
/// Returns an error of the kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the bytes end in the header, of the kind
/// [`InvalidData`](io::ErrorKind::InvalidData) if they are no such header, and the error of `from` otherwise.
pub fn read_npy_header(from: &mut impl Read) -> io::Result<(NpyHeader, u64)> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = vec![0; 10];
    from.read_exact(&mut bytes)?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(invalid("it does not start as one".into()));
    }
    let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        let mut rest = [0; 2];
        from.read_exact(&mut rest)?;
        bytes.extend(rest);
        length |= usize::from(u16::from_le_bytes(rest)) << 16;
    }
    if length > LONGEST {
        return Err(invalid(format!(
            "its header of {length} bytes is longer than the {LONGEST} that NumPy allows"
        )));
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    from.read_exact(&mut bytes[start..])?;
    // The parser calls itself for every bracket.
    let mut depth = 0usize;
    for byte in &bytes[start..] {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(invalid("its header has too many brackets".into()));
        }
    }
    let header = NpyHeader::from_reader(&bytes[..])
        .map_err(|error| invalid(format!("its header is damaged: {error}").replace('\n', " ")))?;
    Ok((header, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        let length = (text.len() as u32).to_le_bytes();
        bytes.extend(&length[..if version == 1 { 2 } else { 4 }]);
        bytes.extend(text.bytes());
        bytes
    }

    #[test]
    fn headers_are_read_and_bad_ones_refused() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n";
        for version in [1, 2] {
            let bytes = array(version, text);
            let (header, length) = read_npy_header(&mut &bytes[..]).unwrap();
            assert_eq!((header.shape(), length as usize), (&[3, 4][..], bytes.len()));
            let cut = read_npy_header(&mut &bytes[..bytes.len() - 1]).err().unwrap();
            assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        }
        let deep = "(".repeat(LONGEST);
        for (text, word) in
            [(&*deep, "brackets"), (&*"x".repeat(20_000), "longer"), ("{}", "damaged")]
        {
            let error = read_npy_header(&mut &array(2, text)[..]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let error = error.to_string();
            assert!(error.contains(word) && error.len() < 500 && !error.contains('\n'), "{error}");
        }
    }
}
