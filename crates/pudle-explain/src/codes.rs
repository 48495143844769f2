//! Sparse codes of many data.

use crate::error::{ExplainError, Result};

/// The codes `Z` of `n` data over `p` atoms, a row for each datum: the atoms of its support, in order, and their values.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseCodes {
    atoms: usize,
    starts: Vec<usize>,
    support: Vec<u16>,
    values: Vec<f32>,
}

/// The non-zeros of one datum's code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The atoms whose code is not zero, in order.
    pub support: &'a [u16],
    /// The value at each of them.
    pub values: &'a [f32],
}

impl Row<'_> {
    /// Atom and value of each non-zero.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        self.support.iter().zip(self.values).map(|(atom, value)| (usize::from(*atom), *value))
    }

    /// The code of one atom, zero outside the support.
    pub fn value(&self, atom: usize) -> f32 {
        let index = self.support.iter().position(|other| usize::from(*other) == atom);
        index.map_or(0.0, |index| self.values[index])
    }
}

impl SparseCodes {
    /// An empty list of codes over `atoms` atoms.
    ///
    /// # Errors
    /// Returns an error if there are more than 65,536 atoms.
    pub fn new(atoms: usize) -> Result<Self> {
        if atoms > 1 << 16 {
            return Err(ExplainError::range("atoms", atoms, "at most 65536"));
        }
        Ok(Self { atoms, starts: vec![0], support: Vec::new(), values: Vec::new() })
    }

    /// Adds the code of a datum, `p` values in order.
    pub fn push(&mut self, code: impl Iterator<Item = f32>) {
        for (atom, value) in code.enumerate() {
            debug_assert!(atom < self.atoms, "a code has a value for each atom");
            if value != 0.0 {
                self.support.push(atom as u16);
                self.values.push(value);
            }
        }
        self.starts.push(self.support.len());
    }

    /// Adds all rows of `other`.
    ///
    /// # Panics
    /// Panics if `other` has another number of atoms.
    pub fn append(&mut self, other: &SparseCodes) {
        assert_eq!(self.atoms, other.atoms, "codes over another number of atoms");
        let first = self.support.len();
        self.starts.extend(other.starts[1..].iter().map(|start| first + start));
        self.support.extend_from_slice(&other.support);
        self.values.extend_from_slice(&other.values);
    }

    /// Number of atoms `p`.
    pub fn atoms(&self) -> usize {
        self.atoms
    }

    /// Number of data `n`.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of values that are not zero.
    pub fn non_zeros(&self) -> usize {
        self.values.len()
    }

    /// The code of datum `k`.
    ///
    /// # Panics
    /// Panics if there is no datum `k`.
    pub fn row(&self, k: usize) -> Row<'_> {
        let range = self.starts[k]..self.starts[k + 1];
        Row { support: &self.support[range.clone()], values: &self.values[range] }
    }

    /// Removes all data after the first `count`.
    pub fn truncate(&mut self, count: usize) {
        if count < self.len() {
            self.starts.truncate(count + 1);
            let values = self.starts[count];
            self.support.truncate(values);
            self.values.truncate(values);
        }
    }

    /// All codes, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|k| self.row(k))
    }

    /// For each atom the data of the rows `range` that use it, with their codes.
    pub(crate) fn by_atom(&self, range: std::ops::Range<usize>) -> Vec<Vec<(usize, f32)>> {
        let mut columns = vec![Vec::new(); self.atoms];
        for k in range {
            for (atom, value) in self.row(k).iter() {
                columns[atom].push((k, value));
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_what_was_pushed() {
        let mut codes = SparseCodes::new(4).unwrap();
        for code in [[0.0, 1.5, 0.0, -2.0], [0.0; 4], [3.0, 0.0, 0.0, 0.5]] {
            codes.push(code.into_iter());
        }
        assert_eq!((codes.len(), codes.non_zeros()), (3, 4));
        assert_eq!(codes.row(0), Row { support: &[1, 3], values: &[1.5, -2.0] });
        assert_eq!((codes.row(0).value(3), codes.row(0).value(0)), (-2.0, 0.0));
        assert!(codes.row(1).support.is_empty());
        assert_eq!(codes.by_atom(0..3)[3], [(0, -2.0), (2, 0.5)]);
        let mut twice = codes.clone();
        twice.append(&codes);
        assert_eq!((twice.len(), twice.row(2), twice.row(5)), (6, codes.row(2), codes.row(2)));
        twice.truncate(4);
        assert_eq!((twice.len(), twice.non_zeros(), twice.row(3)), (4, 6, codes.row(0)));
        assert!(SparseCodes::new(70_000).is_err());
    }
}
