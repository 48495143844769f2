//! Which axis of an array counts the atoms, and what the others are.

use std::path::Path;

use pudle_core::{ConvConfig, DenseConfig, DictionaryConfig};

use super::array::{Array, permuted};
use crate::error::{Result, TrainError};

/// Norms this near to 1 count as 1, in numbers of eight bits of precision, too.
const NEAR_ONE: f64 = 1e-2;

/// What the axes of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axes {
    /// A matrix `m×p`: atoms are columns.
    Columns,
    /// A matrix `p×m`: atoms are rows, as in scikit-learn.
    Rows,
    /// Filters along a signal, `p×C×k`, as in PyTorch and alphacsc.
    Signal,
    /// Filters over an image, `p×C×k×k`, as in PyTorch.
    Image,
    /// Filters over an image of one channel, `k×k×p`, as in SPORCO.
    Last,
    /// Filters over an image, `k×k×C×p`, as in SPORCO.
    LastOfChannels,
}

impl Axes {
    /// The axes' names.
    pub fn name(self) -> &'static str {
        match self {
            Axes::Columns => "m×p",
            Axes::Rows => "p×m",
            Axes::Signal => "p×C×k",
            Axes::Image => "p×C×k×k",
            Axes::Last => "k×k×p",
            Axes::LastOfChannels => "k×k×C×p",
        }
    }

    /// Whether the axes are turned against those of Pudle.
    pub fn transposed(self) -> bool {
        matches!(self, Axes::Rows | Axes::Last | Axes::LastOfChannels)
    }

    /// The axis that counts the atoms, of `rank`.
    fn atom_axis(self, rank: usize) -> usize {
        match self {
            Axes::Rows | Axes::Signal | Axes::Image => 0,
            Axes::Columns | Axes::Last | Axes::LastOfChannels => rank - 1,
        }
    }

    /// The number of atoms in an array of this shape, if they fit those of a dictionary.
    pub fn atoms_of(self, shape: &[usize], dictionary: &DictionaryConfig) -> Option<usize> {
        let fits = match (self, shape, dictionary) {
            (Axes::Columns, [dim, _], DictionaryConfig::Dense(dense)) => *dim == dense.dim,
            (Axes::Rows, [_, dim], DictionaryConfig::Dense(dense)) => *dim == dense.dim,
            (Axes::Signal, [_, c, k], DictionaryConfig::Conv1d(filters)) => {
                [*c, *k] == [filters.channels, filters.size]
            }
            (Axes::Image, [_, c, k, _], DictionaryConfig::Conv2d(filters)) => {
                [*c, *k] == [filters.channels, filters.size]
            }
            (Axes::Last, [k, _, _], DictionaryConfig::Conv2d(filters)) => {
                [1, *k] == [filters.channels, filters.size]
            }
            (Axes::LastOfChannels, [k, _, c, _], DictionaryConfig::Conv2d(filters)) => {
                [*c, *k] == [filters.channels, filters.size]
            }
            _ => false,
        };
        fits.then(|| shape[self.atom_axis(shape.len())])
    }

    /// What an array of this shape can be.
    pub fn candidates(shape: &[usize]) -> Vec<Axes> {
        match *shape {
            [_, _] => vec![Axes::Columns, Axes::Rows],
            [a, b, _] if a == b && a > 1 => vec![Axes::Signal, Axes::Last],
            [_, _, _] => vec![Axes::Signal],
            [a, b, c, d] => {
                let image = (c == d).then_some(Axes::Image);
                let last = (a == b && a > 1).then_some(Axes::LastOfChannels);
                image.into_iter().chain(last).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The norms of atoms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norms {
    pub least: f64,
    pub most: f64,
    /// Number of atoms that are zero. They do not count in the range.
    pub zeros: usize,
}

impl Norms {
    /// The norms of the slices along `axis`.
    fn along(array: &Array, axis: usize) -> Self {
        let count = array.shape[axis];
        let inner: usize = array.shape[axis + 1..].iter().product();
        let mut squares = vec![0.0f64; count];
        for (index, value) in array.values.iter().enumerate() {
            squares[index / inner % count] += f64::from(*value).powi(2);
        }
        let norms = squares.iter().map(|square| square.sqrt()).filter(|norm| *norm > 0.0);
        let (least, most) = norms
            .fold((f64::INFINITY, 0.0f64), |(least, most), norm| (least.min(norm), most.max(norm)));
        Self { least, most, zeros: squares.iter().filter(|square| **square == 0.0).count() }
    }

    /// Whether all atoms that are not zero have norm 1, up to rounding.
    pub fn unit(&self) -> bool {
        (self.least - 1.0).abs() < NEAR_ONE && (self.most - 1.0).abs() < NEAR_ONE
    }
}

/// The axes of an array: those that are wished for, or those whose atoms have norm 1. The second value says in one line
/// how they were found, if there was a choice.
///
/// # Errors
/// Returns an error if no axes fit the shape, or if several do and nothing decides.
pub(super) fn axes(
    array: &Array,
    transposed: Option<bool>,
    path: &Path,
) -> Result<(Axes, Option<String>)> {
    let (name, shape) = (&array.name, &array.shape);
    let candidates = Axes::candidates(shape);
    if let Some(wish) = transposed {
        let wished = candidates.iter().find(|axes| axes.transposed() == wish);
        return wished.map(|axes| (*axes, None)).ok_or_else(|| {
            let turned = if wish { "turned axes" } else { "axes that are not turned" };
            let reason =
                format!("{name:?} has shape {shape:?}, which has no meaning with {turned}");
            TrainError::weights(path, reason)
        });
    }
    let unit = |axes: &Axes| Norms::along(array, axes.atom_axis(shape.len())).unit();
    match candidates.as_slice() {
        [] => Err(no_axes(array, path)),
        [only] => Ok((*only, None)),
        [first, second] => match (unit(first), unit(second)) {
            (true, false) => Ok((*first, Some(found(name, *first)))),
            (false, true) => Ok((*second, Some(found(name, *second)))),
            _ if shape.len() == 2 => {
                let note = format!(
                    "the columns of {name:?} are taken as atoms: norms do not tell columns from rows"
                );
                Ok((Axes::Columns, Some(note)))
            }
            _ => Err(TrainError::Ambiguous {
                path: path.to_path_buf(),
                name: name.clone(),
                shape: shape.clone(),
                readings: format!("{} or {}", first.name(), second.name()),
            }),
        },
        more => unreachable!("a shape with {} readings", more.len()),
    }
}

fn found(name: &str, axes: Axes) -> String {
    match axes {
        Axes::Columns => format!("the columns of {name:?} have norm 1: they are the atoms"),
        Axes::Rows => format!("the rows of {name:?} have norm 1: they are the atoms"),
        other => format!("{name:?} is read as {}, with filters of norm 1", other.name()),
    }
}

fn no_axes(array: &Array, path: &Path) -> TrainError {
    let reason = match array.shape[..] {
        [_, _, rows, columns] => format!("filters of {rows}×{columns} are not square"),
        _ => format!(
            "{:?} has shape {:?}, none of m×p, p×m, p×C×k, p×C×k×k, k×k×p and k×k×C×p",
            array.name, array.shape
        ),
    };
    TrainError::weights(path, reason)
}

/// An array in the order of Pudle's axes, with the settings of its dictionary.
///
/// # Errors
/// Returns an error if filters have no stride, or a matrix has one.
pub(super) fn arranged(
    array: Array,
    axes: Axes,
    stride: Option<usize>,
    path: &Path,
) -> Result<(Array, DictionaryConfig)> {
    let tensor = || format!("{:?} of {}", array.name, path.display());
    let shape = array.shape.clone();
    let filters = |config: fn(ConvConfig) -> DictionaryConfig,
                   [atoms, channels, size]: [usize; 3]| {
        let stride = stride
            .ok_or_else(|| TrainError::NoStride { tensor: tensor(), shape: shape.clone() })?;
        Ok::<_, TrainError>(config(ConvConfig { atoms, channels, size, stride }))
    };
    let (order, config): (&[usize], _) = match (axes, &shape[..]) {
        (Axes::Columns | Axes::Rows, _) if stride.is_some() => {
            return Err(TrainError::StrideOfMatrix { tensor: tensor(), shape: shape.clone() });
        }
        (Axes::Columns, &[dim, atoms]) => {
            (&[0, 1], DictionaryConfig::Dense(DenseConfig { dim, atoms }))
        }
        (Axes::Rows, &[atoms, dim]) => {
            (&[1, 0], DictionaryConfig::Dense(DenseConfig { dim, atoms }))
        }
        (Axes::Signal, &[p, c, k]) => (&[0, 1, 2], filters(DictionaryConfig::Conv1d, [p, c, k])?),
        (Axes::Image, &[p, c, k, _]) => {
            (&[0, 1, 2, 3], filters(DictionaryConfig::Conv2d, [p, c, k])?)
        }
        (Axes::Last, &[k, _, p]) => (&[2, 0, 1], filters(DictionaryConfig::Conv2d, [p, 1, k])?),
        (Axes::LastOfChannels, &[k, _, c, p]) => {
            (&[3, 2, 0, 1], filters(DictionaryConfig::Conv2d, [p, c, k])?)
        }
        (axes, shape) => unreachable!("{} of shape {shape:?}", axes.name()),
    };
    let values = permuted(&shape, &array.values, order);
    Ok((Array { name: array.name, shape: config.shape(), values }, config))
}

/// A line about atoms that are zero or not of norm 1, if there are any.
///
/// # Errors
/// Returns an error if all atoms are zero.
pub(super) fn about_norms(array: &Array, axes: Axes, path: &Path) -> Result<Option<String>> {
    let axis = axes.atom_axis(array.shape.len());
    let (name, count) = (&array.name, array.shape[axis]);
    let norms = Norms::along(array, axis);
    if norms.zeros == count {
        return Err(TrainError::weights(path, format!("{name:?} holds no number but zero")));
    }
    let zeros = match norms.zeros {
        0 => String::new(),
        zeros => format!("{zeros} of the {count} atoms of {name:?} are zero"),
    };
    let scaled = match norms.unit() {
        true => String::new(),
        false => format!(
            "atoms of {name:?} have norms from {:.3} to {:.3}, not 1, and are used as they are (a matrix whose order its \
             writer mixed up looks like this, too)",
            norms.least, norms.most
        ),
    };
    let lines: Vec<String> = [zeros, scaled].into_iter().filter(|line| !line.is_empty()).collect();
    Ok((!lines.is_empty()).then(|| lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize]) -> Array {
        let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7).sin()).collect();
        Array { name: "D".into(), shape: shape.to_vec(), values }
    }

    /// With slices of norm 1 along `axis`.
    fn unit(shape: &[usize], axis: usize) -> Array {
        let mut array = array(shape);
        let (count, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let mut squares = vec![0.0; count];
        for (index, value) in array.values.iter().enumerate() {
            squares[index / inner % count] += value * value;
        }
        for (index, value) in array.values.iter_mut().enumerate() {
            *value /= squares[index / inner % count].sqrt();
        }
        array
    }

    fn found(array: &Array, wish: Option<bool>) -> Result<Axes> {
        axes(array, wish, Path::new("f")).map(|(axes, _)| axes)
    }

    #[test]
    fn norms_decide_and_the_wish_decides_before_them() {
        assert_eq!(found(&unit(&[4, 6], 1), None).unwrap(), Axes::Columns);
        assert_eq!(found(&unit(&[4, 6], 0), None).unwrap(), Axes::Rows);
        assert_eq!(found(&array(&[4, 6]), None).unwrap(), Axes::Columns);
        assert_eq!(found(&unit(&[4, 6], 1), Some(true)).unwrap(), Axes::Rows);
        assert_eq!(found(&array(&[4, 2, 7]), None).unwrap(), Axes::Signal);
        assert_eq!(found(&array(&[8, 8, 1, 32]), None).unwrap(), Axes::LastOfChannels);
        assert_eq!(found(&unit(&[8, 8, 32], 2), None).unwrap(), Axes::Last);
        assert_eq!(found(&array(&[8, 8, 9, 9]), Some(true)).unwrap(), Axes::LastOfChannels);
    }

    #[test]
    fn ambiguous_and_impossible_shapes_are_errors() {
        for shape in [&[8, 8, 9, 9][..], &[8, 8, 32], &[5], &[2, 1, 3, 4], &[]] {
            assert!(found(&array(shape), None).is_err(), "{shape:?}");
        }
        assert!(found(&array(&[4, 2, 7]), Some(true)).is_err());
    }

    #[test]
    fn filters_are_turned() {
        let (turned, config) =
            arranged(array(&[2, 2, 3, 4]), Axes::LastOfChannels, Some(1), Path::new("f")).unwrap();
        assert_eq!(turned.shape, [4, 3, 2, 2]);
        assert_eq!(config.atoms(), 4);
        // Filter 1, channel 2, row 1, column 0 is D[1][0][2][1].
        let from = array(&[2, 2, 3, 4]);
        assert_eq!(turned.values[((3 + 2) * 2 + 1) * 2], from.values[(2 * 3 + 2) * 4 + 1]);
    }
}
