//! NumPy arrays.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::Order;
use pudle_data::{Number, read_npy_header};

use super::array::{Array, Header};
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
    let number = match Number::of_numpy(&header.dtype()) {
        Ok(number) if number.is_float() => Ok(number),
        Ok(number) => Err(format!("values of type {:?}", number.kind)),
        Err(what) => Err(what),
    };
    let number = number.map_err(|what| {
        let reason = format!("{name:?} holds {what}, but must be f16, bf16, f32 or f64");
        TrainError::weights(path, reason)
    })?;
    let axis = |axis: &u64| usize::try_from(*axis).unwrap_or(usize::MAX);
    let header = Header {
        name: name.to_owned(),
        shape: header.shape().iter().map(axis).collect(),
        number,
        fortran: header.order() == Order::Fortran,
    };
    Ok((header, length))
}
