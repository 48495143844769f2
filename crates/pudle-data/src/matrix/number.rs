//! The types of numbers in files.

use half::{bf16, f16};

/// The type of the numbers of an array, as they lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub kind: Kind,
    /// Whether the first byte is the highest.
    pub big_endian: bool,
}

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    BF16,
    F32,
    F64,
}

impl Number {
    /// A number whose first byte is the lowest.
    pub fn little(kind: Kind) -> Self {
        Self { kind, big_endian: false }
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self.kind {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 | Kind::F16 | Kind::BF16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    /// Reads `out.len()` numbers from as many times [`size`](Self::size) bytes.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        macro_rules! read {
            ($type:ty, $convert:expr) => {{
                const SIZE: usize = size_of::<$type>();
                for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
                    let number = match self.big_endian {
                        true => <$type>::from_be_bytes(*bytes),
                        false => <$type>::from_le_bytes(*bytes),
                    };
                    *value = $convert(number);
                }
            }};
        }
        match self.kind {
            Kind::Bool => read!(u8, |v: u8| f32::from(u8::from(v != 0))),
            Kind::I8 => read!(i8, f32::from),
            Kind::U8 => read!(u8, f32::from),
            Kind::I16 => read!(i16, f32::from),
            Kind::U16 => read!(u16, f32::from),
            Kind::I32 => read!(i32, |v| v as f32),
            Kind::U32 => read!(u32, |v| v as f32),
            Kind::I64 => read!(i64, |v| v as f32),
            Kind::U64 => read!(u64, |v| v as f32),
            Kind::F16 => read!(f16, f32::from),
            Kind::BF16 => read!(bf16, f32::from),
            Kind::F32 => read!(f32, |v| v),
            Kind::F64 => read!(f64, |v| v as f32),
        }
    }

    /// Reads whole numbers, for indices; `None` for a type that is not whole, or a number below zero.
    pub fn decode_indices(self, bytes: &[u8]) -> Option<Vec<u64>> {
        bytes.chunks_exact(self.size()).map(|bytes| self.index(bytes)).collect()
    }

    fn index(self, bytes: &[u8]) -> Option<u64> {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        if self.big_endian {
            wide[..bytes.len()].reverse();
        }
        let value = u64::from_le_bytes(wide);
        match self.kind {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Some(value),
            Kind::I8 => u64::try_from(value as i8).ok(),
            Kind::I16 => u64::try_from(value as i16).ok(),
            Kind::I32 => u64::try_from(value as i32).ok(),
            Kind::I64 => u64::try_from(value as i64).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_in_both_orders_of_bytes() {
        let read = |kind, big_endian, bytes: &[u8]| {
            let number = Number { kind, big_endian };
            assert_eq!(number.size(), bytes.len());
            let mut out = [0.0];
            number.decode(bytes, &mut out);
            out[0]
        };
        assert_eq!(read(Kind::Bool, false, &[1]), 1.0);
        assert_eq!(read(Kind::I8, false, &(-3i8).to_le_bytes()), -3.0);
        assert_eq!(read(Kind::I16, true, &(-300i16).to_be_bytes()), -300.0);
        assert_eq!(read(Kind::U16, false, &65535u16.to_le_bytes()), 65535.0);
        assert_eq!(read(Kind::I32, true, &(-70_000i32).to_be_bytes()), -70_000.0);
        assert_eq!(read(Kind::U32, false, &7u32.to_le_bytes()), 7.0);
        assert_eq!(read(Kind::I64, false, &(-5i64).to_le_bytes()), -5.0);
        assert_eq!(read(Kind::U64, true, &5u64.to_be_bytes()), 5.0);
        assert_eq!(read(Kind::F16, false, &f16::from_f32(0.5).to_le_bytes()), 0.5);
        assert_eq!(read(Kind::BF16, true, &bf16::from_f32(-2.0).to_be_bytes()), -2.0);
        assert_eq!(read(Kind::F32, true, &1.25f32.to_be_bytes()), 1.25);
        assert_eq!(read(Kind::F64, false, &1.25f64.to_le_bytes()), 1.25);
    }

    #[test]
    fn indices_are_whole_and_not_negative() {
        let read =
            |kind, big_endian, bytes: &[u8]| Number { kind, big_endian }.decode_indices(bytes);
        assert_eq!(read(Kind::I32, true, &70_000i32.to_be_bytes()), Some(vec![70_000]));
        assert_eq!(read(Kind::I64, false, &(-1i64).to_le_bytes()), None);
        assert_eq!(read(Kind::F32, false, &1f32.to_le_bytes()), None);
    }
}
