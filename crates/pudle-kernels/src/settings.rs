//! What a pass does, and the sparsity levels that it does it with.

use std::ops::Range;

use pulp::Simd;

use crate::conv::Geometry;
use crate::real::Real;

/// The dictionary that a pass runs through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A matrix for data of dimension `dim`.
    Dense {
        /// Dimension `m`.
        dim: usize,
    },
    /// Filters over images, or along signals.
    Conv(Geometry),
}

/// The non-linearity of a layer at a level `θ ≥ 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrinkage {
    /// `sign(v) max(|v| − θ, 0)`.
    Soft,
    /// `max(v − θ, 0)`.
    Relu,
    /// `v` where `|v| > θ`, 0 elsewhere; its level has no gradient.
    Hard,
}

/// How a pass runs through its layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Unrolled layers `T`, at least 1.
    pub layers: usize,
    /// Non-linearity of a layer.
    pub shrinkage: Shrinkage,
    /// Weight `m_t` of the extrapolation `y_t = z_t + m_t (z_t − z_{t−1})` in layer `t`; as many as
    /// there are layers, or none where no layer extrapolates. `m_0` and `m_1` are 0.
    pub momentum: Vec<f64>,
    /// How many of the last layers the backward pass goes through: 0 … `layers`.
    pub recorded: usize,
    /// Whether the backward pass runs the layers again, from every `√T`-th code, rather than to
    /// store what it needs of each.
    pub recompute: bool,
}

impl Schedule {
    /// ISTA through `layers` layers, all recorded.
    pub fn ista(layers: usize, shrinkage: Shrinkage) -> Self {
        Self { layers, shrinkage, momentum: Vec::new(), recorded: layers, recompute: false }
    }

    /// The extrapolation weight of layer `t`.
    pub(crate) fn weight(&self, t: usize) -> f64 {
        self.momentum.get(t).copied().unwrap_or(0.0)
    }

    /// Whether any layer extrapolates.
    pub(crate) fn extrapolates(&self) -> bool {
        self.momentum.iter().any(|weight| *weight != 0.0)
    }

    /// The first layer that the backward pass goes through.
    pub(crate) fn first_recorded(&self) -> usize {
        self.layers - self.recorded
    }

    /// The recorded layers, cut where the backward pass starts again: all of them in one piece
    /// where they are stored, pieces of about `√T` layers where they are run again.
    pub(crate) fn segments(&self) -> Vec<Range<usize>> {
        let (first, end) = (self.first_recorded(), self.layers);
        let piece = match self.recompute {
            true => (1..).find(|n| n * n >= self.recorded).unwrap_or(1),
            false => self.recorded.max(1),
        };
        (first..end).step_by(piece).map(|start| start..(start + piece).min(end)).collect()
    }
}

/// The levels `θ` of a pass, `[T or 1, batch or 1, p or 1]`, an axis of 1 standing for all.
#[derive(Clone, Debug)]
pub(crate) struct Levels<T> {
    /// `[T or 1, batch or 1, padded p]`.
    values: Vec<T>,
    shape: [usize; 3],
    atoms: usize,
    padded: usize,
}

impl<T: Real> Levels<T> {
    pub fn new(values: &[T], shape: [usize; 3], atoms: usize, padded: usize) -> Self {
        let mut rows = vec![T::ZERO; shape[0] * shape[1] * padded];
        for (row, given) in rows.chunks_exact_mut(padded).zip(values.chunks_exact(shape[2])) {
            match given {
                [one] => row[..atoms].fill(*one),
                each => row[..atoms].copy_from_slice(each),
            }
        }
        Self { values: rows, shape, atoms, padded }
    }

    /// Levels of all atoms, padded, in layer `t` for datum `i`.
    pub fn of(&self, t: usize, i: usize) -> &[T] {
        let row = t.min(self.shape[0] - 1) * self.shape[1] + i.min(self.shape[1] - 1);
        &self.values[row * self.padded..][..self.padded]
    }

    /// A gradient per layer (or for all, where the levels do not depend on it) and atom for datum
    /// `i`, added to one in the shape of the levels.
    pub fn reduce(&self, gradient: &[T], i: usize, total: &mut [T]) {
        for (t, row) in gradient.chunks_exact(self.padded).enumerate() {
            let start = (t * self.shape[1] + i.min(self.shape[1] - 1)) * self.shape[2];
            let total = &mut total[start..][..self.shape[2]];
            match total {
                [one] => *one += row[..self.atoms].iter().copied().sum(),
                each => each.iter_mut().zip(row).for_each(|(total, part)| *total += *part),
            }
        }
    }

    /// Rows of a gradient per layer: `T` or 1.
    pub fn layers(&self) -> usize {
        self.shape[0]
    }

    /// Which row of a gradient per layer belongs to layer `t`.
    pub fn row(&self, t: usize) -> usize {
        t.min(self.shape[0] - 1)
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// `Φ(v)` at the levels `theta`; exact zeros, and NaN where `v` is.
#[inline(always)]
pub(crate) fn shrink<T: Real, S: Simd>(
    simd: S,
    shrinkage: Shrinkage,
    v: T::Lanes<S>,
    theta: T::Lanes<S>,
) -> T::Lanes<S> {
    match shrinkage {
        Shrinkage::Soft => T::minus(simd, v, T::clamp(simd, v, theta)),
        Shrinkage::Relu => T::zero_where_le(simd, v, theta, T::minus(simd, v, theta)),
        Shrinkage::Hard => T::zero_where_le(simd, T::magnitude(simd, v), theta, v),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_the_recorded_layers() {
        for (layers, recorded, recompute) in
            [(1, 1, true), (15, 15, true), (15, 15, false), (100, 37, true), (9, 0, true)]
        {
            let schedule =
                Schedule { recorded, recompute, ..Schedule::ista(layers, Shrinkage::Soft) };
            let segments = schedule.segments();
            assert_eq!(segments.iter().map(|piece| piece.len()).sum::<usize>(), recorded);
            let most = if recompute { (recorded as f64).sqrt().ceil() as usize } else { recorded };
            assert!(segments.len() <= most.max(1) && segments.iter().all(|p| p.len() <= most));
            assert_eq!(segments.last().map_or(layers, |last| last.end), layers);
        }
    }
}
