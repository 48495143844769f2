//! Where atoms lie in data: patches of a datum, and the numbers of an atom in a bank.

use pudle_core::{Constraint, DictionaryConfig, Weight};

/// The shape of a datum and of the atoms in it. Vectors are data of one place, whose numbers are channels. A signal is an
/// image of height 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    channels: usize,
    height: usize,
    width: usize,
    /// Height and width of an atom.
    size: [usize; 2],
}

impl Frame {
    /// The frame of data of shape `extent`, with the batch first, under the atoms of a dictionary.
    ///
    /// # Panics
    /// Panics if `extent` has another rank than the dictionary's data.
    pub fn new(dictionary: &DictionaryConfig, extent: &[usize]) -> Self {
        match (dictionary, extent) {
            (DictionaryConfig::Dense(_), &[_, dim]) => {
                Self { channels: dim, height: 1, width: 1, size: [1, 1] }
            }
            (DictionaryConfig::Conv1d(filters), &[_, channels, width]) => {
                Self { channels, height: 1, width, size: [1, filters.size] }
            }
            (DictionaryConfig::Conv2d(filters), &[_, channels, height, width]) => {
                Self { channels, height, width, size: [filters.size; 2] }
            }
            _ => panic!("data of shape {extent:?} for atoms of kind {}", dictionary.kind()),
        }
    }

    /// Numbers of a datum.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The number of places for the first sample of an atom along each axis.
    pub fn places(&self) -> [usize; 2] {
        [
            (self.height + 1).saturating_sub(self.size[0]),
            (self.width + 1).saturating_sub(self.size[1]),
        ]
    }

    /// Places of atoms side by side, which do not overlap.
    pub fn tiles(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let ([rows, columns], [tall, wide]) = (self.places(), self.size);
        (0..rows).step_by(tall).flat_map(move |y| (0..columns).step_by(wide).map(move |x| [y, x]))
    }

    /// The numbers of a datum under an atom at a place, in the order of the atom's numbers.
    pub fn patch(&self, datum: &[f32], [y, x]: [usize; 2]) -> Vec<f32> {
        let [tall, wide] = self.size;
        let mut patch = Vec::with_capacity(self.channels * tall * wide);
        for channel in 0..self.channels {
            for row in y..y + tall {
                let first = (channel * self.height + row) * self.width + x;
                patch.extend_from_slice(&datum[first..first + wide]);
            }
        }
        patch
    }
}

/// The atoms of a bank: `values` is a tensor of shape `shape`, whose `axis` counts them.
pub(crate) struct Bank<'a> {
    pub values: &'a mut [f32],
    pub shape: &'a [usize],
    pub axis: usize,
}

impl Bank<'_> {
    /// The atom and the place in it of a number.
    fn place(&self, index: usize) -> (usize, usize) {
        let inner: usize = self.shape[self.axis + 1..].iter().product();
        let count = self.shape[self.axis];
        (index / inner % count, index / (inner * count) * inner + index % inner)
    }

    /// Numbers of an atom.
    pub fn size(&self) -> usize {
        self.values.len() / self.shape[self.axis]
    }

    /// The numbers of an atom.
    pub fn atom(&self, atom: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; self.size()];
        for (index, value) in self.values.iter().enumerate() {
            if let (owner, at) = self.place(index)
                && owner == atom
            {
                numbers[at] = *value;
            }
        }
        numbers
    }

    /// Puts numbers in the place of some atoms: `new[i]` in that of atom `atoms[i]`.
    pub fn replace(&mut self, atoms: &[usize], new: &[Vec<f32>]) {
        let mut of = vec![None; self.shape[self.axis]];
        atoms.iter().zip(new).for_each(|(atom, numbers)| of[*atom] = Some(numbers));
        for index in 0..self.values.len() {
            let (atom, at) = self.place(index);
            if let Some(numbers) = of[atom] {
                self.values[index] = numbers[at];
            }
        }
    }

    /// The norm of every atom.
    pub fn norms(&self) -> Vec<f64> {
        let mut squares = vec![0.0; self.shape[self.axis]];
        for (index, value) in self.values.iter().enumerate() {
            squares[self.place(index).0] += f64::from(*value).powi(2);
        }
        squares.into_iter().map(f64::sqrt).collect()
    }
}

