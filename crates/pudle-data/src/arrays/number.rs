//! The types of numbers in files.

use half::{bf16, f16};
use npyz::{DType, Endianness, TypeChar};
use safetensors::Dtype;

/// The type of the numbers of an array, as they lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// What kind of number it is.
    pub kind: NumberKind,
    /// Whether the first byte is the highest.
    pub big_endian: bool,
}

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// True or false, in a byte.
    Bool,
    /// A whole number with a sign, of 8 bits.
    I8,
    /// Of 16 bits.
    I16,
    /// Of 32 bits.
    I32,
    /// Of 64 bits.
    I64,
    /// A whole number without a sign, of 8 bits.
    U8,
    /// Of 16 bits.
    U16,
    /// Of 32 bits.
    U32,
    /// Of 64 bits.
    U64,
    /// A floating-point number of 16 bits, IEEE.
    F16,
    /// A floating-point number of 16 bits with the range of those of 32.
    BF16,
    /// Of 32 bits.
    F32,
    /// Of 64 bits.
    F64,
}

impl Number {
    /// A number whose first byte is the lowest.
    pub fn little(kind: NumberKind) -> Self {
        Self { kind, big_endian: false }
    }

    /// The type of an array of NumPy; or what it holds that is no number.
    ///
    /// # Errors
    /// Returns what it holds, in words.
    pub fn of_numpy(dtype: &DType) -> Result<Self, String> {
        let DType::Plain(plain) = dtype else { return Err("records".into()) };
        let kind = match (plain.type_char(), plain.size_field()) {
            _ if plain.uses_pickled_array() => {
                return Err("Python objects, a pickle that is never run".into());
            }
            (TypeChar::Bool, 1) => NumberKind::Bool,
            (TypeChar::Int, 1) => NumberKind::I8,
            (TypeChar::Int, 2) => NumberKind::I16,
            (TypeChar::Int, 4) => NumberKind::I32,
            (TypeChar::Int, 8) => NumberKind::I64,
            (TypeChar::Uint, 1) => NumberKind::U8,
            (TypeChar::Uint, 2) => NumberKind::U16,
            (TypeChar::Uint, 4) => NumberKind::U32,
            (TypeChar::Uint, 8) => NumberKind::U64,
            (TypeChar::Float, 2) => NumberKind::F16,
            (TypeChar::Float, 4) => NumberKind::F32,
            (TypeChar::Float, 8) => NumberKind::F64,
            // NumPy has no bfloat16. The package ml_dtypes adds it, and NumPy writes it as two raw bytes.
            (TypeChar::RawData, 2) => NumberKind::BF16,
            _ => return Err(format!("values of type {plain}")),
        };
        Ok(Self { kind, big_endian: plain.endianness() == Endianness::Big })
    }

    /// The type of a tensor of a safetensors file; `None` if its values are not read.
    pub fn of_tensor(dtype: Dtype) -> Option<Self> {
        Some(Self::little(match dtype {
            Dtype::BOOL => NumberKind::Bool,
            Dtype::I8 => NumberKind::I8,
            Dtype::I16 => NumberKind::I16,
            Dtype::I32 => NumberKind::I32,
            Dtype::I64 => NumberKind::I64,
            Dtype::U8 => NumberKind::U8,
            Dtype::U16 => NumberKind::U16,
            Dtype::U32 => NumberKind::U32,
            Dtype::U64 => NumberKind::U64,
            Dtype::F16 => NumberKind::F16,
            Dtype::BF16 => NumberKind::BF16,
            Dtype::F32 => NumberKind::F32,
            Dtype::F64 => NumberKind::F64,
            _ => return None,
        }))
    }

