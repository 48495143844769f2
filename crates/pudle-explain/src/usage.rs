//! How data use atoms.

use crate::codes::{Row, SparseCodes};

/// Bars of a histogram of codes.
pub const BARS: usize = 16;

/// How the data use an atom.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// `Σ_k z_k²`.
    pub energy: f64,
    /// Number of data that use the atom.
    pub count: usize,
    /// The mean magnitude of its codes that are not zero.
    pub mean: f64,
    /// The largest magnitude of its codes.
    pub largest: f64,
    /// The share of each class in the energy; empty if the data have no classes.
    pub classes: Vec<f64>,
    /// A histogram of the magnitudes, in [`BARS`] equal steps from zero to [`largest`](Self::largest).
    pub histogram: Vec<usize>,
}

impl Use {
    /// The class with the largest share of the energy, and that share.
    pub fn class(&self) -> Option<(usize, f64)> {
        let most = self.classes.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (most.1 > 0.0).then_some(most)
    }
}

/// How the data use each atom. `labels` are the classes of the data; empty if they have none.
///
/// # Panics
/// Panics if there are labels, but not one for each datum.
pub fn uses(codes: &SparseCodes, labels: &[u8]) -> Vec<Use> {
    assert!(labels.is_empty() || labels.len() == codes.len(), "a label for each datum");
    let classes = labels.iter().max().map_or(0, |most| usize::from(*most) + 1);
    let unused = Use {
        energy: 0.0,
        count: 0,
        mean: 0.0,
        largest: 0.0,
        classes: vec![0.0; classes],
        histogram: vec![0; BARS],
    };
    let mut uses = vec![unused; codes.atoms()];
    for (k, code) in codes.rows().enumerate() {
        for (atom, value) in code.iter() {
            let (atom, size) = (&mut uses[atom], f64::from(value.abs()));
            atom.energy += size * size;
            atom.count += 1;
            atom.mean += size;
            atom.largest = atom.largest.max(size);
            if let Some(label) = labels.get(k) {
                atom.classes[usize::from(*label)] += size * size;
            }
        }
    }
    for code in codes.rows() {
        for (atom, value) in code.iter() {
            let atom = &mut uses[atom];
            let bar = (f64::from(value.abs()) / atom.largest * BARS as f64) as usize;
            atom.histogram[bar.min(BARS - 1)] += 1;
        }
    }
    for atom in &mut uses {
        atom.mean /= atom.count.max(1) as f64;
        let energy = atom.energy.max(f64::MIN_POSITIVE);
        atom.classes.iter_mut().for_each(|share| *share /= energy);
    }
    uses
}

/// Atoms by a figure, the largest first. Atoms of equal figures stay in order.
pub fn ranked(uses: &[Use], figure: impl Fn(&Use) -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..uses.len()).collect();
    order.sort_by(|a, b| figure(&uses[*b]).total_cmp(&figure(&uses[*a])));
    order
}

/// The `count` data whose codes are nearest to a code by cosine, with the cosines, the nearest first.
pub fn nearest(codes: &SparseCodes, code: Row<'_>, count: usize) -> Vec<(usize, f64)> {
    let mut dense = vec![0.0f64; codes.atoms()];
    code.iter().for_each(|(atom, value)| dense[atom] = f64::from(value));
    let norm = |row: Row<'_>| row.values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let own = norm(code);
    let mut all: Vec<(usize, f64)> = codes
        .rows()
        .map(|row| {
            let dot: f64 = row.iter().map(|(atom, v)| f64::from(v) * dense[atom]).sum();
            dot / (own * norm(row)).max(f64::MIN_POSITIVE)
        })
        .enumerate()
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> SparseCodes {
        let mut codes = SparseCodes::new(3).unwrap();
        for code in [[1.0, 0.0, 0.0], [3.0, -2.0, 0.0], [0.0, 4.0, 0.0], [1.5, -1.0, 0.0]] {
            codes.push(code.into_iter());
        }
        codes
    }

    #[test]
    fn uses_are_counted() {
        let found = uses(&codes(), &[0, 2, 2, 0]);
        assert_eq!((found[0].energy, found[0].count), (12.25, 3));
        assert_eq!(found[0].class(), Some((2, 9.0 / 12.25)));
        assert_eq!(found[1].largest, 4.0);
        assert_eq!(found[1].histogram[BARS - 1], 1);
        assert_eq!(found[1].histogram.iter().sum::<usize>(), 3);
        assert_eq!((found[2].class(), found[2].mean), (None, 0.0));
        assert_eq!(ranked(&found, |atom| atom.energy), [1, 0, 2]);
    }

    #[test]
    fn the_nearest_code_is_the_parallel_one() {
        let codes = codes();
        let found = nearest(&codes, codes.row(1), 2);
        assert_eq!((found[0].0, found[1].0), (1, 3));
        assert!((found[1].1 - 1.0).abs() < 1e-12);
    }
}