/// The atoms of a non-negative dictionary that have numbers below zero, in ascending order. None if the dictionary may have
/// them.
pub(crate) fn negative_atoms(weights: &[Weight]) -> Vec<usize> {
    let Some((weight, axis)) = weights.iter().find_map(|weight| match weight.constraint {
        Constraint::NonNegativeUnitNorm { axis } => Some((weight, axis)),
        _ => None,
    }) else {
        return Vec::new();
    };
    let (mut values, shape) = (weight.to_vec(), weight.values.shape().to_vec());
    let bank = Bank { values: &mut values, shape: &shape, axis };
    let mut below = vec![false; shape[axis]];
    for (index, value) in bank.values.iter().enumerate() {
        below[bank.place(index).0] |= *value < 0.0;
    }
    (0..below.len()).filter(|atom| below[*atom]).collect()
}

/// The Euclidean norm.
pub(crate) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Values divided by their norm, or `None` if it is at most `least` or not finite.
pub(crate) fn unit(mut values: Vec<f32>, least: f64) -> Option<Vec<f32>> {
    let norm = norm(&values);
    if !(norm > least && norm.is_finite()) {
        return None;
    }
    values.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    Some(values)
}

/// Vectors of unit norm of which no two are nearly parallel.
pub(crate) struct Directions {
    pub found: Vec<Vec<f32>>,
    /// Vectors of at least this cosine are one.
    same: f32,
    /// Whether a vector and its opposite are one.
    opposite: bool,
}

impl Directions {
    pub fn new(same: f32, opposite: bool) -> Self {
        Self { found: Vec::new(), same, opposite }
    }

    /// Adds a vector of unit norm, unless it is one of those that are there.
    pub fn add(&mut self, unit: Vec<f32>) {
        let is_same = |other: &Vec<f32>| {
            let cosine: f32 = unit.iter().zip(other).map(|(a, b)| a * b).sum();
            cosine >= self.same || self.opposite && -cosine >= self.same
        };
        if !self.found.iter().any(is_same) {
            self.found.push(unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pudle_core::{ConvConfig, DenseConfig};

    #[test]
    fn patches_lie_where_atoms_do() {
        let filters =
            DictionaryConfig::Conv2d(ConvConfig { atoms: 5, channels: 2, size: 2, stride: 1 });
        let frame = Frame::new(&filters, &[7, 2, 3, 5]);
        let datum: Vec<f32> = (0..30).map(|i| i as f32).collect();
        assert_eq!(frame.patch(&datum, [1, 2]), [7., 8., 12., 13., 22., 23., 27., 28.]);
        assert_eq!(frame.tiles().collect::<Vec<_>>(), [[0, 0], [0, 2]]);
        assert_eq!(frame.places(), [2, 4]);
        let vectors = DictionaryConfig::Dense(DenseConfig { dim: 3, atoms: 9 });
        let frame = Frame::new(&vectors, &[4, 3]);
        assert_eq!(frame.tiles().collect::<Vec<_>>(), [[0, 0]]);
        assert_eq!(frame.patch(&[1.0, 2.0, 3.0], [0, 0]), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn nearly_parallel_vectors_are_one() {
        for (opposite, count) in [(true, 2), (false, 3)] {
            let mut directions = Directions::new(0.98, opposite);
            for vector in [[1.0, 0.0], [0.0, 1.0], [0.999, 0.044_7], [-1.0, 0.0]] {
                directions.add(vector.to_vec());
            }
            assert_eq!(directions.found.len(), count);
        }
    }

    #[test]
    fn atoms_are_replaced_along_their_axis() {
        // A matrix 2×3: atoms are columns.
        let mut values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut bank = Bank { values: &mut values, shape: &[2, 3], axis: 1 };
        assert_eq!(bank.atom(1), [2.0, 5.0]);
        bank.replace(&[2], &[vec![8.0, 9.0]]);
        assert_eq!(bank.values, [1.0, 2.0, 8.0, 4.0, 5.0, 9.0]);
        assert!((bank.norms()[0] - 17f64.sqrt()).abs() < 1e-12);
        let mut values: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let bank = Bank { values: &mut values, shape: &[2, 2, 2], axis: 0 };
        assert_eq!(bank.atom(1), [4.0, 5.0, 6.0, 7.0]);
    }
}