    /// Whether it is a floating-point number.
    pub fn is_float(self) -> bool {
        use NumberKind::{BF16, F16, F32, F64};
        matches!(self.kind, F16 | BF16 | F32 | F64)
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self.kind {
            NumberKind::Bool | NumberKind::I8 | NumberKind::U8 => 1,
            NumberKind::I16 | NumberKind::U16 | NumberKind::F16 | NumberKind::BF16 => 2,
            NumberKind::I32 | NumberKind::U32 | NumberKind::F32 => 4,
            NumberKind::I64 | NumberKind::U64 | NumberKind::F64 => 8,
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
            NumberKind::Bool => read!(u8, |v: u8| f32::from(u8::from(v != 0))),
            NumberKind::I8 => read!(i8, f32::from),
            NumberKind::U8 => read!(u8, f32::from),
            NumberKind::I16 => read!(i16, f32::from),
            NumberKind::U16 => read!(u16, f32::from),
            NumberKind::I32 => read!(i32, |v| v as f32),
            NumberKind::U32 => read!(u32, |v| v as f32),
            NumberKind::I64 => read!(i64, |v| v as f32),
            NumberKind::U64 => read!(u64, |v| v as f32),
            NumberKind::F16 => read!(f16, f32::from),
            NumberKind::BF16 => read!(bf16, f32::from),
            NumberKind::F32 => read!(f32, |v| v),
            NumberKind::F64 => read!(f64, |v| v as f32),
        }
    }

    /// The floating-point number in these bytes, as wide as it can be; `None` for other types.
    pub fn wide(self, bytes: &[u8]) -> Option<f64> {
        if self.kind == NumberKind::F64 {
            let bytes: [u8; 8] = bytes.try_into().ok()?;
            return Some(match self.big_endian {
                true => f64::from_be_bytes(bytes),
                false => f64::from_le_bytes(bytes),
            });
        }
        let mut value = [0.0];
        self.decode(bytes, &mut value);
        self.is_float().then(|| f64::from(value[0]))
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
            NumberKind::U8 | NumberKind::U16 | NumberKind::U32 | NumberKind::U64 => Some(value),
            NumberKind::I8 => u64::try_from(value as i8).ok(),
            NumberKind::I16 => u64::try_from(value as i16).ok(),
            NumberKind::I32 => u64::try_from(value as i32).ok(),
            NumberKind::I64 => u64::try_from(value as i64).ok(),
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
        assert_eq!(read(NumberKind::Bool, false, &[1]), 1.0);
        assert_eq!(read(NumberKind::I8, false, &(-3i8).to_le_bytes()), -3.0);
        assert_eq!(read(NumberKind::I16, true, &(-300i16).to_be_bytes()), -300.0);
        assert_eq!(read(NumberKind::U16, false, &65535u16.to_le_bytes()), 65535.0);
        assert_eq!(read(NumberKind::I32, true, &(-70_000i32).to_be_bytes()), -70_000.0);
        assert_eq!(read(NumberKind::U32, false, &7u32.to_le_bytes()), 7.0);
        assert_eq!(read(NumberKind::I64, false, &(-5i64).to_le_bytes()), -5.0);
        assert_eq!(read(NumberKind::U64, true, &5u64.to_be_bytes()), 5.0);
        assert_eq!(read(NumberKind::F16, false, &f16::from_f32(0.5).to_le_bytes()), 0.5);
        assert_eq!(read(NumberKind::BF16, true, &bf16::from_f32(-2.0).to_be_bytes()), -2.0);
        assert_eq!(read(NumberKind::F32, true, &1.25f32.to_be_bytes()), 1.25);
        assert_eq!(read(NumberKind::F64, false, &1.25f64.to_le_bytes()), 1.25);
    }

    #[test]
    fn a_number_that_32_bits_do_not_hold_is_known_in_64() {
        let number = Number { kind: NumberKind::F64, big_endian: true };
        assert_eq!(number.wide(&1e300f64.to_be_bytes()), Some(1e300));
        let half = Number::little(NumberKind::F16);
        assert_eq!(half.wide(&f16::from_f32(0.5).to_le_bytes()), Some(0.5));
        assert_eq!(Number::little(NumberKind::U8).wide(&[1]), None);
    }

    #[test]
    fn indices_are_whole_and_not_negative() {
        let read =
            |kind, big_endian, bytes: &[u8]| Number { kind, big_endian }.decode_indices(bytes);
        assert_eq!(read(NumberKind::I32, true, &70_000i32.to_be_bytes()), Some(vec![70_000]));
        assert_eq!(read(NumberKind::I64, false, &(-1i64).to_le_bytes()), None);
        assert_eq!(read(NumberKind::F32, false, &1f32.to_le_bytes()), None);
    }
}
