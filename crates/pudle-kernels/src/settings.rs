//! What a pass does, and the sparsity levels that it does it with.

use std::ops::Range;

use pulp::Simd;

use crate::geometry::Geometry;
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

/// The extrapolation `y_t = z_t + m_t (z_t − z_{t−1})` of the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extrapolation {
    /// None: `y_t = z_t` (ISTA).
    #[default]
    None,
    /// `m_t = (s_t − 1)/s_{t+1}` with `s_{t+1} = (1 + √(1 + 4 s_t²))/2`, `s_1 = 1`; `m_0 = 0` (Beck & Teboulle, 2009).
    Fista,
}

impl Extrapolation {
    /// The weights `m_0 … m_{T−1}`; none if no layer extrapolates.
    pub fn weights(self, layers: usize) -> Vec<f64> {
        if self == Extrapolation::None {
            return Vec::new();
        }
        let mut s = 1.0;
        (0..layers)
            .map(|t| {
                // Nothing precedes z_0, and s_1 = 1.
                let next = if t == 0 { s } else { (1.0 + f64::sqrt(1.0 + 4.0 * s * s)) / 2.0 };
                let weight = (s - 1.0) / next;
                s = next;
                weight
            })
            .collect()
    }
}

/// How a pass is unrolled into layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrolling {
    /// Unrolled layers `T`, at least 1.
    pub layers: usize,
    /// Non-linearity of a layer.
    pub shrinkage: Shrinkage,
    /// Extrapolation between layers.
    pub extrapolation: Extrapolation,
    /// The number of last layers through which the backward pass goes: 0 … `layers`.
    pub recorded: usize,
    /// Whether the backward pass runs the layers again, from every `√T`-th code, instead of storing
    /// what it needs of each.
    pub recompute: bool,
}

impl Unrolling {
    /// ISTA through `layers` layers, all recorded.
    pub fn ista(layers: usize, shrinkage: Shrinkage) -> Self {
        let extrapolation = Extrapolation::None;
        Self { layers, shrinkage, extrapolation, recorded: layers, recompute: false }
    }
}

/// The layers of a pass.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// Number of layers `T`.
    pub count: usize,
    /// Non-linearity of a layer.
    pub shrinkage: Shrinkage,
    /// The number of last layers through which the backward pass goes.
    pub recorded: usize,
    /// Whether the backward pass runs the layers again.
    pub recompute: bool,
    /// Weights of the extrapolation.
    weights: Vec<f64>,
}

impl Layers {
    pub fn new(unrolling: Unrolling) -> Self {
        let Unrolling { layers, shrinkage, extrapolation, recorded, recompute } = unrolling;
        let weights = extrapolation.weights(layers);
        Self { count: layers, shrinkage, recorded, recompute, weights }
    }

    /// The extrapolation weight of layer `t`.
    pub fn weight(&self, t: usize) -> f64 {
        self.weights.get(t).copied().unwrap_or(0.0)
    }

    /// Whether any layer extrapolates.
    pub fn extrapolates(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 0.0)
    }

    /// The first layer that the backward pass goes through.
    pub fn first_recorded(&self) -> usize {
        self.count - self.recorded
    }

    /// The recorded layers, cut where the backward pass starts again: all of them in one piece
    /// if they are stored, pieces of about `√T` layers if they are run again.
    pub fn segments(&self) -> Vec<Range<usize>> {
        let (first, end) = (self.first_recorded(), self.count);
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
    fn extrapolation_is_that_of_fista() {
        // s = 1, 1, (1 + √5)/2, …: nothing to extrapolate from in the first two layers.
        let s: Vec<f64> = std::iter::successors(Some(1.0), |s: &f64| {
            Some((1.0 + (1.0 + 4.0 * s * s).sqrt()) / 2.0)
        })
        .take(5)
        .collect();
        let expected = [0.0, 0.0, (s[1] - 1.0) / s[2], (s[2] - 1.0) / s[3], (s[3] - 1.0) / s[4]];
        assert_eq!(Extrapolation::Fista.weights(5), expected);
        assert!(Extrapolation::None.weights(5).is_empty());
        let unrolling = Unrolling::ista(5, Shrinkage::Soft);
        assert!(!Layers::new(unrolling).extrapolates());
        let fista = Unrolling { extrapolation: Extrapolation::Fista, ..unrolling };
        assert!(Layers::new(fista).extrapolates());
    }

    #[test]
    fn segments_cover_the_recorded_layers() {
        for (layers, recorded, recompute) in
            [(1, 1, true), (15, 15, true), (15, 15, false), (100, 37, true), (9, 0, true)]
        {
            let unrolling =
                Unrolling { recorded, recompute, ..Unrolling::ista(layers, Shrinkage::Soft) };
            let segments = Layers::new(unrolling).segments();
            assert_eq!(segments.iter().map(|piece| piece.len()).sum::<usize>(), recorded);
            let most = if recompute { (recorded as f64).sqrt().ceil() as usize } else { recorded };
            assert!(segments.len() <= most.max(1) && segments.iter().all(|p| p.len() <= most));
            assert_eq!(segments.last().map_or(layers, |last| last.end), layers);
        }
    }
}
