//! Floating-point numbers as files hold them.

use std::io::Read;

use half::{bf16, f16};

/// A floating-point type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

/// Why numbers cannot be read.
#[derive(Debug)]
pub(super) enum NumberError {
    /// The file cannot be read, or ends too early.
    Io(std::io::Error),
    /// The number at this index, in the order of the file, is not finite, or too large for f32.
    NotFinite { index: usize, value: f64 },
}

impl Number {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Number::F16 | Number::Bf16 => 2,
            Number::F32 => 4,
            Number::F64 => 8,
        }
    }

    /// The number in these bytes, of which there are [`size`](Self::size), in little-endian order.
    fn decode(self, bytes: &[u8]) -> f64 {
        let whole = "a chunk has the size of a number";
        match self {
            Number::F16 => f64::from(f16::from_le_bytes(bytes.try_into().expect(whole))),
            Number::Bf16 => f64::from(bf16::from_le_bytes(bytes.try_into().expect(whole))),
            Number::F32 => f64::from(f32::from_le_bytes(bytes.try_into().expect(whole))),
            Number::F64 => f64::from_le_bytes(bytes.try_into().expect(whole)),
        }
    }

    /// Reads `count` numbers as f32, a few thousand at a time. All must be finite.
    pub fn read(
        self,
        mut from: impl Read,
        count: usize,
        big_endian: bool,
    ) -> Result<Vec<f32>, NumberError> {
        let size = self.size();
        let mut buffer = vec![0; size * count.min(1 << 14)];
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let part = &mut buffer[..size * (count - values.len()).min(1 << 14)];
            from.read_exact(part).map_err(NumberError::Io)?;
            for bytes in part.chunks_exact_mut(size) {
                if big_endian {
                    bytes.reverse();
                }
                let value = self.decode(bytes);
                if !(value as f32).is_finite() {
                    return Err(NumberError::NotFinite { index: values.len(), value });
                }
                values.push(value as f32);
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_types_are_read_in_both_byte_orders() {
        let wanted = [1.0f32, -0.5, 2.0];
        let cases: [(Number, Vec<Vec<u8>>); 4] = [
            (Number::F16, wanted.map(|v| f16::from_f32(v).to_le_bytes().to_vec()).to_vec()),
            (Number::Bf16, wanted.map(|v| bf16::from_f32(v).to_le_bytes().to_vec()).to_vec()),
            (Number::F32, wanted.map(|v| v.to_le_bytes().to_vec()).to_vec()),
            (Number::F64, wanted.map(|v| f64::from(v).to_le_bytes().to_vec()).to_vec()),
        ];
        for (number, parts) in cases {
            let little = parts.concat();
            let big: Vec<u8> = parts.iter().flat_map(|part| part.iter().rev().copied()).collect();
            assert_eq!(number.read(&little[..], 3, false).unwrap(), wanted, "{number:?}");
            assert_eq!(number.read(&big[..], 3, true).unwrap(), wanted, "{number:?}");
            assert!(matches!(number.read(&little[1..], 3, false), Err(NumberError::Io(_))));
        }
    }

    #[test]
    fn a_number_that_f32_does_not_hold_is_found() {
        let bytes = [1.0f64, 1e300].map(f64::to_le_bytes).concat();
        let error = Number::F64.read(&bytes[..], 2, false).unwrap_err();
        assert!(matches!(error, NumberError::NotFinite { index: 1, value: 1e300 }), "{error:?}");
    }
}
