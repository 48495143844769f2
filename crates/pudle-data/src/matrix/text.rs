//! Tables of text: CSV, or TSV.

use std::path::Path;

use super::array::Array;
use super::storage::Unpacked;
use crate::arrays::{Number, NumberKind};
use crate::error::{DataError, Result};

/// What stands for a missing number, beside an empty field, in any case of letters.
const MISSING: [&str; 5] = ["nan", "na", "n/a", "null", "none"];

/// Reads a table once and keeps its numbers as f32, in memory or in a temporary file. A first line that is not of numbers
/// is taken for the names of the columns.
pub(super) fn open(path: &Path) -> Result<Array> {
    let io = |e: csv::Error| DataError::format(path, e.to_string().replace('\n', " "));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(path)?)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(io)?;
    let (mut unpacked, mut row, mut bytes) =
        (Unpacked::new(path), csv::StringRecord::new(), vec![]);
    let (mut rows, mut width, mut first) = (0, None, true);
    while reader.read_record(&mut row).map_err(io)? {
        let line = row.position().map_or(0, csv::Position::line);
        let names = first && row.iter().any(|field| value(field).is_none());
        first = false;
        if names {
            if row.iter().any(|field| value(field).is_some_and(f32::is_finite)) {
                log::warn!(
                    "{}: the first line holds words and numbers, and is taken for the names of the columns",
                    path.display()
                );
            }
            width = Some(row.len());
            continue;
        }
        let expected = *width.get_or_insert(row.len());
        if row.len() != expected {
            let reason =
                format!("line {line} has {} fields, and the first has {expected}", row.len());
            return Err(DataError::format(path, reason));
        }
        bytes.clear();
        for (column, field) in row.iter().enumerate() {
            let number = value(field).ok_or_else(|| {
                let shown: String = field.chars().take(40).collect();
                let reason =
                    format!("line {line}, column {}: \"{shown}\" is not a number", column + 1);
                DataError::format(path, reason)
            })?;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        unpacked.append(&bytes)?;
        rows += 1;
    }
    let shape = vec![rows, width.unwrap_or(0)];
    let (storage, number) = (unpacked.finish()?, Number::little(NumberKind::F32));
    Ok(Array { path: path.to_owned(), storage, offset: 0, number, shape, fortran: false })
}

/// The number of a field; `None` if it is not one.
fn value(field: &str) -> Option<f32> {
    if field.is_empty() || MISSING.iter().any(|word| field.eq_ignore_ascii_case(word)) {
        return Some(f32::NAN);
    }
    field.parse().ok()
}

/// What separates the fields: a tab in a `.tsv`, otherwise the first of tab, semicolon and comma in the first line.
fn delimiter(path: &Path) -> Result<u8> {
    use std::io::{BufRead, BufReader, Read};
    let file = std::fs::File::open(path).map_err(|e| DataError::io(path, e))?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(file).take(1 << 20);
    reader.read_until(b'\n', &mut line).map_err(|e| DataError::io(path, e))?;
    let found = [b'\t', b';'].into_iter().find(|mark| line.contains(mark));
    Ok(found.unwrap_or(b','))
}
