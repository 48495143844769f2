//! Writes an array as a NumPy file.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::Path;

/// Writes an array of three axes.
pub(crate) fn write_npy(path: &Path, [a, b, c]: [usize; 3], values: &[f32]) -> Result<()> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({a}, {b}, {c}), }}");
    // Magic word, version and length are 10 bytes; the numbers start at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(length as u16).to_le_bytes())?;
    file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes())?;
    for value in values {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush()
}
