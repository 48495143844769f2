//! Lists of the codes of a group of data.

use crate::real::Real;

/// Atoms that are read together: as many of their rows in a panel as fit the first cache.
const BLOCK: usize = 64;

/// Lists of codes. A sum over a list stays in registers.
pub(super) struct Lists<T> {
    /// What each list belongs to, and where it ends.
    heads: Vec<(usize, usize)>,
    /// The other number, and the value.
    entries: Vec<(u32, T)>,
}

/// One of the lists.
pub(super) struct List<'a, T> {
    /// The datum or the atom that it belongs to.
    pub head: usize,
    /// Where the list starts among all entries.
    pub start: usize,
    /// Numbers of atoms or data, which rise, and values.
    pub entries: &'a [(u32, T)],
}

impl<T: Real> Lists<T> {
    /// For each block of atoms, a list for each datum. `codes` are those of the data in order: of each, the
    /// support, and a row of `length` numbers, of which those on the support count.
    pub fn by_datum<'a>(length: usize, codes: impl Iterator<Item = (&'a [u32], &'a [T])>) -> Self {
        let mut rest: Vec<(&[u32], &[T])> = codes.collect();
        let mut lists = Self { heads: Vec::new(), entries: Vec::new() };
        for end in (0..length).map(|j| j as u32 + BLOCK as u32).step_by(BLOCK) {
            for (i, (index, row)) in rest.iter_mut().enumerate() {
                let count = index.iter().take_while(|j| **j < end).count();
                let (some, others) = index.split_at(count);
                *index = others;
                lists.entries.extend(some.iter().map(|j| (*j, row[*j as usize])));
                if count > 0 {
                    lists.heads.push((i, lists.entries.len()));
                }
            }
        }
        lists
    }

    /// A list for each atom. `codes` are as for [`by_datum`](Self::by_datum).
    pub fn by_atom<'a>(
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
        let mut heads: Vec<(usize, usize)> = ends[..length].iter().copied().enumerate().collect();
        heads.retain(|(j, end)| *end > j.checked_sub(1).map_or(0, |before| ends[before]));
        Self { heads, entries }
    }

    /// How many entries all lists have.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The lists in order.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = List<'_, T>> {
        let mut start = 0;
        self.heads.iter().map(move |(head, end)| {
            let list = List { head: *head, start, entries: &self.entries[start..*end] };
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
        let mut rows = [[0.0; BLOCK + 2]; 3];
        rows[0][BLOCK] = 1.0;
        rows[2] = [9.0; BLOCK + 2];
        let supports: [&[u32]; 3] = [&[1, BLOCK as u32], &[], &[0, 1, BLOCK as u32]];
        let codes = || supports.into_iter().zip(rows.iter().map(|row| &row[..]));
        let b = BLOCK as u32;
        let found = |lists: &Lists<f64>| {
            let lists = lists.iter().map(|list| (list.head, list.start, list.entries.to_vec()));
            lists.collect::<Vec<_>>()
        };
        assert_eq!(
            found(&Lists::by_datum(BLOCK + 2, codes())),
            [
                (0, 0, vec![(1, 0.0)]),
                (2, 1, vec![(0, 9.0), (1, 9.0)]),
                (0, 3, vec![(b, 1.0)]),
                (2, 4, vec![(b, 9.0)]),
            ]
        );
        let lists = Lists::by_atom(BLOCK + 2, codes());
        assert_eq!(
            found(&lists),
            [
                (0, 0, vec![(2, 9.0)]),
                (1, 1, vec![(0, 0.0), (2, 9.0)]),
                (BLOCK, 3, vec![(0, 1.0), (2, 9.0)]),
            ]
        );
        assert_eq!(lists.len(), 5);
    }
}
