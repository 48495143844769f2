//! Codes of a group of data, listed by atom.

use crate::real::Real;

/// Codes of a group of data: for each atom, the data in whose codes it is, with its values. A product that
/// follows these lists reads each atom once.
pub(super) struct AtomLists<T> {
    /// Each atom with a list, and where its list ends.
    atoms: Vec<(usize, usize)>,
    /// Number of the datum, and the value: atom by atom, and in the order of the data.
    entries: Vec<(u32, T)>,
}

/// The list of an atom.
#[derive(Debug, PartialEq)]
pub(super) struct AtomList<'a, T> {
    /// Number of the atom.
    pub atom: usize,
    /// Where the list starts among all entries.
    pub start: usize,
    /// Numbers of data, and values.
    pub entries: &'a [(u32, T)],
}

impl<T: Real> AtomLists<T> {
    /// Lists the codes of data in order: of each, the support, and a row of `length` numbers, of which
    /// those on the support count.
    pub fn new<'a>(
        length: usize,
        codes: impl Iterator<Item = (&'a [u32], &'a [T])> + Clone,
    ) -> Self {
        // A list grows from where the one before it ends.
        let mut ends = vec![0; length + 1];
        for (index, _) in codes.clone() {
            index.iter().for_each(|j| ends[*j as usize + 1] += 1);
        }
        (0..length).for_each(|j| ends[j + 1] += ends[j]);
        let mut entries = vec![(0, T::ZERO); ends[length]];
        for (i, (index, row)) in codes.enumerate() {
            for j in index {
                let j = *j as usize;
                entries[ends[j]] = (i as u32, row[j]);
                ends[j] += 1;
            }
        }
        let mut atoms: Vec<(usize, usize)> = ends[..length].iter().copied().enumerate().collect();
        atoms.retain(|(j, end)| *end > j.checked_sub(1).map_or(0, |before| ends[before]));
        Self { atoms, entries }
    }

    /// How many entries all lists have.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The lists, by rising atoms.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = AtomList<'_, T>> {
        let mut start = 0;
        self.atoms.iter().map(move |(atom, end)| {
            let list = AtomList { atom: *atom, start, entries: &self.entries[start..*end] };
            start = *end;
            list
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_every_code_once() {
        let rows = [[0.0, 1.0, 2.0, 0.0], [0.0; 4], [3.0, 9.0, 4.0, 0.0]];
        let supports: [&[u32]; 3] = [&[1, 2], &[], &[0, 2]];
        let codes = supports.into_iter().zip(rows.iter().map(|row| &row[..]));
        let lists = AtomLists::new(4, codes);
        let list = |atom, start, entries| AtomList { atom, start, entries };
        assert_eq!(
            lists.iter().collect::<Vec<_>>(),
            [list(0, 0, &[(2, 3.0)]), list(1, 1, &[(0, 1.0)]), list(2, 2, &[(0, 2.0), (2, 4.0)])]
        );
        assert_eq!(lists.len(), 4);
    }
}
