//! Codes of many data, of which only the non-zeros are kept.

use crate::error::{ExplainError, Result};

/// The codes `Z` of `n` data over `p` atoms, row by row: of each datum the atoms of its support, in order, and their values.
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
    /// Its atoms, in order.
    pub support: &'a [u16],
    /// The value at each of them.
    pub values: &'a [f32],
}

impl Row<'_> {
    /// Atom and value of each non-zero.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        self.support.iter().zip(self.values).map(|(atom, value)| (usize::from(*atom), *value))
    }

    /// The value at an atom, zero off the support.
    pub fn at(&self, atom: usize) -> f32 {
        let place = self.support.iter().position(|other| usize::from(*other) == atom);
        place.map_or(0.0, |place| self.values[place])
    }
}

impl SparseCodes {
    /// No codes yet, over `atoms` atoms.
    ///
    /// # Errors
    /// Where there are more atoms than 65,536.
    pub fn new(atoms: usize) -> Result<Self> {
        if atoms > 1 << 16 {
            return Err(ExplainError::range("atoms", atoms, "at most 65536"));
        }
        Ok(Self { atoms, starts: vec![0], support: Vec::new(), values: Vec::new() })
    }

    /// Adds a datum's code, `p` values in order.
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

    /// Adds the data of other codes over as many atoms.
    ///
    /// # Panics
    /// Where they are over another number of atoms.
    pub fn append(&mut self, other: &SparseCodes) {
        assert_eq!(self.atoms, other.atoms, "codes over other atoms");
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values are kept.
    pub fn non_zeros(&self) -> usize {
        self.values.len()
    }

    /// The code of datum `k`.
    ///
    /// # Panics
    /// Where there are not as many.
    pub fn row(&self, k: usize) -> Row<'_> {
        let range = self.starts[k]..self.starts[k + 1];
        Row { support: &self.support[range.clone()], values: &self.values[range] }
    }

    /// All codes, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|k| self.row(k))
    }

    /// `(code, data)` of all non-zeros of the rows `range`, by atom: what a row of `Zᵀ` holds.
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
        assert_eq!((codes.row(0).at(3), codes.row(0).at(0)), (-2.0, 0.0));
        assert!(codes.row(1).support.is_empty());
        assert_eq!(codes.by_atom(0..3)[3], [(0, -2.0), (2, 0.5)]);
        let mut twice = codes.clone();
        twice.append(&codes);
        assert_eq!((twice.len(), twice.row(2), twice.row(5)), (6, codes.row(2), codes.row(2)));
        assert!(SparseCodes::new(70_000).is_err());
    }
}
