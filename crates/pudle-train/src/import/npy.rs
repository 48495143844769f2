//! NumPy arrays.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{DType, Endianness, Order, TypeChar};
use pudle_data::read_npy_header;

use super::array::{Array, Header};
use super::number::Number;
use crate::error::{Result, TrainError};

/// The array of an `.npy` file.
pub(super) fn read(path: &Path, name: &str) -> Result<Array> {
    let file = File::open(path).map_err(TrainError::io(path))?;
    let length = file.metadata().map_err(TrainError::io(path))?.len();
    let mut file = BufReader::new(file);
    let (header, start) = header(&mut file, name, path)?;
    check_length(&header, start, length, path)?;
    header.read(path, file)
}

/// Checks that an array of `length` bytes in all, of which the header takes `start`, has the numbers of its shape.
pub(super) fn check_length(header: &Header, start: u64, length: u64, path: &Path) -> Result<()> {
    let expected = start + (header.count(path)? * header.number.size()) as u64;
    if length == expected {
        return Ok(());
    }
    let what =
        if length < expected { "is truncated, or its shape is wrong" } else { "is too long" };
    let reason = format!(
        "{what}: {:?} of shape {:?} takes {expected} bytes, but there are {length}",
        header.name, header.shape
    );
    Err(TrainError::weights(path, reason))
}

/// Reads the header of an array, and returns it with its length in bytes.
pub(super) fn header(from: &mut impl Read, name: &str, path: &Path) -> Result<(Header, u64)> {
    let (header, length) = read_npy_header(from).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            TrainError::weights(path, format!("is truncated: {name:?} ends in its header"))
        }
        std::io::ErrorKind::InvalidData => {
            TrainError::weights(path, format!("{name:?} is not an array of NumPy: {error}"))
        }
        _ => TrainError::io(path)(error),
    })?;
    let (number, big_endian) = number(&header.dtype()).map_err(|what| {
        let reason = format!("{name:?} holds {what}, but must be f16, f32 or f64");
        TrainError::weights(path, reason)
    })?;
    let axis = |axis: &u64| usize::try_from(*axis).unwrap_or(usize::MAX);
    let header = Header {
        name: name.to_owned(),
        shape: header.shape().iter().map(axis).collect(),
        number,
        big_endian,
        fortran: header.order() == Order::Fortran,
    };
    Ok((header, length))
}

/// The type of the numbers, and whether they are big-endian; or what they are otherwise.
fn number(dtype: &DType) -> std::result::Result<(Number, bool), String> {
    let DType::Plain(plain) = dtype else { return Err("records".into()) };
    if plain.uses_pickled_array() {
        return Err("Python objects, a pickle that is never run".into());
    }
    let number = match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 2) => Number::F16,
        (TypeChar::Float, 4) => Number::F32,
        (TypeChar::Float, 8) => Number::F64,
        _ => return Err(format!("values of type {plain}")),
    };
    Ok((number, plain.endianness() == Endianness::Big))
}
